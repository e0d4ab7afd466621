import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { Application, AppView, Source } from "../../../api/types";
import { draw, expectAccessible, hubAnswers, problemAnswer } from "../../../test/render";
import Parameters from "./Parameters";

const git = { repoURL: "https://git.example/shop", path: "deploy", targetRevision: "main" };

function shop(spec: object, more: object = {}): AppView {
  return {
    ...{ uid: "u", name: "shop", project: "pay", cluster: "eu", autoSync: true, generation: 1, freshness: "live" },
    ...{ desired: { commit: "0123456789" }, sync: { status: "Synced" }, health: { status: "Healthy" } },
    application: { apiVersion: "v1", kind: "Application", metadata: { name: "shop" }, spec, status: { x: 1 } },
    ...more,
  } as unknown as AppView;
}

/** An answer with a version, as the hub gives applications. */
function versioned(view: AppView, tag: string): Response {
  return new Response(JSON.stringify(view), { headers: { "Content-Type": "application/json", ETag: tag } });
}

function open(source: Source | object, locale: "en" | "de" = "en", more: object = {}) {
  const spec = "repoURL" in source ? { project: "pay", source } : source;
  const put: (() => Response)[] = [];
  let stored = shop(spec, more);
  let version = 1;
  const asked = hubAnswers({
    "GET /applications/:name": () => versioned(stored, `"${version}"`),
    "PUT /applications/:name": (a) => {
      const refusal = put.shift();
      if (refusal !== undefined) return refusal();
      stored = { ...stored, application: a.body as Application };
      version++;
      return versioned(stored, `"${version}"`);
    },
    "GET /applications/:name/plugin-parameters": () => ({
      items: [
        {
          ...{ source: 0, plugin: "cdk" },
          parameters: [
            { name: "stage", title: "The stage", tooltip: "where it runs", required: true, string: "dev" },
            { name: "files", collectionType: "array", array: ["a", "b"] },
            { name: "env", collectionType: "map", map: { a: "1" } },
          ],
        },
      ],
      asOf: "",
    }),
  });
  draw(<Parameters name="shop" />, { locale });
  return {
    asked,
    puts: () => asked.filter((a) => a.method === "PUT"),
    refuse: (answer: () => Response) => put.push(answer),
    change: (spec: object) => {
      stored = shop(spec);
      version++;
    },
  };
}

const edit = async () => {
  await userEvent.click(await screen.findByRole("button", { name: /^Edit the parameters/ }));
  return screen.findByRole("button", { name: "Save" });
};

describe("the parameters", () => {
  it("are shown per source, with what others only take files from", async () => {
    open({
      project: "pay",
      sources: [
        {
          ...git,
          helm: {
            valueFiles: ["$env/prod.yaml"],
            valuesObject: { image: { tag: "<b>1</b>" } },
            parameters: [{ name: "port", value: "80", forceString: true }],
            skipCrds: true,
          },
        },
        {
          ...git,
          name: "more",
          kustomize: { images: ["web:2"], replicas: [{ name: "web", count: 3 }], patches: [{ patch: "x" }] },
        },
        { repoURL: "https://git.example/env", ref: "env" },
        { ...git, path: "plain" },
      ],
    });
    const first = within(await screen.findByRole("region", { name: "Source 1" }));
    expect(first.getByText("Helm")).toBeVisible();
    expect(first.getByText("$env/prod.yaml")).toBeVisible();
    expect(first.getByRole("region", { name: "Values" })).toHaveTextContent("tag: <b>1</b>");
    expect(first.getByText("string")).toBeVisible();
    expect(first.getByText("Leave out the chart's CRDs")).toBeVisible();
    const second = within(screen.getByRole("region", { name: "Source 2" }));
    expect(second.getByText("web:2")).toBeVisible();
    expect(second.getByRole("region", { name: "Patches" })).toHaveTextContent("patch: x");
    const third = within(screen.getByRole("region", { name: "Source 3" }));
    expect(third.getByText(/others take files from it/)).toBeVisible();
    expect(third.queryByRole("button")).toBeNull();
    expect(within(screen.getByRole("region", { name: "Source 4" })).getByText(/^No parameters/)).toBeVisible();
    await expectAccessible();
  });

  it("that a plugin announces are told, in German too", async () => {
    open({ ...git, plugin: { name: "cdk", env: [{ name: "STAGE", value: "prod" }] } }, "de");
    expect(await screen.findByText("Was das Plugin cdk annimmt")).toBeVisible();
    expect(screen.getByText("Vorgabe a, b")).toBeVisible();
    expect(screen.getByText("Vorgabe a=1")).toBeVisible();
    expect(screen.getByText("erforderlich")).toBeVisible();
    expect(screen.getByText("The stage · where it runs")).toBeVisible();
    expect(screen.getByText("Umgebungsvariablen")).toBeVisible();
    await expectAccessible();
  });
});

describe("changing parameters", () => {
  it("stores what was changed over what was read, with its version, and says the command", async () => {
    const hub = open({ ...git, helm: { valueFiles: ["a.yaml"], version: "v3" } });
    const save = await edit();
    expect(save).toBeDisabled();
    expect(screen.getByText(/deployed at once/)).toBeVisible();
    await userEvent.type(screen.getByRole("textbox", { name: "Release name" }), "front");
    await userEvent.click(screen.getByRole("button", { name: "Add to Values files" }));
    const row = screen.getByRole("textbox", { name: "Values files 2" });
    await waitFor(() => expect(row).toHaveFocus());
    await userEvent.type(row, "b.yaml");
    await userEvent.click(screen.getByRole("button", { name: "Add to Parameters" }));
    await userEvent.type(screen.getByRole("textbox", { name: "Parameters, name 1" }), "tag");
    await userEvent.type(screen.getByRole("textbox", { name: "Parameters, value 1" }), "7");
    await userEvent.click(screen.getByRole("checkbox", { name: "string" }));
    expect(
      screen.getByText(
        "hawser app set shop --values a.yaml --values b.yaml --helm-set-string tag=7 --release-name front",
      ),
    ).toBeVisible();
    await expectAccessible();
    await userEvent.click(save);
    expect(await screen.findByText("b.yaml")).toBeVisible();
    expect(screen.queryByRole("button", { name: "Save" })).toBeNull();
    const [put] = hub.puts();
    expect(put?.headers.get("If-Match")).toBe('"1"');
    expect(put?.headers.get("Idempotency-Key")).not.toBeNull();
    expect(put?.body).toEqual({
      ...{ apiVersion: "v1", kind: "Application", metadata: { name: "shop" } },
      spec: {
        project: "pay",
        source: {
          ...git,
          helm: {
            ...{ valueFiles: ["a.yaml", "b.yaml"], version: "v3", releaseName: "front" },
            parameters: [{ name: "tag", value: "7", forceString: true }],
          },
        },
      },
    });
  }, 60_000);

  it("writes patches, and lists and maps of plugins", async () => {
    const hub = open({ project: "pay", sources: [{ ...git, kustomize: { patches: [{ path: "a.yaml" }] } }] });
    const save = await edit();
    await userEvent.click(screen.getByRole("button", { name: "Add to Patches" }));
    const second = within(screen.getByRole("group", { name: "Patch 2" }));
    await waitFor(() => expect(second.getByRole("textbox", { name: "Patch (YAML or JSON)" })).toHaveFocus());
    await userEvent.type(second.getByRole("textbox", { name: "Patch (YAML or JSON)" }), "- op: remove");
    await userEvent.type(second.getByRole("textbox", { name: "Kind" }), "Deployment");
    await userEvent.click(second.getByRole("checkbox", { name: "It may change kinds" }));
    await userEvent.type(screen.getAllByRole("textbox", { name: "Name" })[0] as HTMLElement, "web");
    await expectAccessible();
    await userEvent.click(save);
    await waitFor(() => expect(hub.puts()).toHaveLength(1));
    expect((hub.puts()[0]?.body as Application | undefined)?.spec?.sources?.[0]?.kustomize?.patches).toEqual([
      { path: "a.yaml", target: { name: "web" } },
      { patch: "- op: remove", target: { kind: "Deployment" }, options: { allowKindChange: true } },
    ]);
  }, 60_000);

  it("writes lists and names with values of a plugin", async () => {
    const hub = open({ ...git, plugin: { name: "cdk", parameters: [{ name: "files", array: ["a"] }] } });
    const save = await edit();
    await userEvent.click(screen.getByRole("button", { name: "Add to Parameters, value 1" }));
    const entry = screen.getByRole("textbox", { name: "Parameters, value 1 2" });
    await waitFor(() => expect(entry).toHaveFocus());
    await userEvent.type(entry, "b");
    await userEvent.click(screen.getByRole("button", { name: "Add to Parameters" }));
    await userEvent.type(screen.getByRole("textbox", { name: "Parameters, name 2" }), "env");
    await userEvent.selectOptions(screen.getByRole("combobox", { name: "Parameters, kind 2" }), "Names with values");
    await userEvent.click(screen.getByRole("button", { name: "Add to Parameters, value 2" }));
    await userEvent.type(screen.getByRole("textbox", { name: "Parameters, value 2, name 1" }), "k");
    await userEvent.type(screen.getByRole("textbox", { name: "Parameters, value 2, value 1" }), "v");
    await expectAccessible();
    await userEvent.click(save);
    await waitFor(() => expect(hub.puts()).toHaveLength(1));
    expect((hub.puts()[0]?.body as Application | undefined)?.spec?.source?.plugin?.parameters).toEqual([
      { name: "files", array: ["a", "b"] },
      { name: "env", map: { k: "v" } },
    ]);
  }, 60_000);

  it("says beside the field what is wrong with it, and keeps what was written", async () => {
    const hub = open({ ...git, helm: { valueFiles: ["a.yaml"] } });
    const save = await edit();
    await userEvent.click(screen.getByRole("button", { name: "Add to Values files" }));
    await userEvent.click(screen.getByRole("button", { name: "Add to Values files" }));
    await userEvent.type(screen.getByRole("textbox", { name: "Values files 3" }), "$env/b.yaml");
    hub.refuse(() =>
      problemAnswer(422, "ref_unknown", 'no source has the ref "env"', {
        field: "spec.source.helm.valueFiles[1]",
        fix: "add the repository",
      }),
    );
    await userEvent.click(save);
    // The row in which nothing was written has gone, so that the hub's number is the form's.
    const row = await screen.findByRole("textbox", { name: "Values files 2" });
    await waitFor(() => expect(row).toHaveAttribute("aria-invalid", "true"));
    expect(row).toHaveAccessibleDescription('no source has the ref "env" · add the repository');
    expect(row).toHaveValue("$env/b.yaml");
    expect(screen.queryByRole("textbox", { name: "Values files 3" })).toBeNull();
    await expectAccessible();
    hub.refuse(() =>
      problemAnswer(403, "permission_denied", "you may not update applications of pay", { id: "HW-4001" }),
    );
    await userEvent.click(save);
    expect(await screen.findByText(/you may not update applications/)).toBeVisible();
  }, 60_000);

  it("keeps what was written when somebody else was faster, over what is stored then", async () => {
    const hub = open({ ...git, kustomize: { namePrefix: "a-" } });
    const save = await edit();
    await userEvent.type(screen.getByRole("textbox", { name: "Namespace" }), "mine");
    hub.change({ project: "pay", source: { ...git, targetRevision: "v2", kustomize: { namePrefix: "theirs-" } } });
    hub.refuse(() => problemAnswer(412, "version_conflict", "it has changed"));
    await userEvent.click(save);
    await userEvent.click(await screen.findByRole("button", { name: "Take over what is stored now" }));
    await waitFor(() => expect(screen.getByRole("textbox", { name: "Name prefix" })).toHaveValue("theirs-"));
    expect(screen.getByRole("textbox", { name: "Namespace" })).toHaveValue("mine");
    await userEvent.click(save);
    await waitFor(() => expect(hub.puts()).toHaveLength(2));
    expect(hub.puts()[1]?.headers.get("If-Match")).toBe('"2"');
    expect(hub.puts()[1]?.body).toMatchObject({
      spec: { source: { ...git, targetRevision: "v2", kustomize: { namePrefix: "theirs-", namespace: "mine" } } },
    });
  }, 60_000);

  it("of a source without any begins with the tool, and is left without a change", async () => {
    const hub = open(git, "en", { autoSync: false });
    await edit();
    expect(screen.getByText(/deployed by the next sync/)).toBeVisible();
    await userEvent.click(screen.getByRole("combobox", { name: "Tool" }));
    await userEvent.click(await screen.findByRole("option", { name: "Directory and Jsonnet" }));
    await userEvent.click(screen.getByRole("checkbox", { name: "Read directories below the path" }));
    expect(screen.getByText("hawser app set shop --directory-recurse")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Cancel" }));
    expect(await screen.findByText(/^No parameters/)).toBeVisible();
    expect(hub.puts()).toHaveLength(0);
  }, 60_000);
});

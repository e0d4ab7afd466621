import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { AppView, TreeAnswer, TreeNode } from "../../../api/types";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../../test/render";

const app: AppView = {
  uid: "u1",
  name: "shop",
  project: "pay",
  cluster: "eu-1",
  autoSync: true,
  generation: 1,
  desired: { commit: "0123456789abcdef" },
  sync: { status: "Synced" },
  health: { status: "Degraded" },
  freshness: "live",
  observedAt: "2026-06-01T10:00:00Z",
  resources: [
    {
      group: "apps",
      kind: "Deployment",
      namespace: "pay",
      name: "api",
      version: "v1",
      sync: { status: "OutOfSync", reason: "drifted" },
      health: { status: "Degraded", message: "too few" },
      differences: [{ path: ".spec.replicas", desired: "3", live: "1", manager: "kubectl-edit" }],
    },
  ],
};

const node = (kind: string, name: string, parent?: string, more: Partial<TreeNode> = {}): TreeNode => ({
  kind,
  name,
  namespace: "pay",
  version: "v1",
  uid: `${kind}/${name}`,
  parentUIDs: parent === undefined ? undefined : [parent],
  health: { status: "Healthy" },
  ...more,
});

const tree: TreeAnswer = {
  truncated: false,
  freshness: "live",
  nodes: [
    node("Deployment", "api", undefined, { group: "apps", health: { status: "Degraded" } }),
    node("ReplicaSet", "api-7c", "Deployment/api", { group: "apps" }),
    ...["a", "b", "c", "d"].map((p) => node("Pod", `api-7c-${p}`, "ReplicaSet/api-7c")),
    node("Pod", "api-7c-x", "ReplicaSet/api-7c", {
      health: { status: "Degraded", message: "OOMKilled" },
      images: ["registry.example/api:2"],
      info: [{ name: "Restarts", value: "7" }],
    }),
  ],
};

const hub = (more: Parameters<typeof hubAnswers>[0] = {}) =>
  hubAnswers({
    "GET /applications/:name": () => app,
    "GET /applications/:name/tree": () => tree,
    "GET /applications": () => ({ items: [{ name: "shop" }], total: 1, asOf: "" }),
    "GET /applications/:name/resource-actions": () => ({
      items: [
        { name: "restart", displayName: "Restart" },
        { name: "scale", params: ["replicas"] },
        { name: "resume", disabled: true },
      ],
      total: 3,
      asOf: "",
    }),
    ...more,
  });

const items = () => screen.getAllByRole("treeitem").map((e) => e.textContent);

describe("objects of an application", () => {
  it("are a tree in which alike leaves are one node, with words for readers", async () => {
    hub();
    drawAt("/apps/shop?tab=tree");
    const found = await screen.findByRole("tree");
    expect(items()).toEqual([
      "shop Application, Degraded",
      "api Deployment, Degraded, Drifted",
      "api-7c ReplicaSet, Healthy",
      "Pod ×4 alike · show each, Healthy",
      "api-7c-x Pod · 7, Degraded",
    ]);
    expect(found).toHaveAttribute("aria-activedescendant", within(found).getAllByRole("treeitem")[0]?.id);
    await expectAccessible();
  });

  it("can be walked through by keys, and a group be opened", async () => {
    hub();
    const { router } = drawAt("/apps/shop?tab=tree");
    const found = await screen.findByRole("tree");
    found.focus();
    const active = () => document.getElementById(found.getAttribute("aria-activedescendant") ?? "")?.textContent;
    await userEvent.keyboard("{ArrowRight}{ArrowRight}{ArrowRight}");
    expect(active()).toBe("Pod ×4 alike · show each, Healthy");
    await userEvent.keyboard("{ArrowDown}");
    expect(active()).toBe("api-7c-x Pod · 7, Degraded");
    await userEvent.keyboard("{ArrowUp}{Enter}");
    await waitFor(() => expect(items()).toHaveLength(8));
    expect(active()).toBe("api-7c-a Pod, Healthy");
    expect(router.state.location.search).toHaveProperty("open");
    await userEvent.keyboard("{Enter}");
    expect(await screen.findByRole("complementary", { name: "Details" })).toHaveTextContent("api-7c-a");
    expect(router.state.location.search).toMatchObject({ sel: "/Pod/pay/api-7c-a", sheet: "summary" });
  });

  it("are filtered by what the address says, and an empty answer names the part that empties it", async () => {
    hub();
    const { router } = drawAt("/apps/shop?tab=tree&kind=Pod&health=Degraded");
    await screen.findByRole("tree");
    expect(items()).toEqual([
      "shop Application, Degraded",
      "api Deployment, Degraded, Drifted",
      "api-7c ReplicaSet, Healthy",
      "api-7c-x Pod · 7, Degraded",
    ]);
    await userEvent.type(screen.getByRole("textbox", { name: "Find objects" }), "nope");
    await userEvent.click(await screen.findByRole("button", { name: "Without nope: 1" }));
    await waitFor(() => expect(items()).toHaveLength(4));
    expect(router.state.location.search).not.toHaveProperty("q");
  });

  it("are a list and pods, too", async () => {
    hub();
    const { router } = drawAt("/apps/shop?tab=tree&view=list");
    const grid = await screen.findByRole("grid");
    expect(within(grid).getAllByRole("row")).toHaveLength(8);
    await userEvent.click(within(grid).getByRole("button", { name: "Health" }));
    await waitFor(() => expect(within(grid).getAllByRole("row")[1]).toHaveTextContent("Degraded"));
    expect(router.state.location.search).toMatchObject({ sort: "health" });
    await userEvent.click(screen.getByRole("radio", { name: "Pods" }));
    const pods = await screen.findByRole("region", { name: "Pods" });
    expect(within(pods).getByRole("heading")).toHaveTextContent("Deployment/api 5 pods");
    expect(within(pods).getAllByRole("link")[0]).toHaveTextContent("7 restarts");
    await expectAccessible();
  });

  it("are hatched when their cluster does not report", async () => {
    hub({ "GET /applications/:name": () => ({ ...app, freshness: "stale" }) });
    drawAt("/apps/shop?tab=tree");
    await screen.findByRole("tree");
    for (const e of screen.getAllByRole("treeitem")) expect(e).toHaveAttribute("data-stale");
    expect(items()[1]).toContain("Stale");
  });

  it("are those of the sources alone when the tree cannot be read", async () => {
    hub({ "GET /applications/:name/tree": () => problemAnswer(500, "internal", "no") });
    drawAt("/apps/shop?tab=tree");
    expect(await screen.findByText(/What the objects own could not be read/)).toBeVisible();
    expect(items()).toEqual(["shop Application, Degraded", "api Deployment, Degraded, Drifted"]);
  });
});

describe("side sheet of an object", () => {
  const at = "/apps/shop?tab=tree&sel=apps%2FDeployment%2Fpay%2Fapi&sheet=";

  it("tells its state, what differs, what it owns, and the commands; Esc closes it", async () => {
    hub();
    const { router } = drawAt(`${at}summary`);
    const sheet = await screen.findByRole("complementary", { name: "Details" });
    expect(await within(sheet).findByText("1 field differs")).toBeVisible();
    expect(within(sheet).getByText(".spec.replicas")).toBeVisible();
    expect(within(sheet).getByRole("link", { name: "ReplicaSet/api-7c" })).toBeVisible();
    expect(sheet).toHaveTextContent("hawser app resource shop Deployment.apps/api -n pay");
    expect(sheet).toHaveTextContent("kubectl -n pay get Deployment.apps/api -o yaml");
    await expectAccessible(sheet);
    await userEvent.keyboard("{Escape}");
    await waitFor(() => expect(screen.queryByRole("complementary", { name: "Details" })).toBeNull());
    expect(router.state.location.search).not.toHaveProperty("sheet");
  });

  it("says that an object is not there any more", async () => {
    hub();
    drawAt("/apps/shop?tab=tree&sel=%2FPod%2Fpay%2Fgone&sheet=summary");
    expect(await screen.findByText("This object is not there")).toBeVisible();
  });

  it("shows the live object as YAML, and asks for managed fields when they are wanted", async () => {
    const asked = hub({
      "GET /applications/:name/resource": (a) =>
        new Response(a.query.has("managedFields") ? "managedFields: []\n" : "kind: Deployment\n", {
          headers: { "Content-Type": "application/yaml" },
        }),
    });
    drawAt(`${at}yaml`);
    const text = await screen.findByLabelText("Live YAML of api");
    expect(text).toHaveTextContent("kind: Deployment");
    const first = asked.find((a) => a.path.endsWith("/resource"));
    expect(first?.headers.get("Accept")).toContain("application/yaml");
    expect(Object.fromEntries(first?.query ?? [])).toEqual({
      group: "apps",
      kind: "Deployment",
      namespace: "pay",
      resourceName: "api",
    });
    await userEvent.click(screen.getByRole("checkbox", { name: "Managed fields" }));
    await waitFor(() => expect(screen.getByLabelText("Live YAML of api")).toHaveTextContent("managedFields"));
  });

  it("runs an action after it was asked about, once, with its parameters", async () => {
    let refuse = true;
    const asked = hub({
      "POST /applications/:name/actions": () => {
        if (!refuse) return { id: "op" };
        refuse = false;
        return problemAnswer(403, "permission_denied", "you may not scale", { id: "HW-4001" });
      },
    });
    drawAt(`${at}summary`);
    await userEvent.click(await screen.findByRole("button", { name: "Actions" }));
    expect(await screen.findByRole("menuitem", { name: "resume" })).toBeDisabled();
    await userEvent.click(screen.getByRole("menuitem", { name: "scale" }));
    const dialog = await screen.findByRole("dialog");
    await userEvent.type(within(dialog).getByLabelText("replicas"), "5");
    expect(dialog).toHaveTextContent(
      "hawser app actions run shop scale --kind Deployment --group apps --namespace pay --resource-name api --param replicas=5",
    );
    await userEvent.click(within(dialog).getByRole("button", { name: "scale" }));
    expect(await within(dialog).findByText("HW-4001")).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "scale" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    const runs = asked.filter((a) => a.method === "POST");
    expect(runs).toHaveLength(2);
    expect(runs[1]?.body).toEqual({
      resource: { group: "apps", kind: "Deployment", namespace: "pay", name: "api" },
      action: "scale",
      params: { replicas: "5" },
    });
    expect(runs[0]?.headers.get("Idempotency-Key")).toBe(runs[1]?.headers.get("Idempotency-Key"));
  });
});

import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { Repository } from "../../api/types";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";
import { blankCredential, fieldsOf, mistakesIn } from "./credential";
import { changeOf, editOf, isWhole } from "./credentialChange";

const hostile = `javascript:alert(1)//<img src=x>\u202e`;

const repository = (id: string, more: Partial<Repository> = {}): Repository => ({
  id,
  url: `https://git/${id}`,
  type: "git",
  state: "ok",
  ...more,
});

const page = (items: Repository[], total = items.length) => ({
  items,
  total,
  asOf: "",
  facets: { state: { values: { error: 1 } } },
});

const lines = (...docs: object[]) =>
  new Response(docs.map((d) => `${JSON.stringify(d)}\n`).join(""), {
    headers: { "Content-Type": "application/x-ndjson" },
  });

const failed = {
  kind: "unavailable",
  code: "repo_unauthorized",
  detail: "401 from git.example.com",
  fix: "give a token",
};

describe("repositories", () => {
  it("have their cause beside the state, and hostile URLs are text", async () => {
    hubAnswers({
      "GET /repositories": () =>
        page([repository("a", { url: hostile, state: "error", error: "no such host <b>git</b>" })]),
      "GET /repositories/:id": () => repository("a", { url: hostile }),
      "GET /applications": () => ({ items: [], total: 3, asOf: "" }),
    });
    drawAt("/repositories?sel=a");
    expect(await screen.findByText("no such host <b>git</b>")).toBeVisible();
    expect(await screen.findByRole("link", { name: "3" })).toBeVisible();
    expect(document.querySelector("img, b")).toBeNull();
    for (const a of document.querySelectorAll("a")) expect(a.getAttribute("href")).not.toMatch(/^\s*javascript:/i);
    await expectAccessible();
  });

  it("are tried step by step before they are added, with nothing of another way to log in", async () => {
    const asked = hubAnswers({
      "GET /repositories": () => page([]),
      "POST /repositories/test": () =>
        lines(
          { step: { name: "dns", ok: true, detail: "10.0.0.1", milliseconds: 2 } },
          { step: { name: "auth", ok: false, milliseconds: 9, problem: failed } },
          {
            test: {
              ok: false,
              credential: "given",
              steps: [
                { name: "dns", ok: true, detail: "10.0.0.1", milliseconds: 2 },
                { name: "auth", ok: false, milliseconds: 9, problem: failed },
              ],
              problem: failed,
            },
          },
        ),
      "POST /repositories": (a) => ({ id: "r", state: "ok", ...(a.body as object) }),
    });
    const { router } = drawAt("/repositories?sheet=add");
    const sheet = await screen.findByRole("complementary");
    await userEvent.type(within(sheet).getByLabelText("URL"), "https://git.example.com/app");
    await userEvent.click(within(sheet).getByRole("button", { name: "Test connection" }));
    const test = await within(sheet).findByRole("region", { name: "Test connection" });
    expect(await within(test).findByText("401 from git.example.com")).toBeVisible();
    expect(within(test).getByText("give a token")).toBeVisible();
    expect(within(test).getByRole("img", { name: "Failed" })).toBeVisible();
    expect(within(sheet).getByText("hawser repo add https://git.example.com/app")).toBeVisible();
    await expectAccessible();
    await userEvent.click(within(sheet).getByRole("button", { name: "Add" }));
    await waitFor(() => expect(router.state.location.search).not.toHaveProperty("sheet"));
    const post = asked.find((a) => a.method === "POST" && a.path === "/repositories");
    expect(post?.body).toEqual({ url: "https://git.example.com/app", type: "git" });
    expect(post?.headers.get("Idempotency-Key")).toBeTruthy();
  });

  it("say when a test was cut off", async () => {
    hubAnswers({
      "GET /repositories": () => page([repository("a")]),
      "GET /repositories/:id": () => repository("a"),
      "GET /applications": () => ({ items: [], total: 0, asOf: "" }),
      "POST /repositories/test": () => lines({ step: { name: "dns", ok: true, milliseconds: 1 } }),
    });
    drawAt("/repositories?sel=a");
    await userEvent.click(await screen.findByRole("button", { name: "Test connection" }));
    expect(await screen.findByText("the answer ended early")).toBeVisible();
  });

  it("are removed only when that is confirmed, and say why not", async () => {
    const asked = hubAnswers({
      "GET /repositories": () => page([repository("a")]),
      "GET /repositories/:id": () => repository("a"),
      "GET /applications": () => ({ items: [], total: 2, asOf: "" }),
      "DELETE /repositories/:id": () =>
        problemAnswer(409, "repository_in_use", "2 applications use it", { id: "HW-1" }),
    });
    drawAt("/repositories?sel=a");
    await screen.findByRole("link", { name: "2" });
    await userEvent.click(screen.getByRole("button", { name: "Remove" }));
    const dialog = await screen.findByRole("dialog");
    expect(within(dialog).getByText(/2 applications use it/)).toBeVisible();
    expect(asked.some((a) => a.method === "DELETE")).toBe(false);
    await userEvent.click(within(dialog).getByRole("button", { name: "Remove" }));
    expect(await within(dialog).findByRole("alert")).toHaveTextContent("HW-1");
  });

  const tagged = (body: object) =>
    new Response(JSON.stringify(body), { headers: { "Content-Type": "application/json", ETag: '"7"' } });

  it("have their credential replaced without the stored one being shown, against their version", async () => {
    const asked = hubAnswers({
      "GET /repositories": () => page([repository("a")]),
      "GET /repositories/:id": () =>
        tagged(repository("a", { credential: { kinds: ["password"], username: "git" }, project: "shop" })),
      "GET /applications": () => ({ items: [], total: 0, asOf: "" }),
      "PATCH /repositories/:id": () => repository("a"),
    });
    drawAt("/repositories?sel=a");
    await userEvent.click(await screen.findByRole("button", { name: "Edit" }));
    const form = await screen.findByRole("form", { name: "Edit" });
    const save = within(form).getByRole("button", { name: "Save" });
    expect(save).toBeDisabled();
    expect(within(form).queryByLabelText("Password")).toBeNull();
    fireEvent.click(within(form).getByRole("combobox", { name: "Credential" }));
    fireEvent.click(await screen.findByRole("option", { name: "Bearer token" }));
    expect(save).toBeDisabled();
    fireEvent.change(within(form).getByLabelText("Token"), { target: { value: "s3cr3t" } });
    expect(
      within(form).getByText("hawser repo add https://git/a --project shop --bearer-token-file token"),
    ).toBeVisible();
    await expectAccessible();
    fireEvent.click(save);
    await waitFor(() => expect(asked.some((a) => a.method === "PATCH")).toBe(true));
    const patch = asked.find((a) => a.method === "PATCH");
    expect(patch?.headers.get("If-Match")).toBe('"7"');
    // What was there before is taken back; what was not touched is not sent.
    expect(patch?.body).toMatchObject({ bearerToken: "s3cr3t", username: "", password: "", sshKey: "" });
    expect(patch?.body).not.toHaveProperty("project");
    expect(await screen.findByRole("button", { name: "Edit" })).toBeVisible();
  });

  it("have credential templates: added, and removed by name", async () => {
    const asked = hubAnswers({
      "GET /repository-templates": () => ({
        items: [{ id: "t1", url: hostile, credential: { kinds: ["ssh"] } }],
        total: 1,
        asOf: "",
      }),
      "POST /repository-templates": () => ({ id: "t2", url: "https://git/team" }),
      "DELETE /repository-templates/:id": () => undefined,
    });
    drawAt("/repositories?tab=templates");
    expect(await screen.findByText("ssh")).toBeVisible();
    const tabs = within(screen.getByRole("navigation", { name: "Repositories" })).getAllByRole("link");
    expect(tabs.map((x) => x.getAttribute("aria-current"))).toEqual([null, "page"]);
    expect(document.querySelector("img")).toBeNull();
    fireEvent.click(screen.getByRole("button", { name: "Add template" }));
    const form = await screen.findByRole("form", { name: "Add template" });
    fireEvent.change(within(form).getByLabelText("URL"), { target: { value: "https://git/team" } });
    const store = within(form).getByRole("button", { name: "Store template" });
    expect(store).toBeDisabled();
    fireEvent.change(within(form).getByLabelText("Password or token"), { target: { value: "p" } });
    expect(within(form).getByText("hawser repocreds add https://git/team --password-stdin")).toBeVisible();
    fireEvent.click(store);
    await waitFor(() => expect(asked.some((a) => a.method === "POST")).toBe(true));
    expect(asked.find((a) => a.method === "POST")?.body).toMatchObject({ url: "https://git/team", password: "p" });
    fireEvent.click(await screen.findByRole("button", { name: /^Remove the template/ }));
    const dialog = await screen.findByRole("dialog");
    fireEvent.click(within(dialog).getByRole("button", { name: "Remove" }));
    await waitFor(() => expect(asked.some((a) => a.path === "/repository-templates/t1")).toBe(true));
  });

  const pem = (kind: string) => `-----BEGIN ${kind}-----\nMII\n-----END ${kind}-----`;

  it("are opened as a GitHub App, with what cannot be right said before anything is sent", async () => {
    const asked = hubAnswers({
      "GET /repositories": () => page([]),
      "POST /repositories": () =>
        problemAnswer(422, "github_app_invalid", "githubAppPrivateKey is not an RSA key", {
          field: "githubAppPrivateKey",
        }),
    });
    drawAt("/repositories?sheet=add");
    const sheet = within(await screen.findByRole("complementary"));
    fireEvent.change(sheet.getByLabelText("URL"), { target: { value: "https://github.com/o/r" } });
    fireEvent.click(sheet.getByRole("combobox", { name: "Credential" }));
    fireEvent.click(await screen.findByRole("option", { name: "GitHub App" }));
    const add = sheet.getByRole("button", { name: "Add" });
    const write = (label: string, value: string) => {
      const field = sheet.getByLabelText(label);
      fireEvent.change(field, { target: { value } });
      fireEvent.blur(field);
      return field;
    };
    expect(write("App ID", "x1")).toHaveAccessibleDescription("This is a positive number.");
    expect(write("Private key of the app", pem("PUBLIC KEY"))).toHaveAccessibleDescription(/public key/);
    expect(write("API of GitHub Enterprise, or empty", "github.example.com")).toHaveAccessibleDescription(
      /URL such as/,
    );
    expect(add).toBeDisabled();
    await expectAccessible();
    write("App ID", "7");
    write("Installation ID", "8");
    write("API of GitHub Enterprise, or empty", "https://ghe/api/v3");
    const key = write("Private key of the app", pem("RSA PRIVATE KEY"));
    expect(
      sheet.getByText(
        "hawser repo add https://github.com/o/r --github-app-id 7 --github-app-installation-id 8 --github-app-private-key-file app.pem --github-app-base-url https://ghe/api/v3",
      ),
    ).toBeVisible();
    expect(add).toBeEnabled();
    fireEvent.click(add);
    // What only the hub knows is beside its field too, and said once.
    await waitFor(() => expect(key).toHaveAccessibleDescription(/not an RSA key/));
    expect(sheet.getAllByText(/not an RSA key/)).toHaveLength(1);
    expect(asked.find((a) => a.method === "POST")?.body).toEqual({
      url: "https://github.com/o/r",
      type: "git",
      githubAppID: 7,
      githubAppInstallationID: 8,
      githubAppPrivateKey: `${pem("RSA PRIVATE KEY")}\n`,
      githubAppBaseURL: "https://ghe/api/v3",
    });
  });

  it("are opened with a client certificate, alone or beside another credential", () => {
    const cert = { clientCert: pem("CERTIFICATE"), clientKey: pem("PRIVATE KEY") };
    const draft = { ...blankCredential, ...cert };
    expect(fieldsOf({ ...draft, way: "cert" })).toMatchObject({ clientCert: `${cert.clientCert}\n` });
    expect(fieldsOf({ ...draft, way: "token", bearerToken: "t" })).toMatchObject({
      bearerToken: "t",
      clientKey: `${cert.clientKey}\n`,
    });
    expect(fieldsOf({ ...draft, way: "ssh" }).clientCert).toBeUndefined();
    expect(mistakesIn({ ...draft, way: "cert" })).toEqual({});
    expect(mistakesIn({ ...draft, way: "password", clientKey: "" })).toEqual({ clientKey: "repositories.wrong.pair" });
    const swapped = { ...draft, clientCert: cert.clientKey, clientKey: pem("ENCRYPTED PRIVATE KEY") };
    expect(mistakesIn(swapped)).toEqual({
      clientCert: "repositories.wrong.certificate",
      clientKey: "repositories.wrong.encrypted",
    });
    expect(mistakesIn({ ...blankCredential, noProxy: "a", caBundle: "x" })).toEqual({
      noProxy: "repositories.wrong.noProxy",
      caBundle: "repositories.wrong.certificate",
    });
    expect(mistakesIn({ ...blankCredential, way: "ssh", sshKey: "ssh-ed25519 AAAA", knownHosts: "a b" })).toEqual({
      sshKey: "repositories.wrong.public",
      knownHosts: "repositories.wrong.hosts",
    });
    const stored = editOf(repository("a", { credential: { githubAppID: 5, options: ["passCredentials"] } }));
    expect(stored).toMatchObject({ githubAppID: "5", passCredentials: true });
    expect(changeOf({ ...stored, way: "app", githubAppPrivateKey: pem("RSA PRIVATE KEY") }, stored)).toMatchObject({
      githubAppID: 5,
      password: "",
      githubAppBaseURL: "",
    });
    expect(changeOf({ ...stored, way: "cert", ...cert }, stored)).toMatchObject({
      clientCert: `${cert.clientCert}\n`,
      sshKey: "",
      githubAppID: 0,
    });
    expect(changeOf({ ...stored, passCredentials: false }, stored)).toEqual({ passCredentials: false });
  });

  it("change only what differs", () => {
    const before = editOf(repository("a", { credential: { insecure: ["insecureSkipVerify"], proxy: "http://p" } }));
    expect(before.insecureSkipVerify).toBe(true);
    expect(changeOf(before, before)).toEqual({});
    expect(changeOf({ ...before, insecureSkipVerify: false, proxy: "" }, before)).toEqual({
      insecureSkipVerify: false,
      proxy: "",
    });
    expect(changeOf({ ...before, way: "none" }, before)).toMatchObject({ password: "", clientKey: "", knownHosts: "" });
    expect(isWhole({ ...before, way: "ssh" })).toBe(false);
  });
});

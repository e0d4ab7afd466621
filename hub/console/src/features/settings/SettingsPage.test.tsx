import { EditorView } from "@codemirror/view";
import { act, fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";
import { placeOfKey } from "./customizationKeys";
import { formatGrants, parseGrants, placeIn } from "./grants";

const hostile = `<img src=x onerror=alert(1)>\u202e`;
const list = (...items: object[]) => ({ items, total: items.length, asOf: "" });
const at = "2026-06-01T10:00:00Z";

describe("settings", () => {
  it("say what is not well, with its code and where to look, and which versions there are", async () => {
    hubAnswers({
      "GET /hub": () => ({ hubID: "h", incarnation: 2, holdDeletes: true, version: "v1" }),
      "GET /fleet/summary": () => ({
        clusters: { total: 10, reporting: 8, silent: 2 },
        applications: {},
        projects: 1,
        asOf: at,
      }),
      "GET /clusters": () => ({ ...list(), facets: { agent: { values: { v1: 7, v0: 3 } } } }),
      "GET /repositories": () =>
        list({ id: "r1", url: hostile, type: "git", state: "error", error: "401", errorCode: "repo_unauthorized" }),
      "POST /hub/acknowledge-restore": () => ({ hubID: "h", incarnation: 2, holdDeletes: false, version: "v1" }),
    });
    drawAt("/settings");
    expect(await screen.findByText("8 of 10 report")).toBeVisible();
    expect(await screen.findByText("repo_unauthorized")).toBeVisible();
    // Whatever is red has a code and says what to do.
    const findings = screen.getByRole("table", { name: "Health" });
    const red = within(findings)
      .getAllByRole("row")
      .filter((r) => r.querySelector('[data-state="degraded"]') !== null);
    expect(red.length).toBe(3);
    for (const r of red) {
      expect(r.querySelector("code")?.textContent).toMatch(/^(HW-\d{4}|repo_unauthorized)$/);
      expect(r.querySelector("[data-fix]")?.textContent).not.toBe("");
      expect(r.querySelector("[data-fix]")).not.toBeNull();
    }
    const versions = await screen.findByRole("table", { name: "Versions of agents" });
    expect(
      within(versions)
        .getAllByRole("row")
        .slice(1)
        .map((r) => r.textContent),
    ).toEqual(["v1The same7", "v0Another3"]);
    expect(document.querySelector("img")).toBeNull();
    await expectAccessible();
    await userEvent.click(screen.getByRole("button", { name: "Acknowledge the restore" }));
    expect(await screen.findByText("hawser hub acknowledge-restore")).toBeVisible();
  });

  it("never call a database well that was not asked", async () => {
    hubAnswers({
      "GET /hub": () => ({ hubID: "h", incarnation: 1, holdDeletes: false, version: "v1" }),
      "GET /fleet/summary": () => problemAnswer(503, "database_away", "gone", { id: "HW-9001" }),
      "GET /clusters": () => list(),
      "GET /repositories": () => list(),
    });
    drawAt("/settings");
    expect((await screen.findAllByText("HW-9001")).length).toBe(2);
    expect(screen.queryByText("It answers")).toBeNull();
  });

  it("issue a token once, and revoke it", async () => {
    const asked = hubAnswers({
      "GET /tokens": () =>
        list({
          id: "t1",
          name: hostile,
          admin: false,
          grants: [{ role: "viewer", project: "*" }],
          createdAt: at,
          expiresAt: at,
        }),
      "POST /tokens": (a) => ({ id: "t2", token: "hwt_secret", createdAt: at, expiresAt: at, ...(a.body as object) }),
      "DELETE /tokens/:id": () => undefined,
    });
    drawAt("/settings?tab=tokens");
    await userEvent.click(await screen.findByRole("button", { name: "New token" }));
    const dialog = await screen.findByRole("dialog");
    const issue = within(dialog).getByRole("button", { name: "Issue token" });
    await userEvent.type(within(dialog).getByLabelText("Name"), "ci");
    expect(issue).toBeDisabled(); // it may nothing yet
    await userEvent.type(within(dialog).getByLabelText("Roles in projects"), "operator:team-*");
    expect(within(dialog).getByText("hawser token create ci --grant 'operator:team-*' --ttl 720h")).toBeVisible();
    await userEvent.click(issue);
    expect(await within(dialog).findByText("hwt_secret")).toBeVisible();
    expect(asked.find((a) => a.method === "POST")?.body).toEqual({
      name: "ci",
      ttl: "720h",
      grants: [{ role: "operator", project: "team-*" }],
    });
    await userEvent.click(within(dialog).getByRole("button", { name: "I have copied it" }));
    await waitFor(() => expect(screen.queryByText("hwt_secret")).toBeNull());
    await userEvent.click(screen.getByRole("button", { name: /Revoke token/ }));
    await userEvent.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "Revoke" }));
    await waitFor(() => expect(asked.some((a) => a.method === "DELETE" && a.path === "/tokens/t1")).toBe(true));
  });

  it("explain to those who may not see tokens", async () => {
    hubAnswers({ "GET /tokens": () => problemAnswer(403, "permission_denied", "not for you", { id: "HW-4101" }) });
    drawAt("/settings?tab=tokens");
    expect(await screen.findByText("HW-4101")).toBeVisible();
    expect(screen.queryByRole("button", { name: "New token" })).toBeNull();
  });

  it("try an identity provider step by step", async () => {
    hubAnswers({
      "GET /settings/providers": () =>
        list({
          name: "corp",
          issuer: "javascript:alert(1)",
          clientID: "c",
          confidential: true,
          redirectURI: "https://hub/auth/callback",
          version: 1,
          changedBy: "ana",
          changedAt: at,
        }),
      "POST /settings/providers/:name/test": () => ({
        ok: false,
        steps: [
          { name: "tls", ok: true, detail: "fine", millis: 3 },
          { name: "discovery", ok: false, fix: "look at the issuer", id: "HW-2301", millis: 8 },
        ],
      }),
    });
    drawAt("/settings?tab=providers");
    await userEvent.click(await screen.findByRole("button", { name: "Test" }));
    expect(await screen.findByText("look at the issuer · HW-2301")).toBeVisible();
    expect(screen.getByText("The provider does not answer as it should")).toBeVisible();
    for (const a of document.querySelectorAll("a")) expect(a.getAttribute("href")).not.toMatch(/^\s*javascript:/i);
    await expectAccessible();
  });

  it("show who a tested login would be, and which step fails", async () => {
    const steps = (ok: boolean) => [
      { name: "answer", ok: true, millis: 1 },
      { name: "members", ok, millis: 1, detail: ok ? "" : "in none of the groups", fix: "ask", id: "HW-3070" },
    ];
    const asked = hubAnswers({
      "GET /settings/providers": () => list(),
      "POST /settings/providers/:name/sign-in": (a) =>
        (a.body as { code: string }).code === "good"
          ? {
              ok: true,
              provider: "corp",
              at,
              steps: steps(true),
              claims: [{ name: "email", value: `"${hostile}"` }],
              person: { subject: "s1", name: "ann", groups: ["dev"] },
              roles: [{ role: "role:dev", as: "dev", by: "policy.csv line 2" }],
              admin: false,
            }
          : { ok: false, provider: "corp", at, steps: steps(false), claims: [], roles: [], admin: false },
    });
    const first = drawAt("/settings?tab=providers&provider=corp&signin=good");
    expect(await screen.findByText("This login would work")).toBeVisible();
    expect(screen.getByText("role:dev")).toBeVisible();
    expect(screen.getByText("as dev, by policy.csv line 2")).toBeVisible();
    expect(document.querySelector("img")).toBeNull();
    expect(asked.find((a) => a.method === "POST")?.path).toBe("/settings/providers/corp/sign-in");
    await expectAccessible();
    first.unmount();
    drawAt("/settings?tab=providers&provider=corp&signin=bad");
    expect(await screen.findByText("This login would be refused")).toBeVisible();
    expect(screen.getByText("HW-3070")).toBeVisible();
    expect(screen.queryByText("Would be")).toBeNull();
  });

  it("set an identity provider against its version, and never have its secret", async () => {
    const stored = {
      name: "corp",
      issuer: "https://idp.example.org",
      clientID: "hawser",
      confidential: true,
      groupsPrefix: "corp:",
      allowedDomains: ["example.org"],
      redirectURI: "https://hub/auth/callback/corp",
      version: 3,
      changedBy: "ana",
      changedAt: at,
    };
    let tries = 0;
    const asked = hubAnswers({
      "GET /settings/providers": () => list(stored),
      "PUT /settings/providers/:name": (a) =>
        tries++ === 0
          ? problemAnswer(400, "oidc_settings_invalid", "the client id has 1 to 255 printable characters", {
              field: "clientID",
            })
          : { ...stored, ...(a.body as object), name: a.path.split("/").at(-1) },
      "DELETE /settings/providers/:name": () => undefined,
    });
    drawAt("/settings?tab=providers");
    await userEvent.click(await screen.findByRole("button", { name: "Edit provider corp" }));
    const dialog = await screen.findByRole("dialog");
    await expectAccessible();
    const save = within(dialog).getByRole("button", { name: "Save provider" });
    const issuer = within(dialog).getByLabelText("Issuer");
    fireEvent.change(issuer, { target: { value: "https://idp.example.org/new" } });
    expect(save).toBeDisabled(); // the secret was for another
    fireEvent.change(issuer, { target: { value: stored.issuer } });
    fireEvent.click(save);
    expect(await within(dialog).findByText("the client id has 1 to 255 printable characters")).toBeVisible();
    fireEvent.click(save);
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    const puts = asked.filter((a) => a.method === "PUT");
    expect(puts.length).toBe(2);
    expect(puts[1]?.headers.get("If-Match")).toBe('"3"');
    expect(puts[1]?.body).toEqual({
      issuer: "https://idp.example.org",
      clientID: "hawser",
      groupsPrefix: "corp:",
      allowedDomains: ["example.org"],
    });

    fireEvent.click(screen.getByRole("button", { name: "Delete provider corp" }));
    const ask = await screen.findByRole("dialog");
    expect(within(ask).getByText("hawser settings provider delete corp")).toBeVisible();
    fireEvent.change(within(ask).getByRole("textbox"), { target: { value: "corp" } });
    fireEvent.click(within(ask).getByRole("button", { name: "Delete" }));
    await waitFor(() => expect(asked.find((a) => a.method === "DELETE")?.headers.get("If-Match")).toBe('"3"'));
  });

  it("add an identity provider, with its secret in no command line", async () => {
    const asked = hubAnswers({
      "GET /settings/providers": () => list(),
      "PUT /settings/providers/:name": (a) => ({ ...(a.body as object), name: "corp", version: 1, redirectURI: "" }),
    });
    drawAt("/settings?tab=providers");
    await userEvent.click(await screen.findByRole("button", { name: "New provider" }));
    const dialog = await screen.findByRole("dialog");
    const fill = (label: string, value: string) =>
      fireEvent.change(within(dialog).getByLabelText(label), { target: { value } });
    fill("Name", "corp");
    fill("Client ID", "hawser");
    fill("Issuer", "https://idp.example.org");
    fill("New client secret", "s3cr3t");
    expect(
      within(dialog).getByText(
        "hawser settings provider set corp --issuer https://idp.example.org --client-id hawser --client-secret-stdin",
      ),
    ).toBeVisible();
    expect(dialog.textContent).not.toContain("s3cr3t");
    await userEvent.click(within(dialog).getByRole("button", { name: "Save provider" }));
    await waitFor(() =>
      expect(asked.find((a) => a.method === "PUT")?.body).toEqual({
        issuer: "https://idp.example.org",
        clientID: "hawser",
        clientSecret: "s3cr3t",
      }),
    );
  });

  it("show what the hub finds in a policy, and store it only against its version", async () => {
    const asked = hubAnswers({
      "GET /settings/rbac": () =>
        new Response(JSON.stringify({ version: 4, enforced: true, rbac: { "policy.csv": "g, ana, role:admin\n" } }), {
          headers: { "Content-Type": "application/json", ETag: '"4"' },
        }),
      "POST /settings/rbac/check": (a) =>
        (a.body as { rbac: Record<string, string> }).rbac["policy.default"] === "role:nope"
          ? {
              version: 4,
              result: "configured",
              enforced: true,
              warnings: [{ field: "policy.default", message: "no role role:nope" }],
            }
          : { version: 4, result: "unchanged", enforced: true },
      "PUT /settings/rbac": () => ({ version: 5, result: "configured", enforced: true }),
    });
    drawAt("/settings?tab=rbac");
    expect(await screen.findByText("The hub finds nothing wrong.")).toBeVisible();
    expect(await screen.findByRole("textbox", { name: "Text of policy.csv" })).toBeVisible();
    await userEvent.type(screen.getByLabelText("Role of everybody"), "role:nope");
    expect(await screen.findByText("no role role:nope")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Review and save …" }));
    const dialog = await screen.findByRole("dialog");
    await userEvent.click(within(dialog).getByRole("button", { name: "Save policy" }));
    await waitFor(() => expect(asked.some((a) => a.method === "PUT")).toBe(true));
    const put = asked.find((a) => a.method === "PUT");
    expect(put?.headers.get("If-Match")).toBe('"4"');
    expect(put?.body).toEqual({ rbac: { "policy.csv": "g, ana, role:admin\n", "policy.default": "role:nope" } });
  });

  describe("customizations", () => {
    const health = "resource.customizations.health.example.org_Widget";
    const ignore = "resource.customizations.ignoreDifferences.apps_Deployment";
    const stored = () =>
      new Response(
        JSON.stringify({
          version: 3,
          changedBy: "ana",
          changedAt: at,
          customizations: { [health]: "return {}\n" },
          clusters: { current: 4, behind: 1, behindNames: [hostile] },
          versions: [{ version: 3, changedAt: at }],
        }),
        { headers: { "Content-Type": "application/json", ETag: '"3"' } },
      );

    it("say what storing them would change, and store them only against their version", async () => {
      const asked = hubAnswers({
        "GET /settings/customizations": stored,
        "PUT /settings/customizations": (a) => {
          const sent = (a.body as { customizations: Record<string, string> }).customizations;
          return sent[ignore] === undefined
            ? { version: 3, result: "configured", dryRun: true, changes: [{ key: health, change: "removed" }] }
            : {
                version: 4,
                result: "configured",
                changes: [
                  { key: health, change: "removed", before: "return {}\n" },
                  { key: ignore, change: "added", after: "jsonPointers:\n- /spec/replicas\n" },
                ],
              };
        },
      });
      drawAt("/settings?tab=customizations");
      expect(await screen.findByText(/^1 of 5 clusters do not have this version yet/)).toBeVisible();
      const save = screen.getByRole("button", { name: "Review and save …" });
      expect(save).toBeDisabled();
      await userEvent.click(screen.getByRole("button", { name: "Remove health.example.org_Widget" }));
      expect(await screen.findByText("removed")).toBeVisible();
      expect(await screen.findByText("The hub finds nothing wrong; 1 key would change.")).toBeVisible();
      await userEvent.click(screen.getByRole("button", { name: "Add a key …" }));
      const adding = await screen.findByRole("dialog");
      fireEvent.click(within(adding).getByRole("combobox", { name: "What" }));
      fireEvent.click(await screen.findByRole("option", { name: "Ignored differences" }));
      fireEvent.change(within(adding).getByLabelText("API group (empty: core)"), { target: { value: "apps" } });
      fireEvent.change(within(adding).getByLabelText("Kind"), { target: { value: "Deployment" } });
      await userEvent.click(within(adding).getByRole("button", { name: "Add a key …" }));
      expect(await screen.findByText("The hub finds nothing wrong; 2 keys would change.")).toBeVisible();
      await expectAccessible();
      await userEvent.click(save);
      const dialog = await screen.findByRole("dialog", { name: "Save the customizations?" });
      expect(within(dialog).getByText("- /spec/replicas")).toBeVisible();
      expect(
        within(dialog).getByText("hawser settings customizations set -f argocd-cm.yaml --if-version 3"),
      ).toBeVisible();
      await userEvent.click(within(dialog).getByRole("button", { name: "Save customizations" }));
      const writes = () => asked.filter((a) => a.method === "PUT" && a.query.get("dryRun") === null);
      await waitFor(() => expect(writes()).toHaveLength(1));
      expect(writes()[0]?.headers.get("If-Match")).toBe('"3"');
      expect(writes()[0]?.body).toEqual({ customizations: { [ignore]: "jsonPointers:\n- /spec/replicas\n" } });
    });

    it("show an error in a script, and do not store it", async () => {
      hubAnswers({
        "GET /settings/customizations": stored,
        "PUT /settings/customizations": () =>
          problemAnswer(400, "customization_invalid", `${health}: line 2: syntax error near end`, {
            id: "HW-1001",
            field: health,
          }),
      });
      drawAt("/settings?tab=customizations");
      await userEvent.click(await screen.findByRole("button", { name: "Add a key …" }));
      const adding = await screen.findByRole("dialog");
      await userEvent.type(within(adding).getByLabelText("Kind"), "Pod");
      await userEvent.click(within(adding).getByRole("button", { name: "Add a key …" }));
      expect(await screen.findByText(/line 2: syntax error/)).toBeVisible();
      expect(screen.getByText("error")).toBeVisible();
      expect(screen.getByRole("button", { name: "Review and save …" })).toBeDisabled();
    });

    it("read an argocd-cm into the draft, and name what is left out", async () => {
      hubAnswers({
        "GET /settings/customizations": stored,
        "PUT /settings/customizations": () => ({
          version: 3,
          result: "configured",
          dryRun: true,
          changes: [{ key: ignore, change: "added", after: "jsonPointers: []\n" }],
          unused: [{ key: hostile, why: "it is not about resources" }],
        }),
      });
      drawAt("/settings?tab=customizations");
      await userEvent.click(await screen.findByRole("button", { name: "Read argocd-cm …" }));
      const dialog = await screen.findByRole("dialog");
      const box = await within(dialog).findByRole("textbox", { name: "Text of the ConfigMap" });
      act(() => EditorView.findFromDOM(box)?.dispatch({ changes: { from: 0, insert: "kind: ConfigMap" } }));
      await userEvent.click(within(dialog).getByRole("button", { name: "Read into the draft" }));
      expect(await screen.findByText("1 key of the file is left out:")).toBeVisible();
      expect(screen.getByText("ignoreDifferences.apps_Deployment")).toBeVisible();
      expect(document.querySelector("img")).toBeNull();
    });

    it("find the line of a script within YAML", () => {
      const actions = "resource.customizations.actions.apps_Deployment";
      const text =
        "discovery.lua: |\n  return {}\ndefinitions:\n- name: a\n  action.lua: |\n    return obj\n- action.lua: |\n    x\n    y\n  name: b\n";
      expect(placeOfKey(actions, text, `${actions}: discovery.lua: line 1: no`)).toEqual({ line: 2 });
      expect(placeOfKey(actions, text, `${actions}: a: action.lua: line 1, column 3: no`)).toEqual({ line: 6 });
      expect(placeOfKey(actions, text, `${actions}: b: action.lua: line 2: no`)).toEqual({ line: 9 });
      expect(placeOfKey(actions, text, `${actions}: c: action.lua: line 2: no`)).toBeUndefined();
      expect(placeOfKey(actions, text, `${actions}: line 3: not YAML`)).toEqual({ line: 3 });
      expect(placeOfKey("resource.customizations.knownTypeFields.Pod", "", "x: line 3: no")).toEqual({ line: 2 });
      expect(placeOfKey(health, "", `${health}: line 7: no`)).toEqual({ line: 7 });
    });
  });

  it("end a session of somebody else", async () => {
    const session = {
      id: "s1",
      name: "bo",
      provider: "corp",
      browser: true,
      createdAt: at,
      authenticatedAt: at,
      lastUsed: at,
      expiresAt: at,
    };
    const asked = hubAnswers({
      "GET /login-sessions": () => list(session),
      "DELETE /login-sessions/:id": () => undefined,
    });
    drawAt("/settings?tab=sessions&whose=all");
    await userEvent.click(await screen.findByRole("button", { name: "End session of bo" }));
    const dialog = await screen.findByRole("dialog");
    expect(within(dialog).getByText("hawser account sessions end s1 --other-user")).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "End" }));
    await waitFor(() => expect(asked.some((a) => a.method === "DELETE")).toBe(true));
  });

  it("change what an account may, and delete it only by its name", async () => {
    const asked = hubAnswers({
      "GET /accounts": () =>
        list({ id: "a1", name: "bo", enabled: true, admin: true, createdAt: at, passwordChangedAt: at }),
      "PATCH /accounts/:name": () => ({}),
    });
    drawAt("/settings?tab=accounts");
    await userEvent.click(await screen.findByRole("button", { name: "Edit account bo" }));
    const dialog = await screen.findByRole("dialog");
    await userEvent.click(within(dialog).getByLabelText(/Administrator/));
    await userEvent.type(within(dialog).getByLabelText("Roles in projects"), "viewer:*");
    expect(within(dialog).getByText("hawser account set bo --no-admin --grant 'viewer:*'")).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "Save" }));
    await waitFor(() =>
      expect(asked.find((a) => a.method === "PATCH")?.body).toEqual({
        admin: false,
        grants: [{ role: "viewer", project: "*" }],
      }),
    );
    await userEvent.click(await screen.findByRole("button", { name: "Delete account bo" }));
    expect(within(await screen.findByRole("dialog")).getByRole("button", { name: "Delete" })).toBeDisabled();
  });

  it("read grants and places", () => {
    expect(parseGrants("operator:team-*\n viewer:a:b , ")).toEqual([
      { role: "operator", project: "team-*" },
      { role: "viewer", project: "a:b" },
    ]);
    for (const bad of ["x", ":y", "x:"]) expect(parseGrants(bad)).toBeUndefined();
    expect(formatGrants([{ role: "a", project: "b" }])).toBe("a:b");
    expect(placeIn("line 3, column 5: no")).toEqual({ line: 3, column: 5 });
    expect(placeIn("line 12: no")).toEqual({ line: 12, column: undefined });
    expect(placeIn("no")).toBeUndefined();
  });
});

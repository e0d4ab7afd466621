import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { AppProject, Decision, ProjectPreview } from "../../api/types";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";

const hostile = `<img src=x onerror=alert(1)>\u202e\u001b[31mred`;

const project: AppProject = {
  apiVersion: "argoproj.io/v1alpha1",
  kind: "AppProject",
  metadata: { name: "shop" },
  spec: {
    description: hostile,
    sourceRepos: ["https://git/shop/*"],
    destinations: [
      { name: "eu-*", namespace: "shop" },
      { name: "us", namespace: "shop" },
    ],
    roles: [{ name: "ci", policies: ["p, proj:shop:ci, applications, sync, shop/*, allow"] }],
  },
};

const preview: ProjectPreview = {
  project: "shop",
  result: "unchanged",
  applications: 3,
  invalid: [],
  invalidCount: 0,
  valid: [],
  validCount: 0,
  widened: [],
  warnings: [],
  rules: [
    { list: "sourceRepos", rule: "#1 https://git/shop/*", applications: 3 },
    { list: "destinations", rule: "#1 eu-* /shop", clusters: 38, applications: 2 },
    { list: "destinations", rule: "#2 us /shop", clusters: 1, applications: 1 },
  ],
};

const decision: Decision = {
  allowed: false,
  id: "HW-4103",
  question: "deploy to cluster us, namespace web",
  project: "shop",
  projectVersion: 41,
  changedAt: "2026-01-01T00:00:00Z",
  changedBy: "m.ruiz",
  canChange: "administrators of this hub",
  checks: [
    { rule: "role", result: "passed", message: "administrator" },
    {
      rule: "destination",
      result: "failed",
      message: `no rule allows ${hostile}`,
      nearest: "#1 eu-* /shop",
      differs: "cluster us",
    },
    { rule: "kinds", result: "not evaluated", message: "not asked" },
  ],
  refusals: [{ code: "destination_not_permitted", message: "m", fix: "add a destination" }],
  refused: 1,
};

const withTag = (body: object) =>
  new Response(JSON.stringify(body), { headers: { "Content-Type": "application/json", ETag: '"7"' } });

const usual = {
  "GET /projects/:name": () => withTag(project),
  "GET /projects/:name/usage": () => ({
    project: "shop",
    applications: 3,
    objects: 20,
    clusters: [{ cluster: "eu-1", applications: 2, objects: 15 }],
  }),
  "POST /projects/:name/preview": () => preview,
};

describe("page of a project", () => {
  it("shows rules as tables with how much each matches, and names of strangers as text", async () => {
    hubAnswers(usual);
    drawAt("/projects/shop?tab=destinations");
    const table = await screen.findByRole("table", { name: "Destinations" });
    expect(await within(table).findByText("38 clusters · 2 apps")).toBeVisible();
    const tabs = within(screen.getByRole("navigation", { name: "Parts of the project" }));
    expect(tabs.getAllByRole("link").filter((l) => l.getAttribute("aria-current") === "page")).toEqual([
      tabs.getByRole("link", { name: /^Destinations/ }),
    ]);
    expect(screen.getByText(/<img src=x onerror=alert\(1\)>⟨U\+202E⟩red/)).toBeVisible();
    expect(document.querySelector("img")).toBeNull();
    await expectAccessible();
  });

  it("drafts a change, says what becomes invalid, and stores it only against the version that it was made of", async () => {
    const asked = hubAnswers({
      ...usual,
      "POST /projects/:name/preview": (a) =>
        (a.body as AppProject).spec.destinations?.length === 1
          ? {
              ...preview,
              result: "configured",
              invalidCount: 1,
              invalid: [
                {
                  name: "web",
                  project: "shop",
                  cluster: "us",
                  refusal: { code: "c", message: "us is not allowed", fix: "" },
                },
              ],
            }
          : preview,
      "PUT /projects/:name": (a) => withTag(a.body as object),
    });
    drawAt("/projects/shop?tab=destinations");
    await userEvent.click(await screen.findByRole("button", { name: "Remove rule us shop" }));
    expect(await screen.findByText(/One application becomes invalid/)).toBeVisible();
    expect(asked.some((a) => a.method === "PUT")).toBe(false);
    await userEvent.click(await screen.findByRole("button", { name: "Review and save …" }));
    const dialog = await screen.findByRole("dialog");
    expect(within(dialog).getByText("us is not allowed")).toBeVisible();
    expect(within(dialog).getByText(/hawser project apply -f shop.yaml/)).toBeVisible();
    const save = within(dialog).getByRole("button", { name: "Save project" });
    expect(save).toBeDisabled();
    await userEvent.type(within(dialog).getByLabelText(/Type shop/), "shop");
    await userEvent.click(save);
    await waitFor(() => expect(asked.some((a) => a.method === "PUT")).toBe(true));
    const put = asked.find((a) => a.method === "PUT");
    expect(put?.headers.get("If-Match")).toBe('"7"');
    expect((put?.body as AppProject | undefined)?.spec.destinations).toEqual([{ name: "eu-*", namespace: "shop" }]);
    await waitFor(() => expect(screen.queryByText("Draft, not saved.")).toBeNull());
  });

  it("adds a rule from the keyboard, and says what is missing", async () => {
    hubAnswers(usual);
    drawAt("/projects/shop?tab=sources");
    await userEvent.click(await screen.findByRole("button", { name: "Add source" }));
    const dialog = await screen.findByRole("dialog");
    await userEvent.click(within(dialog).getByRole("button", { name: "Add to draft" }));
    expect(within(dialog).getByText("Needed")).toBeVisible();
    await userEvent.type(within(dialog).getByLabelText(/^Repository/), "https://git/new{Enter}");
    expect(await screen.findByText("https://git/new")).toBeVisible();
    expect(screen.getByText("Draft, not saved.")).toBeVisible();
  });

  it("does not lose a draft when somebody follows a link", async () => {
    hubAnswers({ ...usual, "GET /projects": () => ({ items: [], total: 0, asOf: "" }) });
    const { router } = drawAt("/projects/shop?tab=sources");
    await userEvent.click(await screen.findByRole("button", { name: /Remove rule/ }));
    const crumbs = screen.getAllByRole("link", { name: "Projects" });
    await userEvent.click(crumbs[crumbs.length - 1] as HTMLElement);
    const dialog = await screen.findByRole("dialog");
    expect(router.state.location.pathname).toBe("/projects/shop");
    await userEvent.click(within(dialog).getByRole("button", { name: "Discard and leave" }));
    await waitFor(() => expect(router.state.location.pathname).toBe("/projects"));
  });

  it("can be looked at by those who may not change it", async () => {
    hubAnswers({
      ...usual,
      "POST /projects/:name/preview": () => problemAnswer(403, "permission_denied", "no", { id: "HW-4101" }),
    });
    drawAt("/projects/shop?tab=sources");
    expect(await screen.findByText(/may look at this project/)).toBeVisible();
    expect(screen.queryByRole("button", { name: "Add source" })).toBeNull();
    expect(screen.getByText("https://git/shop/*")).toBeVisible();
  });

  it("explains with every check in order; the question is the address", async () => {
    const asked = hubAnswers({ ...usual, "POST /explain": () => decision });
    drawAt("/projects/shop?tab=simulator&ask=yes&cluster=us&ns=web&verb=sync");
    const why = await screen.findByRole("region", { name: "Why" });
    expect(asked.find((a) => a.path === "/explain")?.body).toEqual({
      verb: "sync",
      project: "shop",
      destination: { name: "us", namespace: "web" },
    });
    expect(within(why).getByText("HW-4103")).toBeVisible();
    const checks = within(why).getAllByRole("listitem").slice(0, 3);
    expect(checks.map((c) => c.textContent)).toEqual([
      expect.stringContaining("Passed:Role"),
      expect.stringContaining("nearest rule #1 eu-* /shop"),
      expect.stringContaining("Not evaluated:Kinds"),
    ]);
    expect(within(why).getByText("add a destination")).toBeVisible();
    expect(within(why).getByText(/administrators of this hub/)).toBeVisible();
    expect(screen.getByText("hawser project simulate shop --verb sync --dest us --namespace web")).toBeVisible();
    expect(document.querySelector("img")).toBeNull();
    await expectAccessible();
  });

  it("issues a token of a role and shows it once", async () => {
    hubAnswers({
      ...usual,
      "GET /projects/:name/roles/:role/tokens": () => ({ items: [], total: 0, asOf: "" }),
      "POST /projects/:name/roles/:role/tokens": () => ({
        id: "t1",
        token: "hwt_secret",
        subject: "",
        project: "shop",
        role: "ci",
        createdBy: "",
        createdAt: "",
        expiresAt: "",
      }),
    });
    drawAt("/projects/shop?tab=roles&role=ci");
    await userEvent.click(await screen.findByRole("button", { name: "Issue token" }));
    expect(await screen.findByText("hwt_secret")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "I have copied it" }));
    expect(screen.queryByText("hwt_secret")).toBeNull();
  });
});

describe("list of projects", () => {
  it("names the term of the filter that leaves none", async () => {
    hubAnswers({
      "GET /projects": (a) => ({
        items: [],
        total: a.query.get("filter") === "team-*" ? 4 : a.query.get("filter") === null ? 9 : 0,
        asOf: "",
      }),
      "GET /applications": () => ({ items: [], total: 0, asOf: "" }),
    });
    const { router } = drawAt("/projects?q=team-*+nope");
    await userEvent.click(await screen.findByRole("button", { name: "Without nope: 4" }));
    await waitFor(() => expect(router.state.location.search).toMatchObject({ q: "team-*" }));
  });

  it("makes a project, once", async () => {
    const asked = hubAnswers({
      ...usual,
      "GET /projects": () => ({ items: [], total: 0, asOf: "" }),
      "GET /applications": () => ({ items: [], total: 0, asOf: "" }),
      "POST /projects": (a) => a.body as object,
    });
    const { router } = drawAt("/projects?dialog=new");
    const dialog = await screen.findByRole("dialog");
    await userEvent.type(within(dialog).getByLabelText(/^Name( \*)?$/), "shop");
    await userEvent.type(within(dialog).getByLabelText(/^First destination/), "eu-*");
    expect(within(dialog).getByText("hawser project create shop --dest 'eu-*,*'")).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "Create project" }));
    await waitFor(() => expect(router.state.location.pathname).toBe("/projects/shop"));
    const post = asked.find((a) => a.method === "POST" && a.path === "/projects");
    expect(post?.headers.get("If-None-Match")).toBe("*");
  });
});

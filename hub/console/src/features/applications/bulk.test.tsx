import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { type Asked, drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";
import { bulkLine, jobRequest } from "./bulk";

const none = { prune: false, dryRun: false, hard: false, reason: "" };

describe("a job's request", () => {
  it.each([
    [
      "sync",
      { names: ["a"] },
      { ...none, prune: true, reason: " why " },
      { applications: ["a"], spec: { prune: true, reason: "why" } },
    ],
    [
      "sync",
      { query: { filter: "", project: "shop" } },
      { ...none, dryRun: true },
      { filter: "name:*", project: "shop", spec: { dryRun: true } },
    ],
    [
      "refresh",
      { query: { filter: "is:stale" } },
      { ...none, hard: true },
      { filter: "is:stale", spec: { hard: true } },
    ],
    ["rollback", { names: ["a", "b"] }, none, { applications: ["a", "b"], spec: {} }],
    ["delete", { names: ["a"] }, { ...none, cascade: true }, { applications: ["a"], spec: { cascade: true } }],
    ["delete", { names: ["a"] }, none, { applications: ["a"], spec: { cascade: false } }],
  ] as const)("%s %j", (kind, target, options, wanted) => {
    expect(jobRequest(kind, target as never, options)).toEqual({ kind, ...wanted });
  });
});

describe("the command line", () => {
  it.each([
    ["sync", { names: ["a", "b"] }, none, "hawser app sync a b --async"],
    [
      "sync",
      { query: { filter: "health:degraded $(id)", project: "shop" } },
      { ...none, prune: true },
      "hawser app sync --project shop --filter 'health:degraded $(id)' --prune --async --yes",
    ],
    ["refresh", { query: { filter: "" } }, { ...none, hard: true }, "hawser app refresh --filter 'name:*' --hard"],
    [
      "rollback",
      { names: ["a"] },
      { ...none, reason: "it's bad" },
      "hawser app rollback a '--reason=it'\\''s bad' --async",
    ],
    [
      "rollback",
      { query: { filter: "x" } },
      none,
      "hawser app list --filter x -o name | xargs -n1 hawser app rollback --async",
    ],
    [
      "delete",
      { names: ["a", "b"] },
      { ...none, cascade: true },
      "hawser app delete a b --cascade=true --yes --wait=false",
    ],
    [
      "delete",
      { query: { filter: "x" } },
      { ...none, cascade: false },
      "hawser app list --filter x -o name | xargs hawser app delete --cascade=false --yes --wait=false",
    ],
  ] as const)("%s %j", (kind, target, options, wanted) => {
    expect(bulkLine(kind, target as never, options)).toBe(wanted);
  });
});

const rows = Array.from({ length: 30 }, (_, i) => ({
  name: `app-${i}`,
  project: "shop",
  cluster: "eu",
  sync: { status: "Synced" },
  health: { status: "Healthy" },
  freshness: "live",
}));

const job = {
  id: "j1",
  kind: "delete",
  phase: "Running",
  initiatedBy: "ana",
  createdAt: "2026-01-01T00:00:00Z",
  total: 412,
  pending: 412,
  accepted: 0,
  failed: 0,
  cancelled: 0,
};

const hub = (more: Record<string, (a: Asked) => object> = {}) =>
  hubAnswers({
    "GET /applications": (a) => ({
      items: rows.slice(0, Number(a.query.get("limit"))),
      total: a.query.get("name") === null ? 412 : a.query.getAll("name").length,
      asOf: "2026-01-01T00:00:00Z",
      facets: { freshness: { values: { live: 400, stale: 12 } } },
    }),
    "POST /jobs": () => job,
    "GET /jobs/:id": () => ({ ...job, items: [] }),
    ...more,
  });

describe("a command to many", () => {
  it("is one job of all that the filter finds, and a deletion wants their number typed", async () => {
    const asked = hub();
    const { router } = drawAt("/apps?q=project%3Ashop");
    await userEvent.click(await screen.findByRole("checkbox", { name: "Select app-1" }));
    const bar = screen.getByRole("region", { name: "Selection" });
    expect(bar).toHaveTextContent("1 selected");
    await userEvent.click(within(bar).getByRole("button", { name: "Select all 412 that match" }));
    expect(bar).toHaveTextContent("412 selectedproject:shop");
    await userEvent.click(within(bar).getByRole("button", { name: "Delete…" }));
    const dialog = await screen.findByRole("dialog", { name: "Delete 412 applications?" });
    expect(dialog).toHaveTextContent("and 402 more");
    expect(dialog).toHaveTextContent("12 of them are on clusters that do not report");
    await expectAccessible();
    const act = within(dialog).getByRole("button", { name: "Delete" });
    expect(act).toBeDisabled();
    await userEvent.type(within(dialog).getByLabelText("Type 412 to confirm"), "412");
    expect(act).toBeDisabled(); // what becomes of the objects is not chosen
    await userEvent.click(within(dialog).getByRole("radio", { name: /keep running/ }));
    await userEvent.click(act);
    await waitFor(() => expect(router.state.location.pathname).toBe("/jobs/j1"));
    const sent = asked.filter((a) => a.method === "POST");
    expect(sent.map((a) => a.body)).toEqual([{ kind: "delete", filter: "project:shop", spec: { cascade: false } }]);
    expect(sent[0]?.headers.get("Idempotency-Key")).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("says in its dialog what the hub refuses", async () => {
    hub({ "POST /jobs": () => problemAnswer(429, "too_many_jobs", "10 jobs of your API token are running") });
    drawAt("/apps");
    await userEvent.click(await screen.findByRole("checkbox", { name: "Select app-0" }));
    await userEvent.click(screen.getByRole("button", { name: "Refresh…" }));
    const dialog = await screen.findByRole("dialog", { name: "Refresh 1 application?" });
    await userEvent.click(within(dialog).getByRole("button", { name: "Refresh" }));
    expect(await within(dialog).findByRole("alert")).toHaveTextContent("10 jobs of your API token are running");
  });
});

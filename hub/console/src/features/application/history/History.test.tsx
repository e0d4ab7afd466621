import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { AppView, HistoryEntry } from "../../../api/types";
import "../page";
import "./History";
import "./RollbackPanel";
import "../../../ui/MergeViewEditor";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../../test/render";

const evil = "<img src=x onerror=alert(1)>\u202e";
const entry = (id: number, more: Partial<HistoryEntry> = {}): HistoryEntry => ({
  id,
  generation: id,
  revision: `${id}`.repeat(40),
  deployStartedAt: "2026-06-01T10:00:00Z",
  deployedAt: "2026-06-01T10:00:05Z",
  message: `commit ${id}`,
  held: true,
  ...more,
});
const app: AppView = {
  uid: "u1",
  name: "shop",
  project: "team-pay",
  cluster: "eu-1",
  autoSync: true,
  generation: 9,
  desired: { commit: "3".repeat(40) },
  sync: { status: "Synced" },
  health: { status: "Healthy" },
  freshness: "live",
  history: [entry(1), entry(2, { message: evil, initiatedBy: "ana", reason: "ticket 7" }), entry(3)],
};
const object = (replicas: number) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "api" },
  spec: { replicas },
});

function hub(more: Parameters<typeof hubAnswers>[0] = {}) {
  return hubAnswers({
    "GET /applications": () => ({ items: [], total: 0, asOf: "" }),
    "GET /applications/:name": () => app,
    "GET /applications/:name/tree": () => ({ nodes: [], truncated: false, freshness: "live" }),
    "GET /applications/:name/manifests": (a) => ({
      source: "git",
      items: [object(Number(a.query.get("revision")?.[0]))],
    }),
    "GET /operations/:id": () => ({ id: "op1", appUID: "u1", kind: "sync", phase: "Running", spec: {} }),
    "POST /applications/:name/rollback": (a) =>
      (a.body as { dryRun?: boolean }).dryRun
        ? {
            dryRun: true,
            deployment: entry(2),
            setAside: { commit: "3".repeat(40) },
            resources: [
              { group: "apps", kind: "Deployment", name: "api", status: "Configured" },
              { kind: "Service", name: "api", status: "Unchanged" },
            ],
          }
        : { id: "op1", appUID: "u1", kind: "sync", phase: "Queued", spec: {} },
    ...more,
  });
}

describe("history", () => {
  it("goes back after the plan was seen, with a reason and under the condition of the plan", async () => {
    const asked = hub();
    const { router } = drawAt("/apps/shop?tab=history");
    const list = await screen.findByRole("list", { name: "Deployments" });
    expect(within(list).getAllByRole("listitem")).toHaveLength(3);
    expect(within(list).getByText("Deployed")).toBeVisible();
    expect(within(list).getByText(/<img src=x onerror=alert\(1\)>⟨U\+202E⟩/)).toBeVisible();
    expect(document.querySelector("img")).toBeNull();
    await expectAccessible();
    await userEvent.click(within(list).getByRole("button", { name: "Go back to deployment 2" }));
    expect(await screen.findByText("1 to change")).toBeVisible();
    expect(screen.getByText(/Auto-sync stays on and keeps it there. 3333333 is set aside/)).toBeVisible();
    await userEvent.type(screen.getByRole("textbox", { name: /^Reason/ }), "broken pool");
    expect(screen.getByText(/hawser app rollback shop 2 --reason 'broken pool'/)).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Go back to #2" }));
    await waitFor(() => expect(router.state.location.search).toMatchObject({ panel: "rollback", op: "op1" }));
    expect(asked.filter((a) => a.method === "POST").pop()?.body).toEqual({
      historyID: 2,
      reason: "broken pool",
      expectedGeneration: 9,
    });
  }, 120_000);

  it("compares two that are chosen", async () => {
    hub();
    const { router } = drawAt("/apps/shop?tab=history");
    await userEvent.click(await screen.findByRole("checkbox", { name: "Choose deployment 3" }));
    await userEvent.click(await screen.findByRole("checkbox", { name: "Choose deployment 1" }));
    await waitFor(() => expect(router.state.location.search).toMatchObject({ pair: "1,3" }));
    const compared = await screen.findByRole("region", { name: "From #1 (1111111) to #3 (3333333)" });
    expect(await within(compared).findByText("1 object differs, 0 are the same")).toBeVisible();
  });

  it("says that it is rolled back, and undoes it", async () => {
    const pin = {
      historyID: 2,
      generation: 9,
      revision: { commit: "2".repeat(40) },
      setAside: { commit: "3".repeat(40), message: evil },
      at: "2026-06-01T10:00:00Z",
    };
    const asked = hub({
      "GET /applications/:name": () => ({ ...app, pin }),
      "DELETE /applications/:name/pin": () => pin,
    });
    drawAt("/apps/shop?tab=history");
    const region = await screen.findByRole("region", { name: "It is rolled back." });
    expect(within(region).getByText(/hawser app unpin shop/)).toBeVisible();
    await userEvent.click(within(region).getByRole("button", { name: "Undo the rollback" }));
    await waitFor(() => expect(asked.some((a) => a.method === "DELETE")).toBe(true));
  });

  it("is empty at first, shows operations, and why a rollback is refused", async () => {
    hub({
      "GET /applications/:name": () => ({ ...app, history: [] }),
      "GET /applications/:name/operations": () => ({
        items: [
          {
            id: "op9",
            appUID: "u1",
            kind: "sync",
            phase: "Failed",
            spec: { dryRun: true, prune: true },
            message: "no",
            initiatedBy: "bo",
          },
        ],
        total: 1,
        asOf: "",
      }),
    });
    const first = drawAt("/apps/shop?tab=history");
    expect(await screen.findByText("Nothing was deployed yet")).toBeVisible();
    await userEvent.click(screen.getByRole("radio", { name: "All operations" }));
    expect(await screen.findByText("Sync failed")).toBeVisible();
    expect(screen.getByText("plan")).toBeVisible();
    first.unmount();
    hub({
      "POST /applications/:name/rollback": () =>
        problemAnswer(409, "deployment_gone", "deployment 2 is not kept", { id: "HW-3001" }),
    });
    drawAt("/apps/shop?tab=history&panel=rollback&to=2");
    expect(await screen.findByText("HW-3001")).toBeVisible();
  });
});

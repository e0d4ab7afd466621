import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { AppView, OperationInfo, ResourceResult, ResourcesAnswer } from "../../../api/types";
import "../page";
import "./SyncPanel";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../../test/render";

const app: AppView = {
  uid: "u1",
  name: "shop",
  project: "team-pay",
  cluster: "eu-1",
  autoSync: true,
  generation: 3,
  desired: { commit: "0123456789abcdef0123456789abcdef01234567" },
  sync: { status: "OutOfSync", reason: "pending" },
  health: { status: "Healthy" },
  freshness: "live",
};
const evil = "<img src=x onerror=alert(1)>\u202e";
const results: ResourceResult[] = [
  { group: "apps", kind: "Deployment", namespace: "pay", name: "api", status: "Configured" },
  { kind: "ConfigMap", namespace: "pay", name: "new", status: "Created" },
  { kind: "ConfigMap", namespace: "pay", name: "old", status: "Pruned" },
  { kind: "Service", namespace: "pay", name: "api", status: "Unchanged" },
];
const answer: ResourcesAnswer = {
  items: ["api", "old"].map((name) => ({
    kind: "ConfigMap",
    name,
    version: "v1",
    sync: { status: "Synced" },
    health: { status: "Healthy" },
  })),
  revision: app.desired.commit,
  generation: 3,
  state: "s1",
  freshness: "live",
  total: 2,
};
const operation = (more: Partial<OperationInfo>): OperationInfo => ({
  id: "dry",
  appUID: "u1",
  kind: "sync",
  phase: "Succeeded",
  spec: { dryRun: true, prune: true },
  result: { resources: results },
  ...more,
});

function hub(more: Parameters<typeof hubAnswers>[0] = {}) {
  return hubAnswers({
    "GET /applications": () => ({ items: [], total: 0, asOf: "" }),
    "GET /applications/:name": () => app,
    "GET /applications/:name/tree": () => ({ nodes: [], truncated: false, freshness: "live" }),
    "GET /applications/:name/resources": () => answer,
    "GET /operations/:id": (a) => operation({ id: a.path.split("/").pop() }),
    "POST /applications/:name/sync": (a) =>
      operation({ id: (a.body as { dryRun?: boolean }).dryRun ? "dry" : "real", phase: "Queued", result: undefined }),
    ...more,
  });
}

describe("plan and sync", () => {
  it("shows what the cluster would do and syncs the chosen objects under that condition", async () => {
    const asked = hub();
    const { router } = drawAt("/apps/shop?panel=sync");
    expect(await screen.findByText("1 to prune")).toBeVisible();
    expect(screen.getByText("1 to change")).toBeVisible();
    expect(screen.getByText("1 to create")).toBeVisible();
    expect(screen.getByText("1 unchanged")).toBeVisible();
    expect(asked.find((a) => a.method === "POST")).toMatchObject({
      path: "/applications/shop/sync",
      body: { prune: true, dryRun: true, revision: app.desired.commit },
    });
    await expectAccessible();
    await userEvent.click(screen.getByRole("checkbox", { name: "prune ConfigMap/old" }));
    expect(await screen.findByText("2 of 3 chosen")).toBeVisible();
    expect(screen.getByText(/--resource apps:Deployment:pay\/api/)).toBeVisible();
    await userEvent.type(screen.getByRole("textbox", { name: /^Reason/ }), "ticket 7");
    await userEvent.click(screen.getByRole("button", { name: "Sync 2 objects" }));
    await waitFor(() => expect(router.state.location.search).toMatchObject({ op: "real" }));
    const sent = asked.filter((a) => a.method === "POST").pop();
    expect(sent?.query.get("state")).toBe("s1");
    expect(sent?.headers.get("Idempotency-Key")).toBeTruthy();
    expect(sent?.body).toMatchObject({
      prune: true,
      reason: "ticket 7",
      resources: ["apps:Deployment:pay/api", ":ConfigMap:pay/new"],
    });
    expect(sent?.body).not.toHaveProperty("dryRun");
  }, 120_000);

  it("plans anew with another option, which the URL keeps", async () => {
    const asked = hub();
    const { router } = drawAt("/apps/shop?panel=sync");
    await screen.findByText("1 to prune");
    await userEvent.click(screen.getByRole("checkbox", { name: /^Prune/ }));
    await waitFor(() => expect(router.state.location.search).toMatchObject({ opt: "none" }));
    await waitFor(() => expect(asked.filter((a) => a.method === "POST")).toHaveLength(2));
    expect(asked.filter((a) => a.method === "POST")[1]?.body).not.toHaveProperty("prune");
  });

  it("wants the name typed before everything is deleted", async () => {
    const asked = hub({
      "GET /operations/:id": () =>
        operation({
          phase: "Failed",
          result: {
            resources: ["api", "old"].map((name) => ({ kind: "ConfigMap", name, status: "Pruned" })),
            wouldPrune: 2,
          },
        }),
    });
    drawAt("/apps/shop?panel=sync");
    await userEvent.click(await screen.findByRole("button", { name: "Sync 2 objects, prune 2" }));
    const dialog = await screen.findByRole("dialog");
    expect(within(dialog).getByText(/Everything of shop in cluster eu-1 is deleted/)).toBeVisible();
    const go = within(dialog).getByRole("button", { name: "Sync and delete 2" });
    expect(go).toBeDisabled();
    await userEvent.type(within(dialog).getByRole("textbox"), "shop");
    await userEvent.click(go);
    await waitFor(() =>
      expect(asked.filter((a) => a.method === "POST").pop()?.body).toMatchObject({ confirmPrune: 2 }),
    );
  });

  it("does not sync what the cluster refuses, and shows why as text", async () => {
    hub({
      "GET /operations/:id": () =>
        operation({
          phase: "Failed",
          result: { resources: [{ kind: "Job", name: "migrate", status: "Failed", message: evil }] },
        }),
    });
    drawAt("/apps/shop?panel=sync");
    expect(await screen.findByText(/<img src=x onerror=alert\(1\)>⟨U\+202E⟩/)).toBeVisible();
    expect(document.querySelector("img")).toBeNull();
    expect(screen.getByRole("button", { name: "Sync 1 object" })).toBeDisabled();
  });

  it("says when it has moved meanwhile, when there is nothing to do, and when it is not allowed", async () => {
    let n = 0;
    hub({ "GET /applications/:name/resources": () => ({ ...answer, state: `s${n++}` }) });
    const first = drawAt("/apps/shop?panel=sync");
    expect(await screen.findByText("It has moved")).toBeVisible();
    first.unmount();
    hub({ "GET /operations/:id": () => operation({ result: { resources: [] } }) });
    const second = drawAt("/apps/shop?panel=sync");
    expect(await screen.findByText("Nothing to do")).toBeVisible();
    second.unmount();
    hub({
      "POST /applications/:name/sync": () =>
        problemAnswer(403, "permission_denied", "you may not sync shop", { id: "HW-4031" }),
    });
    drawAt("/apps/shop?panel=sync");
    expect(await screen.findByText("you may not sync shop")).toBeVisible();
    expect(screen.getByText("HW-4031")).toBeVisible();
  });
});

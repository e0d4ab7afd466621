import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { AppView } from "../../../api/types";
import "../page";
import "./Diff";
import "../../../ui/MergeViewEditor";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../../test/render";

const evil = "<img src=x onerror=alert(1)>";
const app: AppView = {
  uid: "u1",
  name: "shop",
  project: "team-pay",
  cluster: "eu-1",
  autoSync: true,
  generation: 3,
  desired: { commit: "0123456789abcdef0123456789abcdef01234567" },
  sync: { status: "OutOfSync", reason: "drifted" },
  health: { status: "Healthy" },
  freshness: "live",
  resources: [
    {
      group: "apps",
      kind: "Deployment",
      namespace: "pay",
      name: "api",
      version: "v1",
      sync: { status: "OutOfSync", reason: "drifted" },
      health: { status: "Healthy" },
      differences: [{ path: ".spec.replicas", desired: "3", live: "1", manager: evil }],
    },
    {
      kind: "Service",
      namespace: "pay",
      name: "api",
      version: "v1",
      sync: { status: "Synced" },
      health: { status: "Healthy" },
    },
  ],
  application: {
    apiVersion: "hawser.dev/v1",
    kind: "Application",
    metadata: { name: "shop" },
    spec: { project: "team-pay", destination: {} },
  },
};
const desired = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "api", namespace: "pay" },
  spec: { replicas: 3 },
};

function hub(more: Parameters<typeof hubAnswers>[0] = {}) {
  return hubAnswers({
    "GET /applications": () => ({ items: [], total: 0, asOf: "" }),
    "GET /applications/:name": () =>
      new Response(JSON.stringify(app), { headers: { "Content-Type": "application/json", ETag: '"7"' } }),
    "GET /applications/:name/tree": () => ({ nodes: [], truncated: false, freshness: "live" }),
    "GET /applications/:name/manifests": () => ({ source: "git", items: [desired] }),
    "GET /applications/:name/resource": () => ({
      ...desired,
      metadata: { ...desired.metadata, uid: "u" },
      spec: { replicas: 1, strategy: { type: "RollingUpdate" } },
    }),
    "PUT /applications/:name": () => app.application,
    ...more,
  });
}

describe("diff", () => {
  it("shows each object that differs, its fields with who has set them, and both texts without defaults", async () => {
    hub();
    drawAt("/apps/shop?tab=diff&diff=unified");
    expect(await screen.findByText("1 object differs")).toBeVisible();
    const fields = screen.getByRole("list", { name: "Fields that differ" });
    expect(within(fields).getByText(".spec.replicas")).toBeVisible();
    expect(within(fields).getByText(evil)).toBeVisible();
    expect(document.querySelector("img")).toBeNull();
    const text = await screen.findByRole("textbox", { name: /In the cluster/ });
    await waitFor(() => expect(text.textContent).toContain("replicas"));
    expect(text.textContent).not.toContain("RollingUpdate");
    await expectAccessible();
    await userEvent.click(screen.getByRole("checkbox", { name: "With defaults" }));
    await waitFor(() =>
      expect(screen.getByRole("textbox", { name: /In the cluster/ }).textContent).toContain("RollingUpdate"),
    );
  }, 120_000);

  it("ignores a field by a change of the application as it is stored now", async () => {
    const asked = hub();
    drawAt("/apps/shop?tab=diff");
    await userEvent.click(await screen.findByRole("button", { name: "Ignore .spec.replicas" }));
    const dialog = await screen.findByRole("dialog");
    expect(within(dialog).getByText(/hawser app patch shop --patch/)).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "Ignore it" }));
    await waitFor(() => expect(asked.some((a) => a.method === "PUT")).toBe(true));
    const put = asked.find((a) => a.method === "PUT");
    expect(put?.headers.get("If-Match")).toBe('"7"');
    expect(put?.body).toMatchObject({
      spec: {
        project: "team-pay",
        ignoreDifferences: [
          { group: "apps", kind: "Deployment", namespace: "pay", name: "api", jsonPointers: ["/spec/replicas"] },
        ],
      },
    });
  });

  it("hands chosen objects to the sync", async () => {
    hub();
    const { router } = drawAt("/apps/shop?tab=diff");
    await userEvent.click(await screen.findByRole("checkbox", { name: "Choose Deployment/api for the sync" }));
    await userEvent.click(await screen.findByRole("button", { name: "Plan & sync 1" }));
    await waitFor(() =>
      expect(router.state.location.search).toMatchObject({ panel: "sync", only: "apps/Deployment/pay/api" }),
    );
  });

  it("says that nothing differs, and what could not be read with its code", async () => {
    hub({ "GET /applications/:name": () => ({ ...app, resources: [], sync: { status: "Synced" } }) });
    const first = drawAt("/apps/shop?tab=diff");
    expect(await screen.findByText("Nothing differs")).toBeVisible();
    first.unmount();
    hub({
      "GET /applications/:name/resource": () =>
        problemAnswer(503, "agent_disconnected", "eu-1 is not connected", { id: "HW-2001" }),
    });
    drawAt("/apps/shop?tab=diff");
    expect(await screen.findByText("HW-2001")).toBeVisible();
  });
});

import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { AppView, TreeAnswer } from "../../api/types";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";

const app: AppView = {
  uid: "u1",
  name: "shop",
  project: "team-pay",
  cluster: "eu-1",
  namespace: "pay",
  autoSync: true,
  generation: 3,
  desired: { commit: "0123456789abcdef0123456789abcdef01234567", message: "raise pool size", author: "j.kim" },
  revision: "0123456789abcdef0123456789abcdef01234567",
  sync: { status: "OutOfSync", reason: "drifted" },
  health: { status: "Degraded" },
  freshness: "live",
  observedAt: "2026-06-01T10:00:00Z",
  healthCauses: [{ group: "apps", kind: "Deployment", namespace: "pay", name: "api", status: "Degraded" }],
  resources: [
    {
      group: "apps",
      kind: "Deployment",
      namespace: "pay",
      name: "api",
      version: "v1",
      sync: { status: "OutOfSync", reason: "drifted" },
      health: { status: "Degraded" },
      differences: [{ path: ".spec.replicas", desired: "3", live: "1", manager: "kubectl-edit" }],
    },
  ],
};

const tree: TreeAnswer = {
  truncated: false,
  freshness: "live",
  nodes: [
    {
      group: "apps",
      kind: "Deployment",
      namespace: "pay",
      name: "api",
      version: "v1",
      uid: "d",
      health: { status: "Degraded" },
    },
    {
      kind: "Pod",
      namespace: "pay",
      name: "api-x",
      version: "v1",
      uid: "p",
      parentUIDs: ["d"],
      health: { status: "Degraded", message: "OOMKilled" },
    },
  ],
};

const list = (...names: string[]) => ({ items: names.map((name) => ({ name })), total: names.length, asOf: "" });

describe("page of an application", () => {
  it("shows four facets, why it is not healthy down to the leaf, and what drifted", async () => {
    hubAnswers({
      "GET /applications/:name": () => app,
      "GET /applications/:name/tree": () => tree,
      "GET /applications": () => list("shop"),
    });
    drawAt("/apps/shop");
    expect(await screen.findByText("Drifted 1")).toBeVisible();
    expect(within(screen.getByText("Data").parentElement as HTMLElement).getByText("Live")).toBeVisible();
    expect(screen.getByText("none yet")).toBeVisible();
    const why = await screen.findByRole("region", { name: "Why it is not healthy" });
    expect(await within(why).findByText("OOMKilled")).toBeVisible();
    expect(within(why).getByRole("link", { name: "Pod/api-x" })).toHaveAttribute(
      "href",
      expect.stringContaining("sel=%2FPod%2Fpay%2Fapi-x"),
    );
    const drift = screen.getByRole("region", { name: "What differs from the sources" });
    expect(within(drift).getByText(".spec.replicas")).toBeVisible();
    expect(within(drift).getByText("kubectl-edit")).toBeVisible();
    await expectAccessible();
  });

  it("never shows as healthy what is not known to be so", async () => {
    hubAnswers({
      "GET /applications/:name": () => ({
        ...app,
        health: { status: "Healthy" },
        sync: { status: "Synced" },
        freshness: "stale",
        healthCauses: [],
      }),
      "GET /applications/:name/tree": () => ({ ...tree, freshness: "stale" }),
      "GET /applications": () => list("shop"),
    });
    drawAt("/apps/shop");
    expect(await screen.findByText(/is not reporting/)).toBeVisible();
    expect(await screen.findByText(/was healthy when it was last seen/)).toBeVisible();
    expect(screen.queryByText("Everything is healthy")).toBeNull();
    expect(screen.getByText("In sync").closest("[data-stale]")).not.toBeNull();
  });

  it("goes to the next and previous of the list that one came from", async () => {
    const asked = hubAnswers({
      "GET /applications/:name": (a) => ({ ...app, name: a.path.split("/").pop() }),
      "GET /applications/:name/tree": () => tree,
      "GET /applications": () => list("a", "shop", "z"),
    });
    const { router } = drawAt("/apps/shop?in=health%3Adegraded&order=-since");
    expect(await screen.findByText("2 of 3")).toBeVisible();
    const query = asked.find((a) => a.path === "/applications")?.query;
    expect(query?.get("filter")).toBe("health:degraded");
    expect(query?.get("sort")).toBe("-since");
    await userEvent.keyboard("]");
    await screen.findByRole("heading", { level: 1, name: "z" });
    expect(router.state.location.pathname).toBe("/apps/z");
    expect(router.state.location.search).toMatchObject({ in: "health:degraded", order: "-since" });
  });

  it("says that there is no such application, with its code", async () => {
    hubAnswers({
      "GET /applications/:name": () =>
        problemAnswer(404, "application_not_found", "no application nope", { id: "HW-1404" }),
      "GET /applications": () => list(),
    });
    drawAt("/apps/nope");
    expect(await screen.findByText("HW-1404")).toBeVisible();
    expect(screen.getByRole("button", { name: "Try again" })).toBeVisible();
  });

  it("shows names and messages of strangers as text", async () => {
    const evil = `<img src=x onerror=alert(1)>\u202e\u001b[31mred`;
    hubAnswers({
      "GET /applications/:name": () => ({
        ...app,
        desired: { ...app.desired, message: evil },
        conditions: [{ type: "X", message: evil }],
        application: {
          apiVersion: "",
          kind: "",
          metadata: { name: "shop", labels: { a: evil } },
          spec: {
            project: "x",
            destination: {},
            source: { repoURL: "javascript:alert(1)" },
            info: [{ name: evil, value: "javascript:alert(2)" }],
          },
        },
      }),
      "GET /applications/:name/tree": () => tree,
      "GET /applications": () => list("shop"),
    });
    drawAt("/apps/shop");
    expect((await screen.findAllByText(/<img src=x onerror=alert\(1\)>⟨U\+202E⟩red/)).length).toBeGreaterThan(1);
    expect(document.querySelector("img")).toBeNull();
    for (const a of document.querySelectorAll("a")) expect(a.getAttribute("href")).not.toMatch(/^\s*javascript:/i);
  });
});

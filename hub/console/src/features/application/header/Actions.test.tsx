import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { AppView } from "../../../api/types";
import { drawAt, expectAccessible, hubAnswers } from "../../../test/render";

const app: AppView = {
  uid: "u1",
  name: "shop",
  project: "pay",
  cluster: "eu-1",
  autoSync: false,
  generation: 1,
  desired: { commit: "0123456789" },
  sync: { status: "Synced" },
  health: { status: "Healthy" },
  freshness: "live",
  resources: ["a", "b"].map((name) => ({
    kind: "ConfigMap",
    name,
    version: "v1",
    sync: { status: "Synced" },
    health: { status: "Healthy" },
  })),
};

const hub = (more: Parameters<typeof hubAnswers>[0] = {}) =>
  hubAnswers({
    "GET /applications/:name": () => app,
    "GET /applications/:name/tree": () => ({ nodes: [], truncated: false, freshness: "live" }),
    "GET /applications": () => ({ items: [{ name: "shop" }], total: 1, asOf: "" }),
    "POST /applications/:name/refresh": () => ({ agentConnected: false }),
    "POST /applications/:name/terminate": () => ({ id: "op" }),
    "DELETE /applications/:name": () => ({ id: "op" }),
    ...more,
  });

describe("commands of an application", () => {
  it("refreshes, also hard, and says the command", async () => {
    const asked = hub();
    drawAt("/apps/shop");
    await userEvent.click(await screen.findByRole("button", { name: "Refresh" }));
    const dialog = await screen.findByRole("dialog");
    expect(dialog).toHaveTextContent("hawser app refresh shop");
    await userEvent.click(within(dialog).getByRole("checkbox"));
    expect(dialog).toHaveTextContent("hawser app refresh shop --hard");
    await expectAccessible(dialog);
    await userEvent.click(within(dialog).getByRole("button", { name: "Refresh" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    const post = asked.find((a) => a.method === "POST");
    expect([post?.path, post?.query.get("hard")]).toEqual(["/applications/shop/refresh", "true"]);
    expect(post?.headers.get("Idempotency-Key")).toBeTruthy();
  });

  it("ends an operation only while there is one", async () => {
    const asked = hub({
      "GET /applications/:name": () => ({
        ...app,
        operation: { id: "1", appUID: "u1", kind: "sync", spec: {}, phase: "Running" },
      }),
    });
    drawAt("/apps/shop");
    await userEvent.click(await screen.findByRole("button", { name: "End operation" }));
    const dialog = await screen.findByRole("dialog");
    expect(dialog).toHaveTextContent("hawser app cancel shop");
    await userEvent.click(within(dialog).getByRole("button", { name: "End operation" }));
    await waitFor(() => expect(asked.some((a) => a.path === "/applications/shop/terminate")).toBe(true));
  });

  it("has no button to end an operation that is over", async () => {
    hub({
      "GET /applications/:name": () => ({
        ...app,
        operation: { id: "1", appUID: "u1", kind: "sync", spec: {}, phase: "Succeeded" },
      }),
    });
    drawAt("/apps/shop");
    await screen.findByRole("button", { name: "Refresh" });
    expect(screen.queryByRole("button", { name: "End operation" })).toBeNull();
  });

  it("deletes nothing before it was chosen what happens to the objects, and with them only when the name is typed", async () => {
    const asked = hub();
    const { router } = drawAt("/apps/shop?in=env%3Aprod");
    await userEvent.click(await screen.findByRole("button", { name: "More" }));
    await userEvent.click(await screen.findByRole("menuitem", { name: "Delete…" }));
    const dialog = await screen.findByRole("dialog");
    await userEvent.click(within(dialog).getByRole("button", { name: "Delete" }));
    expect(await within(dialog).findByText("Choose what happens to its objects.")).toBeVisible();
    await userEvent.click(within(dialog).getByRole("radio", { name: /They are deleted too/ }));
    expect(dialog).toHaveTextContent("hawser app delete shop --cascade");
    expect(within(dialog).getByRole("button", { name: "Delete" })).toBeDisabled();
    expect(asked.some((a) => a.method === "DELETE")).toBe(false);
    await userEvent.type(within(dialog).getByRole("textbox"), "shop");
    await userEvent.click(within(dialog).getByRole("button", { name: "Delete" }));
    await waitFor(() => expect(router.state.location.pathname).toBe("/apps"));
    expect(asked.find((a) => a.method === "DELETE")?.query.get("cascade")).toBe("true");
    expect(router.state.location.search).toMatchObject({ q: "env:prod" });
  });
});

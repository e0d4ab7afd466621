import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import type { AppView, ResourceStatus } from "../../../api/types";
import { draw, expectAccessible, hubAnswers, problemAnswer } from "../../../test/render";
import { DeleteDialog } from "./DeleteDialog";
import { whatFollows } from "./whatFollows";

const web: ResourceStatus = {
  ...{ group: "apps", kind: "Deployment", namespace: "pay", name: "web", version: "v1" },
  ...{ sync: { status: "Synced" }, health: { status: "Healthy" } },
};
const app = {
  ...{ uid: "u", name: "shop", project: "pay", cluster: "eu", autoSync: true, generation: 1, freshness: "live" },
  ...{ desired: { commit: "0123456789" }, sync: { status: "Synced" }, health: { status: "Healthy" }, resources: [web] },
  application: { metadata: { name: "shop" }, spec: { syncPolicy: { automated: { selfHeal: true } } } },
} as unknown as AppView;
const pod = {
  kind: "Pod",
  namespace: "pay",
  name: "web-x",
  version: "v1",
  parentUIDs: ["d"],
  health: { status: "Healthy" as const },
};

describe("what comes of a deletion", () => {
  it("depends on who wants the object", () => {
    expect(whatFollows(app, [pod], web)).toBe("healed");
    expect(whatFollows({ ...app, autoSync: false }, [pod], web)).toBe("missing");
    expect(whatFollows({ ...app, application: undefined }, [pod], web)).toBe("missing");
    expect(whatFollows({ ...app, resources: [{ ...web, requiresPruning: true }] }, [pod], web)).toBe("stays");
    expect(whatFollows(app, [pod], pod)).toBe("owner");
    expect(whatFollows(app, undefined, pod)).toBe("stays");
  });
});

describe("deleting one object", () => {
  const routes = {
    "GET /applications/:name": () => app,
    "GET /applications": () => ({ items: [], total: 0, asOf: "" }),
    "GET /applications/:name/tree": () => ({ truncated: false, freshness: "live", nodes: [] }),
    "GET /applications/:name/resource-actions": () => ({ items: [], asOf: "" }),
    "GET /applications/:name/resource": () => ({ metadata: { uid: "u-7" } }),
  };
  const open = () => {
    const closed = vi.fn();
    draw(<DeleteDialog name="shop" object={web} onClose={closed} />);
    return closed;
  };

  it("wants the name typed, says what follows, and deletes the object that was shown", async () => {
    const asked = hubAnswers({ ...routes, "DELETE /applications/:name/resource": () => ({ id: "op" }) });
    const closed = open();
    expect(await screen.findByText(/self-heal is on/)).toBeVisible();
    expect(
      screen.getByText(
        "hawser app delete-resource shop --kind Deployment --group apps --namespace pay --resource-name web",
      ),
    ).toBeVisible();
    const button = screen.getByRole("button", { name: "Delete" });
    expect(button).toBeDisabled();
    await userEvent.type(screen.getByRole("textbox", { name: /web/ }), "wrong");
    expect(button).toBeDisabled();
    await userEvent.clear(screen.getByRole("textbox", { name: /web/ }));
    await userEvent.type(screen.getByRole("textbox", { name: /web/ }), "web");
    await expectAccessible();
    await userEvent.click(button);
    await waitFor(() => expect(closed).toHaveBeenCalled());
    const sent = asked.find((a) => a.method === "DELETE");
    expect(Object.fromEntries(sent?.query ?? [])).toEqual({
      ...{ group: "apps", kind: "Deployment", namespace: "pay", resourceName: "web", uid: "u-7" },
    });
    expect(sent?.headers.get("Idempotency-Key")).toBeTruthy();
    // Of the application something has changed; the object may be gone, and is not asked for again.
    const reads = (path: string) => asked.filter((a) => a.method === "GET" && a.path === path).length;
    await waitFor(() => expect(reads("/applications/shop")).toBe(2));
    expect(reads("/applications/shop/resource")).toBe(1);
  }, 60_000);

  it("deletes nothing when it is not known which object it is", async () => {
    const asked = hubAnswers({
      ...routes,
      "GET /applications/:name/resource": () => problemAnswer(404, "object_not_found", "there is no such object"),
    });
    open();
    expect(await screen.findByText(/there is no such object/)).toBeVisible();
    await userEvent.type(screen.getByRole("textbox", { name: /web/ }), "web{Enter}");
    expect(screen.getByRole("button", { name: "Delete" })).toBeDisabled();
    expect(asked.some((a) => a.method === "DELETE")).toBe(false);
  });
});

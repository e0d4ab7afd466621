import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import "../page";
import "../../../ui/CodeViewEditor";
import "./Manifests";
import { drawAt, expectAccessible, hubAnswers } from "../../../test/render";

const app = {
  uid: "u1",
  name: "shop",
  project: "team-pay",
  cluster: "eu-1",
  autoSync: true,
  generation: 3,
  desired: { commit: "3".repeat(40) },
  sync: { status: "Synced" },
  health: { status: "Healthy" },
  freshness: "live",
};

describe("manifests", () => {
  it("are those of the sources, of another revision or of the cluster, with what could not be read", async () => {
    const asked = hubAnswers({
      "GET /applications": () => ({ items: [], total: 0, asOf: "" }),
      "GET /applications/:name": () => app,
      "GET /applications/:name/manifests": (a) => ({
        source: a.query.get("source"),
        revision: { commit: "c".repeat(40), message: "<b>hi</b>" },
        items: [{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { x: "<img src=x>" } }],
        missing:
          a.query.get("source") === "live"
            ? [{ kind: "Service", name: "gone", code: "not_found", reason: "it is not there" }]
            : undefined,
      }),
    });
    const { router } = drawAt("/apps/shop?tab=manifests&rev=2");
    expect(await screen.findByText("<b>hi</b>")).toBeVisible();
    const text = await screen.findByLabelText("Manifests", { selector: "[role=textbox]" });
    await waitFor(() => expect(text.textContent).toContain("<img src=x>"));
    expect(document.querySelector("img")).toBeNull();
    expect(asked.find((a) => a.path.endsWith("/manifests"))?.query.get("revision")).toBe("2");
    expect(screen.getByText(/hawser app manifests shop --revision 2/)).toBeVisible();
    await expectAccessible();
    await userEvent.click(screen.getByRole("radio", { name: "Cluster" }));
    expect(await screen.findByText(/it is not there/)).toBeVisible();
    expect(router.state.location.search).toMatchObject({ from: "live" });
    expect(screen.getByText(/hawser app manifests shop --source live/)).toBeVisible();
  }, 120_000);
});

import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { AppView } from "../../../api/types";
import "../page";
import "./Logs";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../../test/render";

const app: AppView = {
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
const evil = "\u001b[31m<img src=x onerror=alert(1)>\u202e";

/** An answer in lines; without `end` it goes on. */
function lines(...documents: object[]): Response {
  return new Response(
    new ReadableStream({
      start: (c) => {
        c.enqueue(new TextEncoder().encode(`\n${documents.map((d) => `${JSON.stringify(d)}\n`).join("")}`));
        if (documents.some((d) => "end" in d)) c.close();
      },
    }),
  );
}

function hub(logs: (a: { query: URLSearchParams }) => Response) {
  return hubAnswers({
    "GET /applications": () => ({ items: [], total: 0, asOf: "" }),
    "GET /applications/:name": () => app,
    "GET /applications/:name/tree": () => ({
      nodes: [
        {
          group: "apps",
          kind: "Deployment",
          namespace: "pay",
          name: "api",
          version: "v1",
          health: { status: "Healthy" },
        },
      ],
      truncated: false,
      freshness: "live",
    }),
    "GET /applications/:name/logs": logs,
  });
}

const two = [
  {
    sources: [
      { source: 1, pod: "api-1", container: "web" },
      { source: 2, pod: "api-2", container: "web" },
    ],
  },
  { source: 1, at: "2026-06-01T10:00:00.123Z", text: evil },
  { source: 2, at: "2026-06-01T10:00:01Z", text: "level=error no" },
  { notice: { source: 2, code: "logs_cut", message: "the cluster keeps no older lines" } },
];

describe("logs", () => {
  it("of many pods are one list, as text, with what is missing said aloud", async () => {
    const asked = hub(() => lines(...two));
    const { router } = drawAt("/apps/shop?tab=logs");
    const log = await screen.findByRole("log", { name: "Lines" }, { timeout: 30_000 });
    expect(await within(log).findByText(/^<img src=x onerror=alert\(1\)>⟨U\+202E⟩$/)).toBeInTheDocument();
    expect(document.querySelector("img")).toBeNull();
    expect(within(log).getByText("api-1/web")).toBeInTheDocument();
    expect(screen.getByText("the cluster keeps no older lines")).toBeVisible();
    expect(screen.getByText("2 lines of 2 containers; at first the last 500 of each")).toBeVisible();
    const query = asked.find((a) => a.path.endsWith("/logs"))?.query;
    expect(Object.fromEntries(query ?? [])).toEqual({ allContainers: "true", follow: "true", tail: "500" });
    expect(screen.getByText(/hawser app logs shop --all-containers --follow --tail 500/)).toBeVisible();
    expect(screen.getByRole("link", { name: "Download" })).toHaveAttribute(
      "href",
      "/api/v1/applications/shop/logs?allContainers=true&timestamps=true",
    );
    await expectAccessible();
    await userEvent.type(screen.getByRole("textbox", { name: "Find in what is shown" }), "zz");
    expect(await screen.findByText("0 of 2 match")).toBeVisible();
    expect(router.state.location.search).toMatchObject({ q: "zz" });
  }, 120_000);

  it("reads what the URL says", async () => {
    const asked = hub(() => lines(...two, { end: null }));
    drawAt(
      "/apps/shop?tab=logs&sel=apps%2FDeployment%2Fpay%2Fapi&previous=yes&since=1h&tail=100&grep=a.b&container=web",
    );
    await screen.findByRole("log");
    const query = asked.find((a) => a.path.endsWith("/logs"))?.query;
    expect(Object.fromEntries(query ?? [])).toEqual({
      group: "apps",
      kind: "Deployment",
      namespace: "pay",
      resourceName: "api",
      container: "web",
      previous: "true",
      since: "1h",
      tail: "100",
      grep: "a.b",
    });
  });

  it("says why there are none, why they ended, and follows again", async () => {
    const first = hub(() => problemAnswer(503, "agent_disconnected", "eu-1 is not connected", { id: "HW-2001" }));
    const drawn = drawAt("/apps/shop?tab=logs");
    expect(await screen.findByText("HW-2001")).toBeVisible();
    expect(first.filter((a) => a.path.endsWith("/logs"))).toHaveLength(1);
    drawn.unmount();
    const asked = hub(() => lines(...two, { end: { code: "agent_gone", id: "HW-2002", status: 502, detail: "gone" } }));
    drawAt("/apps/shop?tab=logs");
    expect(await screen.findByText("HW-2002")).toBeVisible();
    expect(screen.getByRole("log")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Follow again" }));
    await waitFor(() => expect(asked.filter((a) => a.path.endsWith("/logs")).length).toBeGreaterThan(1));
  });
});

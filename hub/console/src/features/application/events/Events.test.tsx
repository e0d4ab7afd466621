import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import type { AppView, ObjectEvent } from "../../../api/types";
import { Problem } from "../../../client";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../../test/render";
import type { Axis } from "./axis";
import { filterEvents, merge, mostEvents } from "./events";
import { documents } from "./lines";

// jsdom has no canvas.
vi.mock("./Chart", () => ({
  default: ({ axis, onPeriod }: { axis: Axis; onPeriod: (from: number, to: number) => void }) => (
    <button type="button" data-testid="chart" onClick={() => onPeriod(axis.at[0] ?? 0, (axis.at[0] ?? 0) + axis.step)}>
      {JSON.stringify(axis.marks.map((m) => m.id))}
    </button>
  ),
}));

const event = (uid: string, more: Partial<ObjectEvent> = {}): ObjectEvent => ({
  uid,
  type: "Normal",
  reason: "Pulled",
  message: `message of ${uid}`,
  count: 1,
  lastSeen: "2026-06-01T10:00:00Z",
  object: { kind: "Pod", namespace: "pay", name: "api-x" },
  ...more,
});

const app: AppView = {
  uid: "u1",
  name: "shop",
  project: "pay",
  cluster: "eu-1",
  autoSync: true,
  generation: 1,
  desired: { commit: "0123456789" },
  sync: { status: "Synced" },
  health: { status: "Healthy" },
  freshness: "live",
};

describe("merge", () => {
  it("has the newest first, and one row for an event that is reported again", () => {
    const old = merge([], [event("a"), event("b", { lastSeen: "2026-06-01T11:00:00Z" })]);
    expect(old.map((e) => e.uid)).toEqual(["b", "a"]);
    const now = merge(old, [event("a", { count: 4, lastSeen: "2026-06-01T12:00:00Z" })]);
    expect(now.map((e) => [e.uid, e.count])).toEqual([
      ["a", 4],
      ["b", 1],
    ]);
  });
  it("is not taken back by a report that comes late", () => {
    expect(merge([event("a", { count: 4 })], [event("a", { count: 2 })])[0]?.count).toBe(4);
  });
  it("keeps the newest of very many, also of those without a time", () => {
    const many = Array.from({ length: mostEvents + 50 }, (_, i) =>
      event(`e${i}`, { lastSeen: i < 50 ? undefined : new Date(i * 1000).toISOString() }),
    );
    const got = merge([], many);
    expect(got).toHaveLength(mostEvents);
    expect(got.every((e) => e.lastSeen !== undefined)).toBe(true);
  });
});

describe("filterEvents", () => {
  const all = [event("a"), event("b", { type: "Warning", reason: "BackOff", message: "Back-off restarting" })];
  it.each([
    ["", undefined, 2],
    ["", "warning", 1],
    ["BACKOFF restarting", undefined, 1],
    ["pod/api-x", undefined, 2],
    ["pulled", "warning", 0],
  ] as const)("%j and %j leaves %i", (q, type, n) => {
    expect(filterEvents(all, q, type)).toHaveLength(n);
  });
});

describe("documents", () => {
  const answer = (...chunks: string[]) => {
    vi.spyOn(globalThis, "fetch").mockResolvedValue(
      new Response(
        new ReadableStream({
          start: (c) => {
            for (const x of chunks) c.enqueue(new TextEncoder().encode(x));
            c.close();
          },
        }),
      ),
    );
  };
  const all = async () => {
    const out: unknown[] = [];
    for await (const d of documents("/x", new AbortController().signal)) out.push(d);
    return out;
  };
  it("joins lines that come in pieces, and leaves out empty ones", async () => {
    answer('{"ev', 'ent":1}\n\n', '{"event":2}\n{"end":null}\n');
    expect(await all()).toEqual([{ event: 1 }, { event: 2 }]);
  });
  it("throws why the answer ended", async () => {
    answer('{"end":{"code":"agent_disconnected","status":503,"detail":"gone"}}\n');
    await expect(all()).rejects.toMatchObject({ code: "agent_disconnected", message: "gone" });
  });
  it("does not take an answer that was cut off for a whole one", async () => {
    answer('{"event":1}\n');
    await expect(all()).rejects.toBeInstanceOf(Problem);
  });
});

describe("events of an application", () => {
  const stream = (events: ObjectEvent[], end?: object) => () =>
    new Response(
      new ReadableStream({
        start: (c) => {
          const say = (d: object) => c.enqueue(new TextEncoder().encode(`${JSON.stringify(d)}\n`));
          for (const e of events) say({ event: e });
          if (end !== undefined) {
            say({ end });
            c.close();
          }
        },
      }),
    );
  const hub = (events: () => Response) =>
    hubAnswers({
      "GET /applications/:name": () => app,
      "GET /applications/:name/tree": () => ({ nodes: [], truncated: false, freshness: "live" }),
      "GET /applications": () => ({ items: [{ name: "shop" }], total: 1, asOf: "" }),
      "GET /applications/:name/events": events,
    });

  it("come as they happen, and are narrowed to warnings by the address", async () => {
    const asked = hub(stream([event("a"), event("b", { type: "Warning", reason: "BackOff" })]));
    const { router } = drawAt("/apps/shop?tab=events");
    const grid = await screen.findByRole("grid");
    expect(within(grid).getAllByRole("row")).toHaveLength(3);
    expect(asked.find((a) => a.path.endsWith("/events") && a.path !== "/events")?.query.get("follow")).toBe("true");
    await expectAccessible();
    await userEvent.click(screen.getByRole("checkbox", { name: "Only warnings" }));
    await waitFor(() => expect(within(grid).getAllByRole("row")).toHaveLength(2));
    expect(router.state.location.search).toMatchObject({ events: "warning" });
  });

  it("are narrowed to a period: of the address, chosen, or drawn over with the mouse", async () => {
    const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
    app.history = [{ id: 7, generation: 1, revision: "r", deployStartedAt: ago(20), deployedAt: ago(20) }];
    hub(
      stream([
        event("a", { lastSeen: ago(40), type: "Warning" }),
        event("b", { lastSeen: ago(20) }),
        event("c", { lastSeen: ago(5) }),
      ]),
    );
    const { router } = drawAt(`/apps/shop?tab=events&during=${encodeURIComponent(`${ago(30)}/${ago(10)}`)}`);
    await screen.findByRole("grid");
    const messages = () => screen.queryAllByText(/^message of/).map((e) => e.textContent);
    await waitFor(() => expect(messages()).toEqual(["message of b"]));
    expect(screen.getByText(/3 events, 1 warning, 1 deployment$/)).toBeVisible();
    const period = screen.getByRole("combobox", { name: "Period" });
    expect(period).toHaveDisplayValue(/ to /);
    await expectAccessible();
    await userEvent.selectOptions(period, "Last 15 minutes");
    await waitFor(() => expect(messages()).toEqual(["message of c"]));
    expect(router.state.location.search).toMatchObject({ during: "15m" });
    await userEvent.selectOptions(period, "All of the time");
    await waitFor(() => expect(messages()).toHaveLength(3));
    expect(router.state.location.search).not.toHaveProperty("during");
    const chart = screen.getByTestId("chart");
    expect(chart).toHaveTextContent("[7]");
    await userEvent.click(chart); // the first bar has the oldest event
    await waitFor(() => expect(messages()).toEqual(["message of a"]));
    await userEvent.type(screen.getByRole("textbox", { name: "Find events" }), "nothing");
    await userEvent.click(await screen.findByRole("button", { name: /Clear/ }));
    await waitFor(() => expect(messages()).toHaveLength(3));
  });

  it("stay when the stream ends, with why, and can be followed again", async () => {
    const asked = hub(stream([event("a")], { code: "agent_disconnected", status: 503, detail: "the agent went away" }));
    drawAt("/apps/shop?tab=events");
    expect(await screen.findByText("the agent went away")).toBeVisible();
    expect(screen.getByText("message of a")).toBeVisible();
    const before = asked.filter((a) => a.path === "/applications/shop/events").length;
    await userEvent.click(screen.getByRole("button", { name: "Follow again" }));
    await waitFor(() => expect(asked.filter((a) => a.path === "/applications/shop/events").length).toBe(before + 1));
  });

  it("say that there are none, with the command that follows them", async () => {
    hub(stream([]));
    drawAt("/apps/shop?tab=events");
    expect(await screen.findByText("No events")).toBeVisible();
    expect(screen.getByText(/hawser app events shop --follow/)).toBeVisible();
  });

  it("say why they cannot be read", async () => {
    hub(() => problemAnswer(403, "permission_denied", "you may not read events", { id: "HW-4001" }));
    drawAt("/apps/shop?tab=events");
    expect(await screen.findByText("you may not read events")).toBeVisible();
    expect(screen.getByText("HW-4001")).toBeVisible();
  });

  it("are strangers' texts", async () => {
    hub(stream([event("a", { message: "<b>x</b>\u001b[31m\u202e", reason: "\u202eX" })]));
    drawAt("/apps/shop?tab=events");
    expect(await screen.findByText("<b>x</b>⟨U+202E⟩")).toBeVisible();
  });
});

import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, test, vi } from "vitest";
import type { FleetTimeline } from "../../api/types";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";
import { heights, minuteAt } from "./happened";
import { mapOf } from "./testMap";

const at = (minute: number, n: number) => Array.from({ length: 60 }, (_, i) => (i === minute ? n : 0));

const hour: FleetTimeline = {
  asOf: "2026-05-01T12:59:30Z",
  from: "2026-05-01T12:00:00Z",
  counts: { synced: at(58, 100), failed: at(58, 1), lost: at(10, 1), "of a newer hub": at(3, 7) },
  newest: [
    {
      at: "2026-05-01T12:58:10Z",
      kind: "failed",
      application: "pay\u001b[2J",
      project: "shop",
      cluster: "eu-1",
      operation: "op-1",
      message: "<img src=x>",
    },
    { at: "2026-05-01T12:10:10Z", kind: "lost", cluster: "eu-2" },
    { at: "2026-05-01T12:03:10Z", kind: "of a newer hub", cluster: "eu-2" },
  ],
  more: 99,
};

const map = mapOf([{ name: "eu-1" }, { name: "eu-2" }]);

// jsdom draws nothing.
beforeEach(() => {
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null);
});

test("bars are of the highest, by the root, and what happened once is seen", () => {
  const all = heights(hour);
  expect(all).toHaveLength(60);
  expect(all[58]).toEqual({ good: 99, look: 0, bad: 1 });
  expect(all[10]).toEqual({ good: 0, look: 0, bad: 12 });
  expect(all[3]).toEqual({ good: 0, look: 0, bad: 0 });
  expect(heights(hour, "lost")[10]).toEqual({ good: 0, look: 0, bad: 100 });
  expect(minuteAt(hour, 58)).toBe("2026-05-01T12:58:00Z");
});

test("the last hour has sums and minutes, each of which narrows what is listed, and leads to lists", async () => {
  const asked = hubAnswers({ "GET /fleet/map": () => map, "GET /fleet/timeline": () => hour });
  const { router } = drawAt("/fleet?project=shop");
  const strip = await screen.findByRole("region", { name: "Last 60 minutes" });
  const failures = await within(strip).findByRole("button", { name: "1 failure" });
  expect(within(strip).getAllByRole("button", { name: /: / })).toHaveLength(60);
  expect(screen.queryByText(/img src/)).toBeNull();

  const user = userEvent.setup();
  await user.click(failures);
  await waitFor(() => expect(router.state.location.search).toMatchObject({ did: "failed" }));
  await user.click(within(strip).getByRole("button", { name: /: 100 syncs, 1 failure$/ }));
  await waitFor(() => expect(router.state.location.search).toMatchObject({ minute: "2026-05-01T12:58:00Z" }));
  await waitFor(() => {
    const q = asked.filter((a) => a.path === "/fleet/timeline").at(-1)?.query;
    expect([q?.get("kind"), q?.get("minute"), q?.get("project")]).toEqual(["failed", "2026-05-01T12:58:00Z", "shop"]);
  });
  expect(within(strip).getByText(/^Minute from .+ · Failed$/)).toBeInTheDocument();
  expect(within(strip).getByText("<img src=x>")).toBeInTheDocument();
  expect(document.querySelector("img")).toBeNull();
  expect(strip.textContent).not.toContain("\u001b");
  expect(within(strip).getByRole("link", { name: "1 application as a list" })).toHaveAttribute(
    "href",
    expect.stringContaining("/apps?"),
  );
  expect(within(strip).getByRole("link", { name: "1 cluster as a list" })).toHaveAttribute(
    "href",
    expect.stringContaining("eu-2"),
  );
  expect(within(strip).getByText("99 more are not listed.")).toBeInTheDocument();
  await user.click(within(strip).getByRole("button", { name: "Clear" }));
  await waitFor(() => expect(router.state.location.search).not.toHaveProperty("minute"));
});

test("arrows lead from minute to minute, and one of them is a stop of the tab key", async () => {
  hubAnswers({ "GET /fleet/map": () => map, "GET /fleet/timeline": () => hour });
  drawAt("/fleet");
  const last = await screen.findByRole("button", { name: /: 100 syncs/ });
  const bars = within(last.parentElement as HTMLElement).getAllByRole("button");
  expect(bars.filter((b) => b.tabIndex === 0)).toEqual([bars[59]]);
  bars[59]?.focus();
  await userEvent.keyboard("{ArrowLeft}");
  expect(last).toHaveFocus();
  await userEvent.keyboard("{Home}");
  expect(bars[0]).toHaveFocus();
  await expectAccessible();
});

test("a quiet hour, one of which not all is known, and a hub that refuses", async () => {
  let answer: FleetTimeline | ReturnType<typeof problemAnswer> = { ...hour, counts: {}, newest: [], more: undefined };
  hubAnswers({ "GET /fleet/map": () => map, "GET /fleet/timeline": () => answer });
  const quiet = drawAt("/fleet");
  expect(await screen.findByText("Nothing happened.")).toBeInTheDocument();
  quiet.unmount();
  answer = { ...hour, counts: {}, newest: [], more: undefined, knownSince: "2026-05-01T12:30:00Z" };
  const partial = drawAt("/fleet?did=lost");
  expect(await screen.findByText(/nothing is missing here/)).toBeInTheDocument();
  expect(screen.getByText("Nothing of this kind happened then.")).toBeInTheDocument();
  partial.unmount();
  answer = problemAnswer(403, "permission_denied", "not yours");
  drawAt("/fleet");
  expect(await screen.findByText(/not yours/)).toBeInTheDocument();
});

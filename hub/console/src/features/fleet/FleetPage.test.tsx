import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, test, vi } from "vitest";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";
import { mapOf } from "./testMap";

const hostile = 'eu\u202e\u001b[31m<img src=x onerror="alert(1)">';

const map = mapOf(
  [
    { name: "eu-1", labels: { region: "eu", env: "prod" }, applications: 2, counts: { healthy: 2 } },
    {
      name: "eu-2",
      labels: { region: "eu", env: "prod" },
      worst: "degraded",
      applications: 2,
      counts: { healthy: 1, degraded: 1 },
    },
    {
      name: "eu-3",
      labels: { region: "eu", env: "prod" },
      state: "offline",
      lastSeen: 1_770_000_000,
      applications: 1,
      counts: { stale: 1 },
    },
    { name: hostile, labels: { region: "us", env: "lab" }, worst: "none" },
  ],
  {
    applicationCounts: {
      total: 12,
      health: { healthy: 8, degraded: 1 },
      sync: { drifted: 3, pending: 2 },
      operation: {},
      stale: 1,
      never: 1,
      unrendered: 0,
    },
  },
  [
    { kind: "offline", cluster: "eu-3", since: "2026-05-01T11:00:00Z", production: true },
    { kind: "degraded", application: "pay\u001b[2J", cluster: "eu-2", message: "<b>OOMKilled</b>" },
    { kind: "drifted", more: 12 },
    { kind: "of a newer hub", cluster: "x" },
  ],
);

// jsdom draws nothing.
beforeEach(() => {
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null);
});

test("the fleet in numbers, groups and what needs attention", async () => {
  hubAnswers({ "GET /fleet/map": () => map });
  const { router } = drawAt("/fleet");
  const group = await screen.findByRole("listbox", { name: /^eu prod: 3 clusters, Degraded 1, not reporting 1/ });
  // What does not report is in no share.
  const numbers = screen.getByRole("navigation", { name: "The fleet in numbers" });
  expect(within(numbers).getByRole("link", { name: /80% ?8 healthy, of 10 applications/ })).toHaveAttribute(
    "href",
    expect.stringContaining("health"),
  );
  expect(within(numbers).getByRole("link", { name: /3 ?of 4/ })).toBeInTheDocument();
  const rail = screen.getByRole("complementary", { name: /Needs attention/ });
  expect(within(rail).getAllByRole("listitem")).toHaveLength(3);
  expect(within(rail).getByText("<b>OOMKilled</b>")).toBeInTheDocument();
  expect(within(rail).getByRole("link", { name: "12 more have drifted" })).toHaveAttribute(
    "href",
    expect.stringContaining("reason"),
  );
  expect(document.querySelector("img")).toBeNull();
  expect(document.body.textContent).not.toContain("\u001b");

  const user = userEvent.setup();
  group.focus();
  await user.keyboard("{ArrowRight}{ArrowRight}");
  expect(within(group).getByRole("option")).toHaveTextContent("eu-3, Offline");
  await user.keyboard("x{Shift>}{ArrowLeft}{/Shift}");
  expect(screen.getByText("2 clusters selected")).toBeInTheDocument();
  expect(screen.getByRole("link", { name: "Open as a list" })).toHaveAttribute("href", expect.stringContaining("eu-2"));
  await user.keyboard("{Escape}");
  expect(screen.queryByText(/selected/)).toBeNull();
  await user.keyboard("{Enter}");
  await waitFor(() => expect(router.state.location.pathname).toBe("/clusters/eu-2"));
});

test("the table has the same clusters, one key away, and axe finds nothing in either", async () => {
  hubAnswers({ "GET /fleet/map": () => map });
  const { router } = drawAt("/fleet");
  await screen.findByRole("listbox", { name: /eu prod/ });
  await expectAccessible();
  await userEvent.keyboard("t");
  expect(await screen.findByRole("grid", { name: "Clusters" })).toHaveAttribute("aria-rowcount", "5");
  expect(router.state.location.search).toMatchObject({ view: "table" });
  expect(screen.getByRole("link", { name: "eu-1" })).toHaveAttribute("href", "/clusters/eu-1");
  await expectAccessible();
});

test("a filter dims, one that selects nothing says which term does, and a mistake leaves the map", async () => {
  const asked = hubAnswers({
    "GET /fleet/map": ({ query }) => {
      const filter = query.get("filter");
      if (filter === "stat:x") return problemAnswer(400, "filter_invalid", 'character 1: there is no key "stat"');
      return filter === null ? map : { ...map, dimmed: [0, 1, 2, 3] };
    },
    "GET /clusters": ({ query }) => ({
      items: [],
      total: query.get("filter") === "env:prod" ? 3 : 0,
      asOf: "2026-05-01T12:00:00Z",
    }),
  });
  const { router } = drawAt(`/fleet?q=${encodeURIComponent("env:prod state:never")}`);
  await userEvent.click(await screen.findByRole("button", { name: "Without state:never: 3" }));
  await waitFor(() => expect(router.state.location.search).toMatchObject({ q: "env:prod" }));
  const box = screen.getByRole("textbox", { name: "Filter clusters" });
  await userEvent.clear(box);
  await userEvent.type(box, "stat:x");
  expect(await screen.findByText(/there is no key "stat"/)).toBeInTheDocument();
  expect(await screen.findByRole("listbox", { name: /eu prod/ })).toBeInTheDocument();
  expect(asked.some((a) => a.path === "/fleet/map" && a.query.get("filter") === "stat:x")).toBe(true);
});

test("without clusters there is one thing to do, with its command line", async () => {
  hubAnswers({ "GET /fleet/map": () => mapOf([]) });
  drawAt("/fleet", { locale: "de" });
  expect(await screen.findByText("Noch keine Cluster")).toBeInTheDocument();
  expect(screen.getByRole("link", { name: "Cluster aufnehmen" })).toHaveAttribute("href", "/enrol");
  expect(screen.getByText(/hawser cluster enroll NAME/)).toBeInTheDocument();
  await expectAccessible();
});

test("a denial is explained, and a hub that does not answer can be asked again", async () => {
  let answer = (): object => problemAnswer(403, "permission_denied", "you may not see clusters", { id: "HW-4001" });
  hubAnswers({ "GET /fleet/map": () => answer() });
  const first = drawAt("/fleet");
  expect(await screen.findByText("you may not see clusters")).toBeInTheDocument();
  first.unmount();
  answer = () => problemAnswer(503, "db_unavailable", "the database is away", { id: "HW-5001" });
  drawAt("/fleet");
  const again = await screen.findByRole("button", { name: "Try again" });
  expect(screen.getByText("HW-5001")).toBeInTheDocument();
  answer = () => ({ ...map, away: true });
  await userEvent.click(again);
  expect(await screen.findByText(/The database does not answer; this is as of/)).toBeInTheDocument();
});

import { act, fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { AppView } from "../../api/types";
import { type Asked, drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";
import { installChords } from "../../ui/chords";
import { patched } from "./live";

const asOf = "2026-01-01T00:00:00Z";

function row(i: number, more: Partial<AppView> = {}): Partial<AppView> {
  return {
    name: `app-${i}`,
    project: "shop",
    cluster: "eu",
    sync: { status: "Synced" },
    health: { status: "Healthy" },
    freshness: "live",
    observedAt: asOf,
    autoSync: true,
    ...more,
  };
}

/** A hub with so many applications; what changes is said by `more`. */
function fleet(total: number, more: (i: number) => Partial<AppView> = () => ({})) {
  return (a: Asked) => {
    const filter = a.query.get("filter") ?? "";
    if (/degrded/.test(filter))
      return problemAnswer(
        400,
        "filter_invalid",
        'filter, character 8: "degrded" is no value of health; did you mean "degraded"?',
        {
          id: "HW-1001",
          field: "filter",
        },
      );
    if (filter.endsWith(":")) return problemAnswer(400, "filter_invalid", "filter, character 8: a value is missing");
    const found = /nothing/.test(filter) ? 0 : /degraded/.test(filter) ? Math.min(3, total) : total;
    const limit = Number(a.query.get("limit"));
    const from = Number(a.query.get("cursor") ?? "0");
    const to = Math.min(found, from + limit);
    return {
      items: Array.from({ length: to - from }, (_, i) => row(from + i, more(from + i))),
      nextCursor: to < found ? String(to) : undefined,
      total: found,
      asOf,
      facets:
        a.query.get("facets") === "none"
          ? undefined
          : {
              health: { values: { healthy: found - 3, degraded: 3 } },
              sync: { values: { synced: found } },
              operation: { values: { none: found } },
              freshness: { values: { live: found } },
              project: { values: { shop: found } },
              cluster: { values: { eu: found }, others: 4 },
            },
    };
  };
}

/** Windows of rows that were asked for. */
const requests = (asked: Asked[]) =>
  asked.filter(
    (a) => a.path === "/applications" && a.query.get("limit") === "200" && a.query.get("fields") !== "labels",
  );

describe("the list of applications", () => {
  it("reads windows of 200 as they come into sight, and counts beside them", async () => {
    const asked = hubAnswers({ "GET /applications": fleet(10_000) });
    drawAt("/apps");
    const grid = await screen.findByRole("grid");
    expect(grid).toHaveAttribute("aria-rowcount", "10001");
    expect(within(grid).getAllByRole("row").length).toBeLessThan(80);
    expect(requests(asked)).toHaveLength(1);
    Object.defineProperty(grid, "scrollTop", { configurable: true, value: 190 * 32 });
    fireEvent.scroll(grid);
    await waitFor(() => expect(requests(asked).some((a) => a.query.get("cursor") === "200")).toBe(true));
    expect(screen.getByText("10,000 applications")).toBeVisible();
  });

  it("asks with filter, order, columns and project of the address", async () => {
    const asked = hubAnswers({ "GET /applications": fleet(5) });
    drawAt("/apps?project=shop&q=health%3Adegraded&sort=-health&cols=repo%2Cnothing");
    await screen.findByRole("grid");
    const rows = requests(asked)[0];
    expect(rows?.query.get("project")).toBe("shop");
    expect(rows?.query.get("filter")).toBe("health:degraded");
    expect(rows?.query.get("sort")).toBe("-health");
    expect(rows?.query.get("fields")?.split(",")).toContain("repoURL");
    expect(screen.getAllByRole("columnheader").map((h) => h.textContent)).toEqual(["", "Name", "Repository"]);
    expect(screen.getByRole("button", { name: /Degraded/ })).toHaveAttribute("aria-pressed", "true");
    await expectAccessible();
  });

  it("groups rows as the address says, and reads those of open groups alone", async () => {
    const flat = fleet(250);
    const asked = hubAnswers({
      "GET /applications": (a) => {
        if (a.query.get("group") === "project")
          return {
            items: [],
            total: 10_000,
            asOf,
            groups: { values: { "team-10": 9_000, "team-9": 990, "": 1 }, others: 9 },
          };
        return flat(a);
      },
    });
    const { router } = drawAt("/apps?group=project&q=env%3Aprod");
    const grid = await screen.findByRole("treegrid");
    const groups = () =>
      within(grid)
        .getAllByRole("row")
        .filter((r) => r.hasAttribute("aria-expanded"))
        .map((r) => `${r.textContent} ${r.getAttribute("aria-expanded")}`);
    expect(groups().slice(0, 1)).toEqual(["team-9 990 true"]);
    expect(screen.getByText(/3 groups · 10,000|3 groups · 250/)).toHaveTextContent("(and 9 applications in groups");
    await waitFor(() => expect(within(grid).getByText("app-0")).toBeVisible());
    const filters = () => requests(asked).map((a) => a.query.get("filter"));
    expect(filters()).toContain("env:prod project:team-9");
    expect(filters()).not.toContain("env:prod project:team-10");
    await userEvent.click(within(grid).getByText("team-9"));
    expect(router.state.location.search).toMatchObject({ open: "-" });
    expect(groups()).toEqual(["team-9 990 false", "team-10 9,000 false", "None 1 false"]);
    await userEvent.click(within(grid).getByText("None"));
    expect(router.state.location.search).toMatchObject({ open: "~" });
    await waitFor(() => expect(filters()).toContain('env:prod project:""'));
    await expectAccessible();
  });

  it("is grouped by what its menu offers", async () => {
    const flat = fleet(2);
    hubAnswers({
      "GET /applications": (a) =>
        a.query.get("group") === "namespace" ? { items: [], total: 2, asOf, groups: { values: { shop: 2 } } } : flat(a),
    });
    const { router } = drawAt("/apps");
    await screen.findByRole("grid");
    await userEvent.click(screen.getByRole("button", { name: "Group" }));
    await userEvent.click(await screen.findByRole("menuitemradio", { name: "Namespace" }));
    await screen.findByRole("treegrid");
    expect(router.state.location.search).toMatchObject({ group: "namespace" });
  });

  it("opens a thousand groups at once, and reads those that come into sight", async () => {
    const values = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`ns-${i}`, 2]));
    const flat = fleet(2);
    // An application is in one group alone.
    const rowsOf = (a: Asked) => {
      const group = /ns-\d+/.exec(a.query.get("filter") ?? "")?.[0] ?? "";
      const page = flat(a) as { items: { name: string }[] };
      return { ...page, items: page.items.map((row) => ({ ...row, name: `${group}-${row.name}` })) };
    };
    const asked = hubAnswers({
      "GET /applications": (a) =>
        a.query.get("group") === "namespace" ? { items: [], total: 2000, asOf, groups: { values } } : rowsOf(a),
    });
    const { router } = drawAt("/apps?group=namespace");
    await screen.findByRole("treegrid");
    await userEvent.click(screen.getByRole("button", { name: "By Namespace" }));
    await userEvent.click(await screen.findByRole("menuitem", { name: "Open all groups" }));
    expect(router.state.location.search).toMatchObject({ open: "*" });
    await waitFor(() => expect(requests(asked).length).toBeGreaterThan(5));
    expect(requests(asked).length).toBeLessThan(80);
    expect(within(screen.getByRole("treegrid")).getAllByRole("row").length).toBeLessThan(120);
  });

  it("puts facets into the filter, and the filter into the address", async () => {
    hubAnswers({ "GET /applications": fleet(50) });
    const { router } = drawAt("/apps");
    await userEvent.click(await screen.findByRole("button", { name: /Degraded/ }));
    await waitFor(() => expect(router.state.location.search).toMatchObject({ q: "health:degraded" }));
    expect(screen.getByRole("combobox", { name: "Filter applications" })).toHaveValue("health:degraded");
    expect(await screen.findByText("3 of 50")).toBeVisible();
  });

  it("completes, and takes a filter only when the hub understands it", async () => {
    hubAnswers({ "GET /applications": fleet(50) });
    const { router } = drawAt("/apps");
    await screen.findByRole("grid");
    const box = screen.getByRole("combobox", { name: "Filter applications" });
    await userEvent.type(box, "heal");
    expect(screen.getByRole("option", { name: "health:" })).toBeVisible();
    await userEvent.keyboard("{ArrowDown}{Enter}");
    expect(box).toHaveValue("health:");
    expect(screen.getByRole("option", { name: /degraded\s*3/ })).toBeVisible();
    await userEvent.type(box, "degrded");
    expect(await screen.findByRole("alert")).toHaveTextContent('did you mean "degraded"?');
    expect(box).toHaveAttribute("aria-invalid", "true");
    expect(document.querySelector("mark")).toHaveTextContent("degrded");
    expect(router.state.location.search.q ?? "").not.toMatch(/degrded|:/);
    expect(screen.getByRole("grid")).toBeVisible();
  });

  it("says which term leaves nothing", async () => {
    hubAnswers({ "GET /applications": fleet(50) });
    const { router } = drawAt("/apps?q=name%3Anothing+project%3Ashop");
    await userEvent.click(await screen.findByRole("button", { name: "Without name:nothing: 50" }));
    await waitFor(() => expect(router.state.location.search).toMatchObject({ q: "project:shop" }));
  });

  it("says what a filter of an address has wrong", async () => {
    hubAnswers({ "GET /applications": fleet(50) });
    drawAt("/apps?q=health%3Adegrded");
    expect(await screen.findByText("The filter is not understood")).toBeVisible();
  });

  it("tells the first who comes what an application is, and how to make one", async () => {
    hubAnswers({ "GET /applications": fleet(0) });
    drawAt("/apps");
    expect(await screen.findByText("No applications yet")).toBeVisible();
    expect(screen.getByText(/hawser app create/)).toBeVisible();
    await expectAccessible();
  });

  it("shows a denial with its code", async () => {
    hubAnswers({
      "GET /applications": () =>
        problemAnswer(403, "permission_denied", "you may not list applications", { id: "HW-4001" }),
    });
    drawAt("/apps");
    expect(await screen.findByText("HW-4001")).toBeVisible();
  });

  it("hatches what is stale, and gives the reason of health in place of its word", async () => {
    hubAnswers({
      "GET /applications": fleet(2, (i) =>
        i === 0
          ? { freshness: "stale" }
          : { health: { status: "Degraded", message: "<b>OOMKilled</b>\u202e\u001b[31m api" } },
      ),
    });
    drawAt("/apps");
    const grid = await screen.findByRole("grid");
    const [, first, second] = within(grid).getAllByRole("row");
    expect(first).toHaveAttribute("data-stale");
    expect(second).toHaveTextContent("<b>OOMKilled</b>");
    expect(second?.querySelector("b")).toBeNull();
    expect(second?.textContent).not.toMatch(/[\u202e\u001b]/);
  });

  it("changes cells at once, and rows when somebody says so", async () => {
    let send: (event: string) => void = () => {};
    let total = 2;
    const asked = hubAnswers({
      "GET /applications": (a) => fleet(total)(a),
      "GET /events": () =>
        new Response(
          new ReadableStream({
            start: (c) => {
              send = (s) => c.enqueue(new TextEncoder().encode(s));
              send('id: 1\nevent: hello\ndata: {"version":"test"}\n\n');
            },
          }),
        ),
    });
    const off = installChords();
    drawAt("/apps");
    const grid = await screen.findByRole("grid");
    const view = { ...row(0), uid: "u", health: { status: "Degraded", message: "broken" } };
    act(() => {
      send(`id: 2\nevent: application\ndata: ${JSON.stringify({ uid: "u", name: "app-0", view })}\n\n`);
      send('id: 3\nevent: application\ndata: {"uid":"v","name":"app-1","deleted":true}\n\n');
    });
    expect(await screen.findByText("2 changes")).toBeVisible();
    const rows = within(grid).getAllByRole("row");
    expect(rows).toHaveLength(3);
    expect(rows[1]).toHaveTextContent("broken");
    total = 1;
    const before = requests(asked).length;
    fireEvent.keyDown(document.body, { key: "r" });
    await waitFor(() => expect(requests(asked).length).toBe(before + 1));
    await waitFor(() => expect(screen.queryByText("2 changes")).toBeNull());
    off();
  });
});

describe("patched rows", () => {
  const windows = { pages: [{ items: [row(0), row(1)] as AppView[], total: 2, asOf }], pageParams: [undefined] };
  it("keep their order, and tell what looks different", () => {
    const got = patched(windows, new Map([["app-1", row(1, { deleting: true }) as AppView]]));
    expect(got.changed).toEqual(["app-1"]);
    expect(got.windows.pages[0]?.items.map((r) => r.name)).toEqual(["app-0", "app-1"]);
    expect(got.windows.pages[0]?.items[1]?.deleting).toBe(true);
  });
  it("lose what has ended", () => {
    const pinned = {
      pages: [{ items: [row(0, { deleting: true })] as AppView[], total: 1, asOf }],
      pageParams: [undefined],
    };
    expect(patched(pinned, new Map([["app-0", row(0) as AppView]])).windows.pages[0]?.items[0]).not.toHaveProperty(
      "deleting",
    );
  });
  it("are no change when they look the same", () => {
    expect(
      patched(windows, new Map([["app-0", row(0, { observedAt: "2027-01-01T00:00:00Z" }) as AppView]])).changed,
    ).toEqual([]);
  });
});

import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { type Asked, drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";
import { keptOf } from "./views";

const at = "2026-01-01T00:00:00Z";
const views = [
  {
    id: "1",
    things: "applications",
    name: "broken <b>",
    search: { q: "is:failing", sort: "-changed" },
    mayChange: true,
  },
  { id: "2", things: "applications", name: "team", project: "shop", search: { q: "env:prod" }, mayChange: false },
  { id: "3", things: "clusters", name: "far", search: {}, mayChange: true },
].map((v) => ({ ...v, changedBy: "ana", changedAt: at }));

const hub = (more: Record<string, (a: Asked) => Response | object | undefined> = {}) =>
  hubAnswers({
    "GET /applications": () => ({ items: [], total: 7, asOf: at, facets: {} }),
    "GET /saved-views": () => ({ items: views, total: 3, asOf: at }),
    ...more,
  });

describe("saved views", () => {
  it("take the place of filter, order and columns, and keep the project", async () => {
    hub();
    const { router } = drawAt("/apps?project=shop&cols=repo&q=x");
    await userEvent.click(await screen.findByRole("button", { name: "Views" }));
    expect(await screen.findByRole("menuitem", { name: "team" })).toBeVisible();
    expect(screen.queryByText("far")).toBeNull();
    await expectAccessible();
    await userEvent.click(screen.getByRole("menuitem", { name: "broken <b>" }));
    await waitFor(() =>
      expect(router.state.location.search).toEqual({ project: "shop", q: "is:failing", sort: "-changed" }),
    );
    expect(await screen.findByRole("button", { name: "broken <b>" })).toBeVisible();
  });

  it("open the list: one's own first, then the project's, then everyone's, unless the address says otherwise", async () => {
    const first = [
      { ...views[1], id: "d1", name: "team's", default: true },
      {
        ...views[1],
        id: "d2",
        name: "all's",
        project: undefined,
        everyone: true,
        default: true,
        search: { q: "env:lab" },
      },
    ];
    hub({ "GET /saved-views": () => ({ items: [...views, ...first], total: 5, asOf: at }) });
    const team = drawAt("/apps?project=shop");
    await waitFor(() => expect(team.router.state.location.search).toEqual({ project: "shop", q: "env:prod" }));
    // Who clears it sees everything, and the address says so.
    await userEvent.clear(screen.getByRole("combobox", { name: "Filter applications" }));
    await userEvent.keyboard("{Enter}");
    await waitFor(() => expect(team.router.state.location.search).toEqual({ project: "shop", view: "all" }));
    team.unmount();
    const all = drawAt("/apps");
    await waitFor(() => expect(all.router.state.location.search).toEqual({ q: "env:lab" }));
    all.unmount();
    for (const address of ["/apps?q=name%3Ax", "/apps?view=all"]) {
      const said = drawAt(address);
      await userEvent.click(await screen.findByRole("button", { name: "Views" }));
      expect(await screen.findByRole("menuitem", { name: /all's · opens the list/ })).toBeVisible();
      expect(said.router.state.location.search).not.toHaveProperty("q", "env:lab");
      said.unmount();
    }
  });

  it("are kept by administrators for everyone, as what the list opens with, and say the command", async () => {
    const asked = hub({ "POST /saved-views": () => ({ ...views[0], id: "9" }) });
    drawAt("/apps?q=health%3Adegraded");
    await userEvent.click(await screen.findByRole("button", { name: "Views" }));
    await userEvent.click(await screen.findByRole("menuitem", { name: "Save this view" }));
    const dialog = await screen.findByRole("dialog");
    await userEvent.type(within(dialog).getByLabelText("Name"), "ill");
    await userEvent.click(within(dialog).getByRole("radio", { name: "For all who use this hub" }));
    await userEvent.click(within(dialog).getByRole("checkbox", { name: "The list opens with it" }));
    expect(
      within(dialog).getByText("hawser view save ill --everyone --default --filter health:degraded"),
    ).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "Save" }));
    await waitFor(() =>
      expect(asked.find((a) => a.method === "POST")?.body).toMatchObject({ everyone: true, default: true }),
    );
  });

  it("are saved for oneself or for the project, and say when that is refused", async () => {
    const asked = hub({
      "POST /saved-views": () => problemAnswer(403, "permission_denied", "you may not update projects shop"),
    });
    drawAt("/apps?project=shop&q=health%3Adegraded");
    await userEvent.click(await screen.findByRole("button", { name: "Views" }));
    await userEvent.click(await screen.findByRole("menuitem", { name: "Save this view" }));
    const dialog = await screen.findByRole("dialog");
    expect(within(dialog).getByRole("button", { name: "Save" })).toBeDisabled();
    await userEvent.type(within(dialog).getByLabelText("Name"), "ill");
    await userEvent.click(within(dialog).getByRole("radio", { name: /shop/ }));
    await userEvent.click(within(dialog).getByRole("button", { name: "Save" }));
    expect(await within(dialog).findByRole("alert")).toHaveTextContent("you may not update projects shop");
    expect(asked.find((a) => a.method === "POST")?.body).toEqual({
      things: "applications",
      name: "ill",
      project: "shop",
      search: { q: "health:degraded" },
    });
  });

  it("keep what is theirs of an address", () => {
    expect(keptOf({ q: "a", sort: undefined, project: "p", facets: "on", cols: "" })).toEqual({ q: "a" });
  });
});

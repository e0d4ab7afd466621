import { expect, it } from "vitest";
import { hubAnswers, problemAnswer } from "../../test/render";
import source from "./palette";

const context = { signal: new AbortController().signal, t: (key: string) => key };
const views = () => ({
  items: [
    {
      id: "1",
      things: "applications",
      name: "Broken pay",
      project: "team",
      search: { q: "health:degraded", group: "cluster", x: "y" },
    },
    { id: "2", things: "clusters", name: "Pay clusters", search: {} },
    { id: "3", things: "applications", name: "Mine", search: { sort: "-changed" } },
  ],
});

it("finds applications by free text, and asks for nothing else", async () => {
  const asked = hubAnswers({
    "GET /applications": () => ({ items: [{ name: "pay/api ü", project: "team", cluster: "eu" }], total: 1, asOf: "" }),
    "GET /saved-views": () => problemAnswer(503, "db_unavailable", "away"),
  });
  expect(await source.search('pay" project:x', context)).toEqual([
    {
      id: "application pay/api ü",
      title: "pay/api ü",
      hint: "team · eu",
      icon: "applications",
      to: "/apps/pay%2Fapi%20%C3%BC",
    },
  ]);
  const lists = () => asked.filter((a) => a.path === "/applications");
  expect(lists()[0]?.query.get("filter")).toBe('"pay project:x"');
  expect(await source.search("", context)).toEqual([]);
  expect(lists()).toHaveLength(1);
});

it("finds saved views of the list, with what they keep", async () => {
  hubAnswers({ "GET /applications": () => ({ items: [], total: 0, asOf: "" }), "GET /saved-views": views });
  expect(await source.search("pay", context)).toEqual([
    {
      id: "view 1",
      title: "Broken pay",
      hint: "applications.views.projects · team",
      icon: "star",
      to: "/apps?project=team&q=health%3Adegraded&group=cluster",
    },
  ]);
  expect((await source.search("", context)).map((e) => e.to)).toEqual([
    "/apps?project=team&q=health%3Adegraded&group=cluster",
    "/apps?sort=-changed",
  ]);
});

it("fails when the applications cannot be read", async () => {
  hubAnswers({ "GET /applications": () => problemAnswer(503, "db_unavailable", "away"), "GET /saved-views": views });
  await expect(source.search("pay", context)).rejects.toThrow();
});

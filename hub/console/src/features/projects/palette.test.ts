import { expect, it } from "vitest";
import { hubAnswers } from "../../test/render";
import source from "./palette";

const context = { signal: new AbortController().signal, t: (key: string) => key };

it("finds projects by a part of their name", async () => {
  const asked = hubAnswers({
    "GET /projects": () => ({
      items: [{ metadata: { name: "team-pay" }, spec: { description: "Payments" } }],
      total: 1,
      asOf: "",
    }),
  });
  expect(await source.search('pay" x:y', context)).toEqual([
    { id: "project team-pay", title: "team-pay", hint: "Payments", icon: "projects", to: "/projects/team-pay" },
  ]);
  expect(asked[0]?.query.get("filter")).toBe('"pay x:y"');
  expect(await source.search("", context)).toEqual([]);
  expect(asked).toHaveLength(1);
});

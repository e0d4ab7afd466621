import { expect, it } from "vitest";
import { hubAnswers } from "../../test/render";
import source from "./palette";

const context = { signal: new AbortController().signal, t: (key: string) => key };

it("finds applications by free text, and asks for nothing else", async () => {
  const asked = hubAnswers({
    "GET /applications": () => ({ items: [{ name: "pay/api ü", project: "team", cluster: "eu" }], total: 1, asOf: "" }),
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
  expect(asked[0]?.query.get("filter")).toBe('"pay project:x"');
  expect(await source.search("", context)).toEqual([]);
  expect(asked).toHaveLength(1);
});

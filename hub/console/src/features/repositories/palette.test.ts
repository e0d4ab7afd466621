import { expect, it } from "vitest";
import { hubAnswers } from "../../test/render";
import source from "./palette";

const context = { signal: new AbortController().signal, t: (key: string) => key };

it("finds repositories by a part of their address, and how one is added", async () => {
  const asked = hubAnswers({
    "GET /repositories": () => ({
      items: [{ id: "a b", url: "https://git/pay", type: "git", project: "team" }],
      total: 1,
      asOf: "",
    }),
  });
  expect(await source.search('pay" x:y', context)).toEqual([
    { id: "repository a b", title: "https://git/pay", hint: "team", icon: "repositories", to: "/repositories?sel=a+b" },
  ]);
  expect(asked[0]?.query.get("filter")).toBe('url:~"pay x:y"');
  expect((await source.search("", context)).map((e) => e.to)).toEqual(["/repositories?sheet=add"]);
  expect(asked).toHaveLength(1);
});

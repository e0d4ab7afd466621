import { expect, test } from "vitest";
import type { T } from "../../i18n";
import { hubAnswers } from "../../test/render";
import source from "./palette";

test("the palette finds clusters by a part of their name, whatever is typed", async () => {
  const asked = hubAnswers({
    "GET /clusters": () => ({ items: [{ name: "eu prod/1", kubeVersion: "v1.37.2" }], total: 1 }),
  });
  const t = ((key: string) => key) as T;
  const c = { signal: new AbortController().signal, t };
  expect((await source.search("", c)).map((e) => e.to)).toEqual(["/enrol"]);
  expect(asked).toHaveLength(0);
  const found = await source.search('eu" state:x \\', c);
  expect(asked[0]?.query.get("filter")).toBe('"eu state:x "');
  expect(found).toMatchObject([{ title: "eu prod/1", to: "/clusters/eu%20prod%2F1", hint: "v1.37.2" }]);
});

import { describe, expect, it } from "vitest";
import { filterOf, groupKeyOf, inOrder, openOf, openParameter } from "./groups";

describe("a group", () => {
  it("is of a key that there is", () => {
    expect(["project", "namespace", "label:team", "cluster.label:region"].map(groupKeyOf)).not.toContain(undefined);
    expect([undefined, "", "projekt", "label:", "cluster.label:"].map(groupKeyOf)).toEqual(
      Array.from({ length: 5 }, () => undefined),
    );
  });
  it.each([
    [undefined, "project", "shop", "project:shop"],
    ["env:prod", "health", "degraded", "env:prod health:degraded"],
    ["project:a*", "project", "a b", 'project:a* project:"a b"'],
    [undefined, "namespace", "", 'namespace:""'],
    [undefined, "label:team", "pay", "label:team=pay"],
    [undefined, "label:a.b/c", "x:y", 'label:a.b/c="x:y"'],
    [undefined, "label:team", "", "-label:team"],
    ["x", "cluster.label:region", "eu", "x cluster.label:region=eu"],
    ["x", "cluster.label:region", "", "x -cluster.label:region"],
  ])("narrows %s by %s=%s to %s", (filter, key, value, want) => {
    expect(filterOf(filter, key, value)).toBe(want);
  });
  it("comes the worst first where that is known, else by name, without a name last", () => {
    expect(inOrder("health", { healthy: 9, degraded: 1, unknown: 2 })).toEqual(["degraded", "unknown", "healthy"]);
    expect(inOrder("project", { "": 3, "team-10": 1, "team-9": 5 })).toEqual(["team-9", "team-10", ""]);
  });
  it("is open or not as the address says", () => {
    expect([...openOf(undefined, ["a", "b"])]).toEqual(["a"]);
    expect([...openOf("-", ["a", "b"])]).toEqual([]);
    const order = ["", "a,b", "-", "~", "*", "ü %2C"];
    for (const open of [[""], ["a,b", "-"], ["*"], [], order, order.slice(1), ["-", "~", "*", "ü %2C"]])
      expect([...openOf(openParameter(new Set(open), order), order)]).toEqual(open);
    expect([...openOf("~%zz,~a", [])]).toEqual(["a"]);
  });
  it("of thousands that are open makes no long address", () => {
    const order = Array.from({ length: 1000 }, (_, i) => `team-${i}`);
    expect(openParameter(new Set(order), order)).toBe("*");
    expect(openParameter(new Set(order.slice(1)), order)).toBe("*,~team-0");
    expect(openOf("*,~team-0", order).size).toBe(999);
  });
});

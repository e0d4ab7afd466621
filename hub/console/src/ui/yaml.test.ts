import { describe, expect, it } from "vitest";
import { diffLines } from "./diffLines";
import { explained } from "./explained";
import { toYAML } from "./yaml";

describe("values as YAML", () => {
  it("are what people write, and quote what would mean something else", () => {
    expect(
      toYAML({
        name: "shop",
        no: "yes",
        n: "1",
        star: "*",
        many: ["a", { b: 1, c: [{ d: "x: y" }] }],
        gone: undefined,
        empty: [],
        none: {},
        "a b": "line\nbreak",
      }),
    ).toBe(
      [
        "name: shop",
        '"no": "yes"',
        '"n": "1"',
        'star: "*"',
        "many:",
        "- a",
        "- b: 1",
        "  c:",
        '  - d: "x: y"',
        "empty: []",
        "none: {}",
        'a b: "line\\nbreak"',
        "",
      ].join("\n"),
    );
  });
});

describe("lines of two texts", () => {
  it("are compared with the fewest changes", () => {
    expect(diffLines("a\nb\nc", "a\nx\nc\nd").map((l) => `${l.kind[0]}${l.text}`)).toEqual([
      "sa",
      "rb",
      "ax",
      "sc",
      "ad",
    ]);
    expect(diffLines("same", "same").every((l) => l.kind === "same")).toBe(true);
  });
  it("are replaced when there are too many to compare", () => {
    const many = (c: string) => Array.from({ length: 3000 }, (_, i) => c + i).join("\n");
    expect(diffLines(many("a"), many("b"))).toHaveLength(6000);
  });
});

describe("an explanation", () => {
  it("of another shape is none", () => {
    for (const x of [
      undefined,
      null,
      "x",
      {},
      { allowed: false, checks: [] },
      { allowed: false, checks: [{ rule: 1 }] },
    ])
      expect(explained(x)).toBeUndefined();
  });
});

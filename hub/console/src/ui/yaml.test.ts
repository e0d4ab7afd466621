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
        "a b: |-",
        "  line",
        "  break",
        "",
      ].join("\n"),
    );
  });
});

describe("YAML of values", () => {
  it("writes objects and lists as Kubernetes' tools do", () => {
    expect(
      toYAML({
        apiVersion: "v1",
        metadata: { name: "a", labels: {} },
        spec: { replicas: 2, paused: false, containers: [{ name: "web", args: ["-v", "x"], env: [] }, "plain"] },
      }),
    ).toBe(
      [
        "apiVersion: v1",
        "metadata:",
        "  name: a",
        "  labels: {}",
        "spec:",
        "  replicas: 2",
        "  paused: false",
        "  containers:",
        "  - name: web",
        "    args:",
        '    - "-v"',
        "    - x",
        "    env: []",
        "  - plain",
        "",
      ].join("\n"),
    );
  });

  it.each([
    ["", '""'],
    ["true", '"true"'],
    ["no", '"no"'],
    ["1", '"1"'],
    ["1e3", '"1e3"'],
    ["0x1f", '"0x1f"'],
    ["1:30", '"1:30"'],
    ["2024-01-01", '"2024-01-01"'],
    [".5", '".5"'],
    ["null", '"null"'],
    ["~", '"~"'],
    ["a: b", '"a: b"'],
    ["a:", '"a:"'],
    ["a #b", '"a #b"'],
    [" a", '" a"'],
    ["*a", '"*a"'],
    ["- a", '"- a"'],
    ["{a}", '"{a}"'],
    ["\u202e", '"\u202e"'],
    ["\u0007", '"\\u0007"'],
    ["\u0085", '"\\u0085"'],
    ["a\u2028b", '"a\\u2028b"'],
    ["nginx:1.25", "nginx:1.25"],
    ["500m", '"500m"'],
    ["v1", "v1"],
    ["grün", "grün"],
    ["a-b/c", "a-b/c"],
  ])("of %j is %s", (text, want) => {
    if (text === "\u202e" || text === "500m") {
      // Quoted or not, it is the same text.
      expect([`${want}\n`, `${text}\n`]).toContain(toYAML(text));
    } else {
      expect(toYAML(text)).toBe(`${want}\n`);
    }
  });

  it("writes several lines as a block, with the line ends that they have", () => {
    expect(toYAML({ a: "x\ny" })).toBe("a: |-\n  x\n  y\n");
    expect(toYAML({ a: "x\n\ny\n" })).toBe("a: |\n  x\n\n  y\n");
    expect(toYAML({ a: "x\n\n", b: 1 })).toBe("a: |+\n  x\n\nb: 1\n");
    expect(toYAML(["x\ny"])).toBe("- |-\n  x\n  y\n");
    expect(toYAML({ a: " x\ny" })).toBe('a: " x\\ny"\n');
    expect(toYAML({ a: "x \ny" })).toBe('a: "x \\ny"\n');
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

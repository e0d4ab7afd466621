import { describe, expect, test } from "vitest";
import type { FleetMap } from "../../api/types";
import { cellSize, Fleet, grouped, groupsOf, legendValues, looks, moved, namesFilter, sortedRows } from "./model";
import { columnOf, mapOf } from "./testMap";

const some: FleetMap = mapOf([
  { name: "eu-1", labels: { region: "eu", env: "prod" }, worst: "healthy", kubernetes: "v1.10.0" },
  { name: "eu-10", labels: { region: "eu", env: "prod" }, worst: "degraded", kubernetes: "v1.9.0" },
  {
    name: "eu-2",
    labels: { region: "eu", env: "lab" },
    worst: "drifted",
    state: "offline",
    lastSeen: 1000,
    kubernetes: "v1.9.0",
  },
  { name: "us-1", labels: { env: "prod" }, worst: "none", kubernetes: "" },
]);

describe("groups", () => {
  test("are by region and environment when nobody chose, and by what the URL says", () => {
    const f = new Fleet(some);
    expect(groupsOf(f, undefined)).toEqual(["region", "env"]);
    expect(groupsOf(f, "env")).toEqual(["env"]);
    expect(groupsOf(f, "-")).toEqual([]);
    expect(groupsOf(f, "nothing,env,region,region")).toEqual(["env", "region"]);
    expect(groupsOf(new Fleet(mapOf([{ name: "a" }])), undefined)).toEqual([]);
  });

  test("have every cluster once, by value, and what has none last", () => {
    const f = new Fleet(some);
    const s = grouped(f, ["region", "env"]);
    expect(s.map((x) => [x.value, x.leaves.map((l) => [l.value, l.cells])])).toEqual([
      [
        "eu",
        [
          ["lab", [2]],
          ["prod", [0, 1]],
        ],
      ],
      ["", [["prod", [3]]]],
    ]);
    // What does not report is counted as that, and not by what it was.
    expect(s[0]?.leaves[0]?.silent).toBe(1);
    expect(s[0]?.leaves[0]?.counts.get("drifted")).toBeUndefined();
    expect(grouped(f, [])).toHaveLength(1);
  });
});

describe("looks", () => {
  test("by health: the state, and whether it is of now", () => {
    const f = new Fleet({ ...some, dimmed: [0] });
    const look = looks(f, "health");
    expect(look(0)).toEqual({ state: "healthy", stale: false, dimmed: true });
    expect(look(2)).toEqual({ state: "drifted", stale: true, dimmed: false });
    expect(look(3)).toEqual({ state: "none", stale: false, dimmed: false });
  });

  test("by version: numbers count, the newest first, unknown last", () => {
    const f = new Fleet(some);
    expect(legendValues(f, "kubernetes")).toEqual([
      { value: "v1.10.0", n: 1 },
      { value: "v1.9.0", n: 2 },
      { value: "", n: 1 },
    ]);
    expect([0, 1, 3].map((at) => looks(f, "kubernetes")(at).state)).toEqual(["value0", "value1", "value2"]);
    const many = new Fleet(mapOf(Array.from({ length: 20 }, (_, i) => ({ name: `c${i}`, agent: `v0.${i}.0` }))));
    expect(looks(many, "agent")(0).state).toBe("value5");
  });

  test("a word of a newer hub is shown as unknown", () => {
    const f = new Fleet({ ...some, worst: columnOf(["melted", "melted", "melted", "melted"]) });
    expect(looks(f, "health")(0).state).toBe("unknown");
  });
});

test("arrows stay in the group", () => {
  // Ten cells in rows of four.
  for (const [at, key, want] of [
    [0, "ArrowLeft", 0],
    [0, "ArrowRight", 1],
    [9, "ArrowRight", 9],
    [1, "ArrowDown", 5],
    [7, "ArrowDown", 7],
    [2, "ArrowUp", 2],
    [9, "ArrowUp", 5],
    [5, "Home", 0],
    [5, "End", 9],
  ] as const)
    expect([at, key, moved(at, key, 10, 4)]).toEqual([at, key, want]);
  expect(moved(0, "q", 10, 4)).toBeUndefined();
});

test("cells are small where there are many, unless somebody chose", () => {
  expect([cellSize(1000, undefined), cellSize(1001, undefined), cellSize(5000, "24")]).toEqual([24, 14, 24]);
});

test("rows of the table are sorted by numbers and words, and leave out what the filter does", () => {
  const names = (sort?: string, map: FleetMap = some) => sortedRows(new Fleet(map), sort).map((r) => r.name);
  expect(names()).toEqual(["eu-1", "eu-2", "eu-10", "us-1"]);
  expect(names("-name")).toEqual(["us-1", "eu-10", "eu-2", "eu-1"]);
  expect(names("worst")).toEqual(["eu-10", "eu-2", "eu-1", "us-1"]);
  expect(names("-kubernetes")).toEqual(["us-1", "eu-1", "eu-2", "eu-10"]);
  expect(names("name", { ...some, dimmed: [0, 2] })).toEqual(["eu-10", "us-1"]);
});

test("names in a filter are what they are", () => {
  expect(namesFilter(["a", 'b"\\'])).toBe('name:"a","b\\"\\\\"');
});

test("a map of five thousand is grouped and looked at at once", () => {
  const map = mapOf(
    Array.from({ length: 5000 }, (_, i) => ({ name: `c${i}`, labels: { region: `r${i % 4}`, env: `e${i % 3}` } })),
  );
  const began = performance.now();
  const f = new Fleet(map);
  const cells = grouped(f, ["region", "env"]).flatMap((s) => s.leaves.flatMap((l) => l.cells));
  const look = looks(f, "health");
  for (const c of cells) look(c);
  sortedRows(f, "-worst");
  expect(cells).toHaveLength(5000);
  expect(performance.now() - began).toBeLessThan(2000);
});

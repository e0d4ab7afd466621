import { describe, expect, it } from "vitest";
import type { ResourceStatus, TreeAnswer, TreeNode } from "../../../api/types";
import { countBy, isEmpty, listOf, matches, type ObjectFilter, syncWord, whatEmpties, withAncestors } from "./filter";
import { groupKey, nodesOf, rootKey } from "./group";
import { forestOf, type Item } from "./items";
import { move, waysOf } from "./move";

const node = (kind: string, name: string, parents: string[] = [], more: Partial<TreeNode> = {}): TreeNode => ({
  kind,
  name,
  namespace: "shop",
  version: "v1",
  uid: `${kind}/${name}`,
  parentUIDs: parents,
  health: { status: "Healthy" },
  ...more,
});
const managed = (kind: string, name: string, more: Partial<ResourceStatus> = {}): ResourceStatus => ({
  kind,
  name,
  namespace: "shop",
  version: "v1",
  sync: { status: "Synced" },
  health: { status: "Healthy" },
  ...more,
});
const tree = (nodes: TreeNode[], orphaned?: TreeNode[]): TreeAnswer => ({
  nodes,
  orphaned,
  truncated: false,
  freshness: "live",
});
const key = (kind: string, name: string) => `/${kind}/shop/${name}`;
const none: ObjectFilter = { kinds: [], healths: [], syncs: [] };

/** A deployment with two revisions and five pods, three config maps, and a service that is missing. */
const shop = () =>
  forestOf(
    {
      resources: [
        managed("Service", "web", { health: { status: "Missing" }, sync: { status: "OutOfSync", reason: "pending" } }),
        managed("Deployment", "api", { sync: { status: "OutOfSync", reason: "drifted" } }),
        managed("ConfigMap", "a"),
        managed("ConfigMap", "b"),
        managed("ConfigMap", "c", { requiresPruning: true, sync: { status: "OutOfSync" } }),
        managed("Job", "migrate", { hook: "PreSync", hookPhase: "Succeeded" }),
      ],
    },
    tree([
      node("Pod", "p5", ["ReplicaSet/new"], { health: { status: "Degraded", message: "OOMKilled" } }),
      ...["p1", "p2", "p3", "p4"].map((p) => node("Pod", p, ["ReplicaSet/new"])),
      node("ReplicaSet", "new", ["Deployment/api"]),
      node("ReplicaSet", "old", ["Deployment/api"]),
      node("Deployment", "api"),
      node("ConfigMap", "a"),
      node("ConfigMap", "b"),
      node("ConfigMap", "c"),
    ]),
  );

describe("forestOf", () => {
  it("is empty of nothing", () => {
    expect(forestOf({}, undefined)).toMatchObject({ items: [], roots: [] });
  });
  it("joins what is managed with what it owns; parents come first, workloads above", () => {
    const f = shop();
    expect(f.items.map((i) => i.object.name)).toEqual([
      ...["api", "new", "p1", "p2", "p3", "p4", "p5", "old", "migrate", "a", "b", "c", "web"],
    ]);
    expect(f.byKey.get(key("Pod", "p5"))).toMatchObject({ parent: key("ReplicaSet", "new"), message: "OOMKilled" });
    expect(f.byKey.get(key("Service", "web"))).toMatchObject({ health: "Missing", managed: true, sync: "pending" });
  });
  it("words the sync of each", () => {
    const f = shop();
    const words = ["Deployment/api", "Service/web", "ConfigMap/a", "ConfigMap/c", "Job/migrate", "Pod/p1"].map((k) => {
      const [kind, name] = k.split("/") as [string, string];
      return syncWord(f.byKey.get(key(kind, name)) as Item);
    });
    expect(words).toEqual(["drifted", "pending", "synced", "prune", "hook", "owned"]);
  });
  it("shows what has no known parent under the application, and what nobody owns last", () => {
    const f = forestOf(
      {},
      tree([node("Pod", "x", ["gone"]), node("Pod", "y", ["Pod/y"])], [node("Deployment", "stray")]),
    );
    expect(f.roots.map((i) => [i.object.name, i.orphaned])).toEqual([
      ["x", false],
      ["y", false],
      ["stray", true],
    ]);
  });
  it("draws each object once, also with several parents and in rings", () => {
    const f = forestOf(
      {},
      tree([
        node("A", "a", ["C/c"]),
        node("B", "b", ["A/a"]),
        node("C", "c", ["B/b"]),
        node("D", "d", ["nobody", "B/b", "A/a"]),
        node("D", "d", ["A/a"]),
      ]),
    );
    expect(f.items).toHaveLength(4);
    expect(f.roots).toHaveLength(1);
    expect(f.byKey.get(key("D", "d"))?.parent).toBe(key("B", "b"));
  });
  it("keeps a managed object at the top although somebody owns it", () => {
    const f = forestOf({ resources: [managed("Pod", "p")] }, tree([node("Job", "j"), node("Pod", "p", ["Job/j"])]));
    expect(f.byKey.get(key("Pod", "p"))?.parent).toBeUndefined();
  });
  it("takes what nobody judged for unknown, and never for healthy", () => {
    const unjudged = { status: "" } as unknown as TreeNode["health"];
    const f = forestOf(
      { resources: [managed("X", "a", { health: unjudged }), managed("X", "b", { health: unjudged })] },
      tree([node("X", "b", [], { health: { status: "Degraded" } }), node("X", "c", [], { health: unjudged })]),
    );
    expect(f.items.map((i) => i.health)).toEqual(["Unknown", "Degraded", "Unknown"]);
  });
  it("takes 20,000 objects", () => {
    const nodes = Array.from({ length: 20_000 }, (_, i) =>
      node("Pod", `p${i}`, i === 0 ? [] : [`Pod/p${(i / 10) | 0}`]),
    );
    expect(forestOf({}, tree(nodes)).items).toHaveLength(20_000);
  });
});

describe("filters", () => {
  const names = (f: Partial<ObjectFilter>) =>
    [...matches(shop().items, { ...none, ...f })].map((k) => k.split("/").pop());
  it("matches all without words", () => {
    expect(names({})).toHaveLength(13);
    expect(isEmpty({ ...none, q: "  " })).toBe(true);
    expect(isEmpty({ ...none, kinds: ["Pod"] })).toBe(false);
  });
  it("matches all words, in any case, in kind, name and namespace", () => {
    expect(names({ q: "POD p5" })).toEqual(["p5"]);
    expect(names({ q: "deployment/api" })).toEqual(["api"]);
    expect(names({ q: "pod nowhere" })).toEqual([]);
  });
  it("narrows by kind, health and sync together", () => {
    expect(names({ kinds: ["Pod", "Service"], healths: ["Degraded", "Missing"] })).toEqual(["p5", "web"]);
    expect(names({ syncs: ["drifted", "prune"] })).toEqual(["api", "c"]);
    expect(names({ kinds: ["Pod"], syncs: ["synced"] })).toEqual([]);
  });
  it("finds images", () => {
    const f = forestOf({}, tree([node("Pod", "p", [], { images: ["registry.example/log4j:2.1"] })]));
    expect(matches(f.items, { ...none, q: "log4j" }).size).toBe(1);
  });
  it("keeps the way from the application to what matches", () => {
    const f = shop();
    expect(withAncestors(f, new Set([key("Pod", "p5")]))).toEqual(
      new Set([key("Pod", "p5"), key("ReplicaSet", "new"), key("Deployment", "api")]),
    );
  });
  it("tells which part of a filter leaves nothing", () => {
    const items = shop().items;
    expect(whatEmpties(items, { ...none, kinds: ["Pod"], syncs: ["synced"] })).toEqual({ part: "sync", leaves: 5 });
    expect(whatEmpties(items, { ...none, q: "nothing", kinds: ["Pod"] })).toEqual({ part: "q", leaves: 5 });
    expect(whatEmpties(items, { ...none, q: "nothing", kinds: ["Nope"] })).toBeUndefined();
  });
  it("counts words, the most first", () => {
    expect(countBy(shop().items, (i) => i.object.kind).slice(0, 3)).toEqual([
      ["Pod", 5],
      ["ConfigMap", 3],
      ["ReplicaSet", 2],
    ]);
  });
  it("reads lists of the URL", () => {
    expect(listOf(undefined)).toEqual([]);
    expect(listOf("a,,b,a")).toEqual(["a", "b"]);
  });
});

describe("nodesOf", () => {
  const all = () => new Set(shop().items.map((i) => i.key));
  const drawn = (nodes: ReturnType<typeof nodesOf>) =>
    nodes.map((n) => `${n.depth} ${n.items[0]?.object.name ?? "app"}${n.group ? `×${n.items.length}` : ""}`);
  it("draws every object when nothing is grouped", () => {
    const nodes = nodesOf(shop(), all(), false, new Set());
    expect(nodes).toHaveLength(14);
    nodes.forEach((n, i) => void expect(n.parent).toBeLessThan(i));
    expect(nodes[0]).toMatchObject({ key: rootKey, parent: -1 });
  });
  it("joins leaves that are alike in kind and state, from three on", () => {
    expect(drawn(nodesOf(shop(), all(), true, new Set()))).toEqual([
      ...["0 app", "1 api", "2 new", "3 p1×4", "3 p5", "2 old", "1 migrate", "1 a", "1 b", "1 c", "1 web"],
    ]);
  });
  it("opens one group", () => {
    const f = shop();
    const open = groupKey(key("ReplicaSet", "new"), f.byKey.get(key("Pod", "p1")) as Item);
    expect(nodesOf(f, all(), true, new Set()).some((n) => n.key === open)).toBe(true);
    expect(nodesOf(f, all(), true, new Set([open])).filter((n) => n.group)).toEqual([]);
  });
  it("takes as leaf whose children are filtered out", () => {
    const f = shop();
    const shown = new Set([key("Deployment", "api"), key("ReplicaSet", "new")]);
    expect(drawn(nodesOf(f, shown, true, new Set()))).toEqual(["0 app", "1 api", "2 new"]);
  });
  it("has unlike keys for all nodes", () => {
    const nodes = nodesOf(shop(), all(), true, new Set());
    expect(new Set(nodes.map((n) => n.key)).size).toBe(nodes.length);
  });
  it("goes down 5,000 levels and along 20,000 siblings", () => {
    const deep = Array.from({ length: 5000 }, (_, i) => node("L", String(i), i === 0 ? [] : [`L/${i - 1}`]));
    const wide = Array.from({ length: 20_000 }, (_, i) => node("Pod", `p${i}`, ["L/4999"]));
    const f = forestOf({}, tree([...deep, ...wide]));
    const nodes = nodesOf(f, new Set(f.items.map((i) => i.key)), true, new Set());
    expect(nodes).toHaveLength(1 + 5000 + 1);
    expect(nodes.at(-1)?.items).toHaveLength(20_000);
  });
});

describe("move", () => {
  const f = shop();
  const nodes = nodesOf(f, new Set(f.items.map((i) => i.key)), true, new Set());
  const ways = waysOf(nodes);
  const at = (name: string) => nodes.findIndex((n) => (n.items[0]?.object.name ?? "app") === name);
  it.each([
    ["app", "child", "api"],
    ["api", "child", "new"],
    ["new", "child", "p1"],
    ["p1", "child", "p1"],
    ["p1", "parent", "new"],
    ["app", "parent", "app"],
    ["api", "after", "migrate"],
    ["web", "after", "web"],
    ["api", "before", "api"],
    ["c", "before", "b"],
    ["p5", "before", "p1"],
    ["new", "after", "old"],
    ["a", "first", "api"],
    ["api", "last", "web"],
  ] as const)("from %s to the %s is %s", (from, to, want) => {
    expect(nodes[move(nodes, ways, at(from), to)]?.items[0]?.object.name ?? "app").toBe(want);
  });
  it("starts at the application, and nowhere in nothing", () => {
    expect(move(nodes, ways, -1, "after")).toBe(0);
    expect(move([], waysOf([]), 0, "after")).toBe(-1);
  });
  it("reaches every node by keys alone", () => {
    const seen = new Set([0]);
    const todo = [0];
    while (todo.length > 0) {
      const from = todo.pop() as number;
      for (const to of ["parent", "child", "before", "after"] as const) {
        const next = move(nodes, ways, from, to);
        if (!seen.has(next)) {
          seen.add(next);
          todo.push(next);
        }
      }
    }
    expect(seen.size).toBe(nodes.length);
  });
});

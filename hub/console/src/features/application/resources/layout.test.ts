import { describe, expect, it } from "vitest";
import { type Layout, layout, nodeHeight, nodeWidth } from "./layout";

/** Numbers that are the same in each run. */
function random(seed: number): () => number {
  let s = seed;
  return () => {
    s = (s * 1664525 + 1013904223) >>> 0;
    return s / 2 ** 32;
  };
}

/** A tree in preorder, as nodesOf makes it. */
function preorder(n: number, next: () => number, deep: number): Int32Array {
  const out = new Int32Array(n).fill(-1);
  const path = [0];
  for (let i = 1; i < n; i++) {
    while (path.length > 1 && next() > deep) path.pop();
    out[i] = path[path.length - 1] as number;
    path.push(i);
  }
  return out;
}

function check(parents: Int32Array, l: Layout): void {
  const children = new Map<number, number[]>();
  const columns = new Map<number, number[]>();
  parents.forEach((p, i) => {
    if (p >= 0) children.set(p, [...(children.get(p) ?? []), i]);
    const x = l.x[i] as number;
    columns.set(x, [...(columns.get(x) ?? []), i]);
    if (p >= 0) expect(x).toBeGreaterThan(l.x[p] as number);
    expect(l.y[i]).toBeGreaterThanOrEqual(0);
    expect((l.y[i] as number) + nodeHeight).toBeLessThanOrEqual(l.height + 1e-6);
    expect(x + nodeWidth).toBeLessThanOrEqual(l.width);
  });
  // Nothing overlaps, and what is before stands above.
  for (const column of columns.values())
    for (let i = 1; i < column.length; i++)
      expect((l.y[column[i] as number] as number) - (l.y[column[i - 1] as number] as number)).toBeGreaterThan(
        nodeHeight + 1,
      );
  for (const [p, list] of children) {
    const middle = ((l.y[list[0] as number] as number) + (l.y[list[list.length - 1] as number] as number)) / 2;
    expect(l.y[p]).toBeCloseTo(middle, 6);
  }
}

describe("layout", () => {
  it("is empty for nothing and one node for one", () => {
    expect(layout(new Int32Array(0))).toMatchObject({ width: 0, height: 0 });
    expect(layout(Int32Array.of(-1))).toMatchObject({ width: nodeWidth, height: nodeHeight });
  });
  it("puts a chain into one line", () => {
    const l = layout(Int32Array.of(-1, 0, 1, 2));
    expect(new Set(l.y)).toEqual(new Set([0]));
    expect(l.height).toBe(nodeHeight);
  });
  it("uses the room beside deep subtrees", () => {
    // A deployment with 9 pods, and then 4 leaves: they stand beside the pods, not below them.
    const pods = Int32Array.of(-1, 0, 1, ...Array<number>(9).fill(2), 0, 0, 0, 0);
    const l = layout(pods);
    expect(l.height).toBeLessThan(nodeHeight + 9 * (nodeHeight + 10));
    check(pods, l);
  });
  it("spreads small subtrees between large ones", () => {
    // Two with five leaves each, and two leaves between them.
    const parents = Int32Array.of(-1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 9, 9, 9, 9, 9);
    const l = layout(parents);
    check(parents, l);
    const [a, b, c, d] = [1, 7, 8, 9].map((i) => l.y[i] as number) as [number, number, number, number];
    expect(b - a).toBeCloseTo(c - b, 6);
    expect(c - b).toBeCloseTo(d - c, 6);
  });
  it("draws equal subtrees equally", () => {
    const shape = [-1, 0, 0, 2, 2, 0]; // within a subtree, from its root
    const parents = [-1];
    for (let k = 0; k < 3; k++) {
      const at = parents.length;
      for (const p of shape) parents.push(p < 0 ? 0 : at + p);
    }
    const l = layout(Int32Array.from(parents));
    const drawn = (k: number) =>
      shape.map((_, i) => (l.y[1 + k * shape.length + i] as number) - (l.y[1 + k * shape.length] as number));
    for (const k of [1, 2]) drawn(k).forEach((y, i) => void expect(y).toBeCloseTo(drawn(0)[i] as number, 6));
    check(Int32Array.from(parents), l);
  });
  it.each([1, 2, 3, 5, 8, 13, 40, 200, 1000])("keeps its rules for trees of %i nodes", (n) => {
    for (let seed = 1; seed <= (n > 100 ? 4 : 40); seed++)
      for (const deep of [0.2, 0.5, 0.8]) {
        const parents = preorder(n, random(seed * 7919 + n), deep);
        check(parents, layout(parents));
      }
  });
  it("needs no stack for a chain of 100,000, and draws 100,000 leaves", () => {
    const n = 100_000;
    const chain = new Int32Array(n).map((_, i) => i - 1);
    expect(layout(chain).height).toBe(nodeHeight);
    const flat = new Int32Array(n).fill(0);
    flat[0] = -1;
    expect(layout(flat).height).toBe(nodeHeight + (n - 2) * (nodeHeight + 10));
  });
  it("takes 200,000 nodes at once", () => {
    const parents = preorder(200_000, random(5), 0.6);
    const before = performance.now();
    layout(parents);
    // Some 100 ms on a free machine; what is not linear would take minutes.
    expect(performance.now() - before).toBeLessThan(10_000);
  });
});

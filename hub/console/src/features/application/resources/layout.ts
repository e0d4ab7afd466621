// A tidy tree from left to right, in linear time: siblings have one distance, parents
// stand in the middle of their children, equal subtrees look equal, and subtrees are
// moved together as far as their contours allow. After Buchheim, Jünger and Leipert,
// "Improving Walker's algorithm to run in linear time" (2002), without recursion.

/** Parents before children, siblings in order; -1 is the parent of the one root. */
export type Parents = Int32Array;

export interface Layout {
  /** Left and top of each node, in pixels. */
  x: Float64Array;
  y: Float64Array;
  width: number;
  height: number;
}

export const nodeWidth = 248;
export const nodeHeight = 46;
const gapX = 52;
const gapY = 10;

/** Places of all nodes. */
export function layout(parents: Parents): Layout {
  const n = parents.length;
  const pos = place(parents);
  const x = new Float64Array(n);
  const y = new Float64Array(n);
  const depth = new Int32Array(n);
  let least = Infinity;
  let most = -Infinity;
  let deepest = 0;
  for (let i = 0; i < n; i++) {
    const p = parents[i] as number;
    depth[i] = p < 0 ? 0 : (depth[p] as number) + 1;
    deepest = Math.max(deepest, depth[i] as number);
    least = Math.min(least, pos[i] as number);
    most = Math.max(most, pos[i] as number);
  }
  for (let i = 0; i < n; i++) {
    x[i] = (depth[i] as number) * (nodeWidth + gapX);
    y[i] = ((pos[i] as number) - least) * (nodeHeight + gapY);
  }
  if (n === 0) return { x, y, width: 0, height: 0 };
  return {
    x,
    y,
    width: deepest * (nodeWidth + gapX) + nodeWidth,
    height: (most - least) * (nodeHeight + gapY) + nodeHeight,
  };
}

/** Places across the tree, in node distances. */
function place(parents: Parents): Float64Array {
  const n = parents.length;
  const first = new Int32Array(n).fill(-1); // first and last child, siblings
  const last = new Int32Array(n).fill(-1);
  const left = new Int32Array(n).fill(-1);
  const number = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const p = parents[i] as number;
    if (p < 0) continue;
    if (first[p] === -1) first[p] = i;
    else {
      left[i] = last[p] as number;
      number[i] = (number[last[p] as number] as number) + 1;
    }
    last[p] = i;
  }
  const right = new Int32Array(n).fill(-1);
  for (let i = 0; i < n; i++) if ((left[i] as number) >= 0) right[left[i] as number] = i;

  const prelim = new Float64Array(n);
  const mod = new Float64Array(n);
  const thread = new Int32Array(n).fill(-1);
  const ancestor = new Int32Array(n);
  const change = new Float64Array(n);
  const shift = new Float64Array(n);
  for (let i = 0; i < n; i++) ancestor[i] = i;
  const get = (a: Int32Array, i: number): number => a[i] as number;
  const val = (a: Float64Array, i: number): number => a[i] as number;
  const nextLeft = (v: number): number => (get(first, v) >= 0 ? get(first, v) : get(thread, v));
  const nextRight = (v: number): number => (get(last, v) >= 0 ? get(last, v) : get(thread, v));

  // Moves v and what is below it away from its left siblings' contours.
  const apportion = (v: number, fallback: number): number => {
    const w = get(left, v);
    if (w < 0) return fallback;
    let result = fallback;
    let insideRight = v;
    let outsideRight = v;
    let insideLeft = w;
    let outsideLeft = get(first, get(parents, v));
    let sInsideRight = val(mod, insideRight);
    let sOutsideRight = val(mod, outsideRight);
    let sInsideLeft = val(mod, insideLeft);
    let sOutsideLeft = val(mod, outsideLeft);
    while (nextRight(insideLeft) >= 0 && nextLeft(insideRight) >= 0) {
      insideLeft = nextRight(insideLeft);
      insideRight = nextLeft(insideRight);
      outsideLeft = nextLeft(outsideLeft);
      outsideRight = nextRight(outsideRight);
      ancestor[outsideRight] = v;
      const by = val(prelim, insideLeft) + sInsideLeft - (val(prelim, insideRight) + sInsideRight) + 1;
      if (by > 0) {
        const a = get(ancestor, insideLeft);
        const from = get(parents, a) === get(parents, v) ? a : result;
        const subtrees = get(number, v) - get(number, from);
        change[v] = val(change, v) - by / subtrees;
        shift[v] = val(shift, v) + by;
        change[from] = val(change, from) + by / subtrees;
        prelim[v] = val(prelim, v) + by;
        mod[v] = val(mod, v) + by;
        sInsideRight += by;
        sOutsideRight += by;
      }
      sInsideLeft += val(mod, insideLeft);
      sInsideRight += val(mod, insideRight);
      sOutsideLeft += val(mod, outsideLeft);
      sOutsideRight += val(mod, outsideRight);
    }
    if (nextRight(insideLeft) >= 0 && nextRight(outsideRight) < 0) {
      thread[outsideRight] = nextRight(insideLeft);
      mod[outsideRight] = val(mod, outsideRight) + sInsideLeft - sOutsideRight;
    }
    if (nextLeft(insideRight) >= 0 && nextLeft(outsideLeft) < 0) {
      thread[outsideLeft] = nextLeft(insideRight);
      mod[outsideLeft] = val(mod, outsideLeft) + sInsideRight - sOutsideLeft;
      result = v;
    }
    return result;
  };

  // Children before parents. Siblings are apportioned from left to right when their
  // parent's turn comes: everything below them is done then.
  const own = (v: number): void => {
    const c = get(first, v);
    const w = get(left, v);
    if (c < 0) {
      prelim[v] = w < 0 ? 0 : val(prelim, w) + 1;
      return;
    }
    let s = 0;
    let ch = 0;
    for (let u = get(last, v); u >= 0; u = get(left, u)) {
      prelim[u] = val(prelim, u) + s;
      mod[u] = val(mod, u) + s;
      ch += val(change, u);
      s += val(shift, u) + ch;
    }
    const middle = (val(prelim, c) + val(prelim, get(last, v))) / 2;
    if (w < 0) prelim[v] = middle;
    else {
      prelim[v] = val(prelim, w) + 1;
      mod[v] = val(prelim, v) - middle;
    }
  };
  const fallback = new Int32Array(n).fill(-1); // of a parent: default ancestor so far
  const visit = (v: number): void => {
    own(v);
    const p = get(parents, v);
    if (p < 0) return;
    if (fallback[p] === -1) fallback[p] = get(first, p);
    fallback[p] = apportion(v, get(fallback, p));
  };
  for (const v of postOrder(parents, first, right)) visit(v);

  const out = new Float64Array(n);
  const sum = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const p = get(parents, i);
    sum[i] = p < 0 ? 0 : val(sum, p) + val(mod, p);
    out[i] = val(prelim, i) + val(sum, i);
  }
  return out;
}

/** Nodes with everything below and left of them before them. */
function postOrder(parents: Parents, first: Int32Array, right: Int32Array): Int32Array {
  const n = parents.length;
  const out = new Int32Array(n);
  let k = 0;
  for (let root = 0; root < n; root++) {
    if ((parents[root] as number) >= 0) continue;
    let v = root;
    for (;;) {
      while ((first[v] as number) >= 0) v = first[v] as number;
      for (;;) {
        out[k++] = v;
        if (v === root || (right[v] as number) >= 0) break;
        v = parents[v] as number;
      }
      if (v === root) break;
      v = right[v] as number;
    }
  }
  return out;
}

// What a tree draws: the application, its objects, and alike leaves as one node.

import { syncWord } from "./filter";
import type { Forest, Item } from "./items";

/** A node of the drawn tree: one object, several alike, or the application itself. */
export interface Node {
  key: string;
  /** Place of the parent in the list of nodes; -1 for the application. */
  parent: number;
  depth: number;
  /** The objects: none for the application, several for a group. */
  items: readonly Item[];
  /** It has more than one object. */
  group: boolean;
}

/** The key of the application's node. */
export const rootKey = "";

/** Alike leaves from so many on are one node. */
const least = 3;

/**
 * Nodes of the objects in `shown`, every parent before its children and siblings in
 * order. Leaves of one parent with the same kind and the same state are one node,
 * unless `grouped` is off or their key is in `open`.
 */
export function nodesOf(
  forest: Forest,
  shown: ReadonlySet<string>,
  grouped: boolean,
  open: ReadonlySet<string>,
): Node[] {
  const out: Node[] = [{ key: rootKey, parent: -1, depth: 0, items: [], group: false }];
  const stack: { items: readonly Item[]; parent: number; depth: number; at: number }[] = [];
  const below = (key: string | undefined): readonly Item[] =>
    (key === undefined ? forest.roots : (forest.children.get(key) ?? [])).filter((i) => shown.has(i.key));
  stack.push({ items: below(undefined), parent: 0, depth: 1, at: 0 });
  const groups = new Map<object, Map<string, Item[]>>();
  while (stack.length > 0) {
    const level = stack[stack.length - 1] as (typeof stack)[number];
    if (level.at === 0) groups.set(level, grouped ? alike(level.items, below) : new Map());
    const item = level.items[level.at++];
    if (item === undefined) {
      groups.delete(level);
      stack.pop();
      continue;
    }
    const same = groups.get(level)?.get(alikeKey(item));
    const parentKey = (out[level.parent] as Node).key;
    const key = groupKey(parentKey, item);
    if (same !== undefined && !open.has(key) && below(item.key).length === 0) {
      if (same[0] === item) out.push({ key, parent: level.parent, depth: level.depth, items: same, group: true });
      continue;
    }
    out.push({ key: item.key, parent: level.parent, depth: level.depth, items: [item], group: false });
    const children = below(item.key);
    if (children.length > 0) stack.push({ items: children, parent: out.length - 1, depth: level.depth + 1, at: 0 });
  }
  return out;
}

const alikeKey = (i: Item): string => `${i.object.group ?? ""}/${i.object.kind} ${i.health} ${syncWord(i)}`;

/** Key of the group of an object; no object has such a key. */
export function groupKey(parent: string, i: Item): string {
  return `${parent}*${alikeKey(i).replaceAll(" ", "*")}`;
}

/** Leaves that are alike, by what they have in common; only those that are enough for a group. */
function alike(items: readonly Item[], below: (key: string) => readonly Item[]): Map<string, Item[]> {
  const out = new Map<string, Item[]>();
  for (const i of items) {
    if (below(i.key).length > 0) continue;
    const k = alikeKey(i);
    const list = out.get(k);
    if (list === undefined) out.set(k, [i]);
    else list.push(i);
  }
  for (const [k, list] of out) if (list.length < least) out.delete(k);
  return out;
}

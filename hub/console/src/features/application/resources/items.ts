// The objects of an application as one forest: what is managed, what that owns, and
// what is missing. Pure; what the tree, the list and the pods show is made of it.
import type { AppView, Health, Info, ObjectKey, TreeAnswer } from "../../../api/types";
import type { State } from "../../../ui/palette";
import { resourceSync } from "../facets";
import { objectText } from "../object";

/** One object. */
export interface Item {
  /** group/kind/namespace/name. */
  key: string;
  object: ObjectKey;
  version: string;
  /** Key of what owns it; undefined: the application, or nobody. */
  parent?: string;
  /** The sources say that it should be there, or that it is a hook. */
  managed: boolean;
  orphaned: boolean;
  health: Health;
  message: string;
  /** Only of managed objects. */
  sync?: State;
  prune: boolean;
  hook: string;
  createdAt?: string;
  images: readonly string[];
  info: readonly Info[];
}

/** Items with every parent before its children, each key once and no rings. */
export interface Forest {
  items: readonly Item[];
  byKey: ReadonlyMap<string, Item>;
  children: ReadonlyMap<string, readonly Item[]>;
  /** Those that nothing of the application owns. */
  roots: readonly Item[];
}

/** Makes the forest; each source alone may be missing or of another moment. */
export function forestOf(app: Pick<AppView, "resources">, tree: TreeAnswer | undefined): Forest {
  const found = new Map<string, Item>();
  const byUID = new Map<string, string>();
  const parents = new Map<string, readonly string[]>();
  for (const [orphaned, nodes] of [
    [false, tree?.nodes ?? []],
    [true, tree?.orphaned ?? []],
  ] as const)
    for (const n of nodes) {
      const key = objectText(n);
      if (found.has(key)) continue;
      found.set(key, {
        key,
        object: { group: n.group, kind: n.kind, namespace: n.namespace, name: n.name },
        version: n.version,
        managed: false,
        orphaned,
        health: n.health.status || "Unknown",
        message: n.health.message ?? "",
        prune: false,
        hook: "",
        createdAt: n.createdAt,
        images: n.images ?? [],
        info: n.info ?? [],
      });
      if (n.uid !== undefined && n.uid !== "") byUID.set(n.uid, key);
      parents.set(key, n.parentUIDs ?? []);
    }
  for (const r of app.resources ?? []) {
    const key = objectText(r);
    const known = found.get(key);
    found.set(key, {
      key,
      object: { group: r.group, kind: r.kind, namespace: r.namespace, name: r.name },
      version: r.version,
      createdAt: known?.createdAt,
      images: known?.images ?? [],
      info: known?.info ?? [],
      managed: true,
      orphaned: false,
      // Nobody judged it: what the tree says of it counts.
      health: r.health.status || known?.health || "Unknown",
      message: r.health.message ?? known?.message ?? "",
      sync: resourceSync(r),
      prune: r.requiresPruning === true,
      hook: r.hook ?? "",
    });
  }
  for (const item of found.values()) {
    if (item.managed || item.orphaned) continue;
    item.parent = parents
      .get(item.key)
      ?.map((uid) => byUID.get(uid))
      .find((k) => k !== undefined && k !== item.key);
  }
  cutRings(found);
  const children = new Map<string, Item[]>();
  const roots: Item[] = [];
  for (const item of found.values()) {
    if (item.parent === undefined) roots.push(item);
    else {
      const list = children.get(item.parent);
      if (list === undefined) children.set(item.parent, [item]);
      else list.push(item);
    }
  }
  for (const list of [roots, ...children.values()]) list.sort(compare);
  const items: Item[] = [];
  const stack = roots.toReversed();
  while (stack.length > 0) {
    const item = stack.pop() as Item;
    items.push(item);
    const below = children.get(item.key) ?? [];
    for (let i = below.length - 1; i >= 0; i--) stack.push(below[i] as Item);
  }
  return { items, byKey: found, children, roots };
}

/** Takes the parent of whoever closes a ring. */
function cutRings(found: ReadonlyMap<string, Item>): void {
  const done = new Set<string>();
  for (const start of found.values()) {
    const path = new Set<string>();
    let at: Item | undefined = start;
    while (at !== undefined && !done.has(at.key)) {
      path.add(at.key);
      const up: Item | undefined = at.parent === undefined ? undefined : found.get(at.parent);
      if (up !== undefined && path.has(up.key)) at.parent = undefined;
      at = at.parent === undefined ? undefined : up;
    }
    for (const k of path) done.add(k);
  }
}

// Workloads first, because they are what one looks for.
const order = ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "Pod"];

function compare(a: Item, b: Item): number {
  if (a.orphaned !== b.orphaned) return a.orphaned ? 1 : -1;
  const rank = (i: Item) => {
    const at = order.indexOf(i.object.kind);
    return at < 0 ? order.length : at;
  };
  return (
    rank(a) - rank(b) ||
    less(a.object.kind, b.object.kind) ||
    less(a.object.namespace ?? "", b.object.namespace ?? "") ||
    less(a.object.name, b.object.name) ||
    less(a.key, b.key)
  );
}

const less = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

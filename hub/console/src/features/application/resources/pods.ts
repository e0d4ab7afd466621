import { healthRank } from "../facets";
import type { Forest, Item } from "./items";

/** Pods of one workload. */
export interface PodGroup {
  /** The topmost object that owns them; undefined: nobody does. */
  owner?: Item;
  /** The worst first. */
  pods: Item[];
}

/** Pods by the topmost object that owns them, the worst workloads first. */
export function podGroups(forest: Forest, items: readonly Item[]): PodGroup[] {
  const out = new Map<string, PodGroup>();
  for (const i of items) {
    if (i.object.kind !== "Pod" || i.object.group !== undefined) continue;
    let top = i;
    while (top.parent !== undefined) {
      const up = forest.byKey.get(top.parent);
      if (up === undefined) break;
      top = up;
    }
    const key = top === i ? "" : top.key;
    const known = out.get(key);
    if (known !== undefined) known.pods.push(i);
    else out.set(key, { owner: top === i ? undefined : top, pods: [i] });
  }
  const groups = [...out.values()];
  for (const g of groups) g.pods.sort((a, b) => healthRank(a.health) - healthRank(b.health) || less(a.key, b.key));
  const worst = (g: PodGroup) => healthRank(g.pods[0]?.health ?? "Healthy");
  return groups.sort(
    (a, b) => worst(a) - worst(b) || b.pods.length - a.pods.length || less(a.owner?.key ?? "~", b.owner?.key ?? "~"),
  );
}

const less = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** A fact of an object, such as how often a pod was restarted. */
export function fact(i: Item, name: string): string | undefined {
  return i.info.find((x) => x.name === name)?.value;
}

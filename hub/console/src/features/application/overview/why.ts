// Why an application is not healthy: the objects that are the reason, down to the
// leaf that says it best, the worst first.
import type { AppView, Health, ObjectKey, TreeNode } from "../../../api/types";
import { healthRank } from "../facets";
import { objectText } from "../object";

/** A chain from a managed object down to what is wrong with it. */
export interface Why {
  /** From the managed object to the leaf; at least one. */
  chain: ObjectKey[];
  status: Health;
  /** What the leaf says, or what the nearest above it says; "" when nobody says anything. */
  message: string;
  since?: string;
  /** Further leaves of the same object that say the same. */
  alike: number;
}

/** What a health says that is not all right; paused things are as somebody wanted them. */
const isBad = (h: Health): boolean => h !== "Healthy" && h !== "Suspended";

/**
 * Reasons, the worst first and at most `most`. The hub names the managed objects
 * that count; the tree tells which of what they own is the reason. Without a tree
 * the managed objects are the reasons.
 */
export function whyNotHealthy(app: AppView, nodes: readonly TreeNode[], most = 20): Why[] {
  if (app.health.status === "Healthy") return [];
  const children = new Map<string, TreeNode[]>();
  const byKey = new Map<string, TreeNode>();
  for (const n of nodes) {
    byKey.set(objectText(n), n);
    for (const p of n.parentUIDs ?? []) {
      const list = children.get(p);
      if (list === undefined) children.set(p, [n]);
      else list.push(n);
    }
  }
  const out: Why[] = [];
  for (const cause of app.healthCauses ?? []) {
    const key = { group: cause.group, kind: cause.kind, namespace: cause.namespace, name: cause.name };
    const root = byKey.get(objectText(key));
    const leaves = root === undefined ? [] : badLeaves(root, children);
    if (leaves.length === 0) {
      out.push({ chain: [key], status: cause.status, message: cause.message ?? "", alike: 0 });
      continue;
    }
    // One line per thing that is said: forty pods that say the same are one reason.
    const said = new Map<string, Why>();
    for (const path of leaves) {
      const leaf = path[path.length - 1] as TreeNode;
      const message = path.findLast((n) => (n.health.message ?? "") !== "")?.health.message ?? cause.message ?? "";
      const what = `${leaf.kind} ${leaf.health.status} ${message.replace(/[0-9a-f]{5,}|\d+/g, "#")}`;
      const known = said.get(what);
      if (known !== undefined) known.alike++;
      else
        said.set(what, {
          chain: path.map((n) => ({ group: n.group, kind: n.kind, namespace: n.namespace, name: n.name })),
          status: leaf.health.status,
          message,
          since: leaf.health.since,
          alike: 0,
        });
    }
    out.push(...said.values());
  }
  return out
    .map((w, i) => ({ w, i }))
    .sort((a, b) => healthRank(a.w.status) - healthRank(b.w.status) || b.w.alike - a.w.alike || a.i - b.i)
    .slice(0, most)
    .map((x) => x.w);
}

/** Paths from a node down to those that are bad while nothing below them is. Rings and shared children end. */
function badLeaves(root: TreeNode, children: ReadonlyMap<string, TreeNode[]>): TreeNode[][] {
  const out: TreeNode[][] = [];
  const seen = new Set<TreeNode>([root]);
  const stack: TreeNode[][] = [[root]];
  while (stack.length > 0) {
    const path = stack.pop() as TreeNode[];
    const node = path[path.length - 1] as TreeNode;
    const below = (node.uid === undefined ? [] : (children.get(node.uid) ?? [])).filter(
      (n) => !seen.has(n) && isBad(n.health.status),
    );
    for (const n of below) seen.add(n);
    if (below.length > 0) for (const n of below.toReversed()) stack.push([...path, n]);
    else if (path.length > 1 || isBad(node.health.status)) out.push(path);
  }
  return out;
}

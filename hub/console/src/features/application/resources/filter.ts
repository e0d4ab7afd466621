import type { Forest, Item } from "./items";

/** What is looked for among objects. Empty parts match all. */
export interface ObjectFilter {
  /** Words that all must be in kind, name, namespace, group or an image. */
  q?: string;
  kinds: readonly string[];
  healths: readonly string[];
  /** Words of syncWord. */
  syncs: readonly string[];
}

/** A list of the URL: words with commas. */
export function listOf(text: string | undefined): string[] {
  return text === undefined ? [] : [...new Set(text.split(",").filter((w) => w !== ""))];
}

/** The sync of an object as the URL words it. */
export function syncWord(i: Item): string {
  if (i.orphaned) return "orphaned";
  if (i.prune) return "prune";
  if (i.hook !== "") return "hook";
  switch (i.sync) {
    case "healthy":
      return "synced";
    case "drifted":
      return "drifted";
    case "pending":
      return "pending";
    case "unknown":
      return "unknown";
  }
  return "owned";
}

export function isEmpty(f: ObjectFilter): boolean {
  return words(f.q).length === 0 && f.kinds.length === 0 && f.healths.length === 0 && f.syncs.length === 0;
}

const words = (q: string | undefined): string[] => (q ?? "").toLowerCase().split(/\s+/).filter(Boolean);

/** Parts of a filter, by name; each alone may be what leaves nothing. */
type Part = "q" | "kind" | "health" | "sync";

function tests(f: ObjectFilter): Map<Part, (i: Item) => boolean> {
  const out = new Map<Part, (i: Item) => boolean>();
  const wanted = words(f.q);
  if (wanted.length > 0)
    out.set("q", (i) => {
      const text =
        `${i.object.kind}/${i.object.name} ${i.object.namespace ?? ""} ${i.object.group ?? ""} ${i.images.join(" ")}`.toLowerCase();
      return wanted.every((w) => text.includes(w));
    });
  const set = (part: Part, list: readonly string[], of: (i: Item) => string) => {
    if (list.length === 0) return;
    const all = new Set(list);
    out.set(part, (i) => all.has(of(i)));
  };
  set("kind", f.kinds, (i) => i.object.kind);
  set("health", f.healths, (i) => i.health);
  set("sync", f.syncs, syncWord);
  return out;
}

/** Keys of what a filter matches. */
export function matches(items: readonly Item[], f: ObjectFilter): Set<string> {
  const all = [...tests(f).values()];
  const out = new Set<string>();
  for (const i of items) if (all.every((t) => t(i))) out.add(i.key);
  return out;
}

/** What is drawn of a tree: matches, and what is between them and the application. */
export function withAncestors(forest: Forest, matched: ReadonlySet<string>): Set<string> {
  const out = new Set<string>();
  for (const key of matched) {
    let at = forest.byKey.get(key);
    while (at !== undefined && !out.has(at.key)) {
      out.add(at.key);
      at = at.parent === undefined ? undefined : forest.byKey.get(at.parent);
    }
  }
  return out;
}

/** Which part of a filter that leaves nothing leaves the most when it is dropped. */
export function whatEmpties(items: readonly Item[], f: ObjectFilter): { part: Part; leaves: number } | undefined {
  const all = tests(f);
  let best: { part: Part; leaves: number } | undefined;
  for (const part of all.keys()) {
    const others = [...all].filter(([p]) => p !== part).map(([, t]) => t);
    const leaves = items.reduce((n, i) => n + (others.every((t) => t(i)) ? 1 : 0), 0);
    if (leaves > 0 && (best === undefined || leaves > best.leaves)) best = { part, leaves };
  }
  return best;
}

/** How many there are of each word, the most frequent first. */
export function countBy(items: readonly Item[], of: (i: Item) => string): [string, number][] {
  const out = new Map<string, number>();
  for (const i of items) out.set(of(i), (out.get(of(i)) ?? 0) + 1);
  return [...out].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

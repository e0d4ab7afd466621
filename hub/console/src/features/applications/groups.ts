// By what rows are grouped, which groups there are, and in which order. Pure.
import { quotedValue } from "./filter";

/** Keys that rows can be grouped by, besides label:NAME and cluster.label:NAME. */
export const groupKeys = [
  "project",
  "cluster",
  "namespace",
  "health",
  "sync",
  "operation",
  "freshness",
  "repo",
] as const;
export type GroupKey = (typeof groupKeys)[number];

/** Order of closed sets, the worst first. */
export const closed: Partial<Record<string, readonly string[]>> = {
  health: ["degraded", "missing", "progressing", "suspended", "unknown", "healthy"],
  sync: ["outofsync", "unknown", "synced"],
  operation: ["failed", "expired", "running", "queued", "terminated", "superseded", "succeeded", "none"],
  freshness: ["never", "stale", "lagging", "live"],
};

/** The key of a search parameter; undefined: rows are in no groups. */
export function groupKeyOf(group: string | undefined): string | undefined {
  if (group === undefined) return undefined;
  return groupKeys.some((k) => k === group) || /^(cluster\.)?label:./.test(group) ? group : undefined;
}

/** The name of the label of a key, if it is of one. */
export function labelOf(key: string): string | undefined {
  return /^(?:cluster\.)?label:(.+)$/.exec(key)?.[1];
}

/** A filter of what a filter finds in one group. */
export function filterOf(filter: string | undefined, key: string, value: string): string {
  const label = labelOf(key);
  const term =
    label === undefined
      ? `${key}:${quotedValue(value)}`
      : value === ""
        ? `-${key.slice(0, key.length - label.length)}${quotedValue(label)}`
        : `${key.slice(0, key.length - label.length)}${quotedValue(label)}=${quotedValue(value)}`;
  return filter === undefined || filter === "" ? term : `${filter} ${term}`;
}

/** Values in the order of their groups. */
export function inOrder(key: string, values: Readonly<Record<string, number>>): string[] {
  const order = closed[key];
  return Object.keys(values).sort((a, b) => {
    if (order !== undefined) {
      const place = (v: string) => (order.includes(v) ? order.indexOf(v) : order.length);
      const d = place(a) - place(b);
      if (d !== 0) return d;
    }
    if ((a === "") !== (b === "")) return a === "" ? 1 : -1; // what has none comes last
    return a.localeCompare(b, "en", { numeric: true });
  });
}

const none = "-";
const all = "*";

/** Open groups of a search parameter: those that it names, or all but those; nobody said which: the first. */
export function openOf(open: string | undefined, order: readonly string[]): Set<string> {
  if (open === undefined) return new Set(order.slice(0, 1));
  if (open === none) return new Set();
  const named = new Set<string>();
  const [first, ...rest] = open.split(",");
  for (const part of first === all ? rest : [first ?? "", ...rest]) {
    try {
      named.add(decodeURIComponent(part.slice(1)));
    } catch {
      // Whoever wrote that meant no group.
    }
  }
  return first === all ? new Set(order.filter((v) => !named.has(v))) : named;
}

/** The search parameter for open groups. Each begins with a sign, so that one without a name is there, too. */
export function openParameter(open: ReadonlySet<string>, order: readonly string[]): string {
  const shut = order.filter((v) => !open.has(v));
  const parts = (values: readonly string[]) => values.map((v) => `~${encodeURIComponent(v)}`);
  if (shut.length < order.length / 2) return [all, ...parts(shut)].join(",");
  const list = parts(order.filter((v) => open.has(v)));
  return list.length === 0 ? none : list.join(",");
}

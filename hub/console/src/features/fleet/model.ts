// What the map and its table show, made of the hub's columns. Nothing here draws.
import type { Column, FleetMap } from "../../api/types";
import type { State } from "../../ui/palette";

/** By what cells are coloured. */
export const colourings = ["health", "connection", "agent", "kubernetes"] as const;
export type Colouring = (typeof colourings)[number];

/** Words of a map's worst column, the worst first; those of the hub's MapStates. */
export const worstWords = [
  "degraded",
  "missing",
  "failed",
  "drifted",
  "progressing",
  "pending",
  "unknown",
  "suspended",
  "healthy",
  "stale",
  "none",
] as const;
export type Worst = (typeof worstWords)[number];

/** One cluster: the place in the columns, which are read when somebody looks. */
export interface Cell {
  at: number;
  name: string;
}

const valueAt = (c: Column, at: number): string => c.values[c.of[at] ?? 0] ?? "";

/** Reads the columns of a map. */
export class Fleet {
  readonly map: FleetMap;
  private readonly dim: Set<number>;
  constructor(map: FleetMap) {
    this.map = map;
    this.dim = new Set(map.dimmed);
  }
  get size(): number {
    return this.map.names.length;
  }
  name(at: number): string {
    return this.map.names[at] ?? "";
  }
  state(at: number): string {
    return valueAt(this.map.state, at);
  }
  worst(at: number): Worst {
    const w = valueAt(this.map.worst, at);
    return worstWords.find((x) => x === w) ?? "unknown";
  }
  /** Nothing that is known of it is of now. */
  stale(at: number): boolean {
    return this.state(at) !== "connected";
  }
  dimmed(at: number): boolean {
    return this.dim.has(at);
  }
  applications(at: number): number {
    return this.map.applications[at] ?? 0;
  }
  count(word: Worst, at: number): number {
    return this.map.counts[word]?.[at] ?? 0;
  }
  agent(at: number): string {
    return valueAt(this.map.agent, at);
  }
  kubernetes(at: number): string {
    return valueAt(this.map.kubernetes, at);
  }
  label(key: string, at: number): string {
    const c = this.map.labels[key];
    return c === undefined ? "" : valueAt(c, at);
  }
  labels(at: number): [string, string][] {
    return Object.keys(this.map.labels)
      .map((k): [string, string] => [k, this.label(k, at)])
      .filter(([, v]) => v !== "");
  }
  lastSeen(at: number): Date | undefined {
    const s = this.map.lastSeen[at] ?? 0;
    return s === 0 ? undefined : new Date(s * 1000);
  }
  /** Keys by which clusters can be grouped, the most useful first: few values, many clusters. */
  groupKeys(): string[] {
    const preferred = ["region", "topology.kubernetes.io/region", "env", "environment", "stage", "zone"];
    const rank = (k: string) => {
      const i = preferred.indexOf(k);
      return i < 0 ? preferred.length : i;
    };
    return Object.keys(this.map.labels).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  }
}

/** The label keys of the URL's word: those that clusters have, at most two; by default region and env. */
export function groupsOf(fleet: Fleet, word: string | undefined): string[] {
  const known = fleet.map.labels;
  if (word === undefined)
    return [
      ["region", "topology.kubernetes.io/region"].find((k) => known[k] !== undefined),
      ["env", "environment", "stage"].find((k) => known[k] !== undefined),
    ].filter((k) => k !== undefined);
  return word
    .split(",")
    .filter((k) => known[k] !== undefined)
    .slice(0, 2);
}

/** Clusters with the same values of the keys, the worst first. */
export interface Leaf {
  key: string;
  value: string;
  cells: number[];
  /** How many there are of a worst word, of those that report. */
  counts: Map<Worst, number>;
  silent: number;
}

export interface Section {
  key: string;
  value: string;
  leaves: Leaf[];
  size: number;
}

/** Values in the order that people look for: numbers by size; what has none last. */
function byValue(a: string, b: string): number {
  if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
  return a.localeCompare(b, undefined, { numeric: true });
}

/**
 * All clusters in sections by the first key and leaves by the second. Within a leaf
 * they are by name, so that a cell stays where it is when its state changes.
 */
export function grouped(fleet: Fleet, keys: readonly string[]): Section[] {
  const sections = new Map<string, Map<string, Leaf>>();
  for (let at = 0; at < fleet.size; at++) {
    const one = keys[0] === undefined ? "" : fleet.label(keys[0], at);
    const two = keys[1] === undefined ? "" : fleet.label(keys[1], at);
    let leaves = sections.get(one);
    if (leaves === undefined) {
      leaves = new Map();
      sections.set(one, leaves);
    }
    let leaf = leaves.get(two);
    if (leaf === undefined) {
      leaf = { key: keys[1] ?? "", value: two, cells: [], counts: new Map(), silent: 0 };
      leaves.set(two, leaf);
    }
    leaf.cells.push(at);
    if (fleet.stale(at)) leaf.silent++;
    else leaf.counts.set(fleet.worst(at), (leaf.counts.get(fleet.worst(at)) ?? 0) + 1);
  }
  return [...sections.entries()]
    .sort(([a], [b]) => byValue(a, b))
    .map(([value, leaves]) => {
      const sorted = [...leaves.values()].sort((a, b) => byValue(a.value, b.value));
      return { key: keys[0] ?? "", value, leaves: sorted, size: sorted.reduce((n, l) => n + l.cells.length, 0) };
    });
}

/** How a cell looks: a state with its shape, or one of some values with its letter. */
export interface Look {
  state: State | "failed" | "none" | `value${number}`;
  stale: boolean;
  dimmed: boolean;
}

/** At most so many values have a look of their own; the others share the last. */
export const mostValues = 6;

/** Values of a column as the legend lists them: versions by number, the newest first. */
export function legendValues(fleet: Fleet, of: "agent" | "kubernetes"): { value: string; n: number }[] {
  const counts = new Map<string, number>();
  for (let at = 0; at < fleet.size; at++) {
    const v = of === "agent" ? fleet.agent(at) : fleet.kubernetes(at);
    counts.set(v, (counts.get(v) ?? 0) + 1);
  }
  return [...counts]
    .map(([value, n]) => ({ value, n }))
    .sort((a, b) => (a.value === "" ? 1 : b.value === "" ? -1 : byValue(b.value, a.value)));
}

const connectionLooks: Record<string, State | "none"> = {
  connected: "healthy",
  offline: "degraded",
  never: "unknown",
  held: "suspended",
  revoked: "missing",
};

/** Says how cells look by a colouring. */
export function looks(fleet: Fleet, by: Colouring): (at: number) => Look {
  if (by === "health")
    return (at) => {
      const w = fleet.worst(at);
      return { state: w === "stale" ? "unknown" : w, stale: fleet.stale(at), dimmed: fleet.dimmed(at) };
    };
  if (by === "connection")
    return (at) => ({
      state: connectionLooks[fleet.state(at)] ?? "unknown",
      stale: fleet.stale(at),
      dimmed: fleet.dimmed(at),
    });
  const place = new Map(legendValues(fleet, by).map((v, i) => [v.value, Math.min(i, mostValues - 1)]));
  return (at) => ({
    state: `value${place.get(by === "agent" ? fleet.agent(at) : fleet.kubernetes(at)) ?? mostValues - 1}`,
    stale: fleet.stale(at),
    dimmed: fleet.dimmed(at),
  });
}

/** The state whose palette a worst word has. */
export function stateOf(w: Worst): State {
  if (w === "failed") return "degraded";
  return w === "none" || w === "stale" ? "unknown" : w;
}

/** Edge of a cell in pixels, unless somebody chose: small where there are many. */
export function cellSize(clusters: number, chosen: "24" | "14" | undefined): 24 | 14 {
  if (chosen !== undefined) return chosen === "24" ? 24 : 14;
  return clusters <= 1000 ? 24 : 14;
}

/** Where an arrow leads in a leaf of so many cells in rows of so many columns. */
export function moved(at: number, key: string, size: number, columns: number): number | undefined {
  const within = (to: number) => Math.max(0, Math.min(size - 1, to));
  switch (key) {
    case "ArrowRight":
      return within(at + 1);
    case "ArrowLeft":
      return within(at - 1);
    case "ArrowDown":
      return at + columns < size ? at + columns : at;
    case "ArrowUp":
      return at - columns >= 0 ? at - columns : at;
    case "Home":
      return 0;
    case "End":
      return size - 1;
  }
  return undefined;
}

/** A filter of clusters that means these, by name. */
export function namesFilter(names: readonly string[]): string {
  return `name:${names.map((n) => `"${n.replace(/(["\\])/g, "\\$1")}"`).join(",")}`;
}

export interface Row {
  at: number;
  name: string;
  state: string;
  worst: Worst;
  stale: boolean;
}

/** Sorts by a column of the table; ties by name. "-key" is descending. */
export function sortedRows(fleet: Fleet, sort: string | undefined): Row[] {
  const rows: Row[] = [];
  for (let at = 0; at < fleet.size; at++)
    if (!fleet.dimmed(at))
      rows.push({ at, name: fleet.name(at), state: fleet.state(at), worst: fleet.worst(at), stale: fleet.stale(at) });
  const down = sort?.startsWith("-") === true;
  const key = down ? sort?.slice(1) : sort;
  const number = (r: Row): number | undefined => {
    switch (key) {
      case "worst":
        return worstWords.indexOf(r.worst) + (r.stale ? 0.5 : 0);
      case "apps":
        return fleet.applications(r.at);
      case "healthy":
        return fleet.count("healthy", r.at);
      case "seen":
        return fleet.map.lastSeen[r.at] === 0 ? Number.MAX_SAFE_INTEGER : (fleet.map.lastSeen[r.at] ?? 0);
    }
    return undefined;
  };
  const word = (r: Row): string =>
    key === "state"
      ? r.state
      : key === "kubernetes"
        ? fleet.kubernetes(r.at)
        : key === "agent"
          ? fleet.agent(r.at)
          : r.name;
  return rows.sort((a, b) => {
    const x = number(a);
    const y = number(b);
    const c = x !== undefined && y !== undefined ? x - y : byValue(word(a), word(b));
    return (down ? -c : c) || byValue(a.name, b.name);
  });
}

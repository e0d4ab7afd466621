import { toYAML } from "../../../ui/yaml";

/** An object of two revisions: its identity, and its text in each; undefined where it is not. */
export interface Compared {
  id: string;
  before?: string;
  after?: string;
}

function identity(o: unknown): string | undefined {
  if (o === null || typeof o !== "object") return undefined;
  const { apiVersion, kind, metadata } = o as { apiVersion?: unknown; kind?: unknown; metadata?: unknown };
  if (typeof kind !== "string" || metadata === null || typeof metadata !== "object") return undefined;
  const { name, namespace } = metadata as { name?: unknown; namespace?: unknown };
  const group = typeof apiVersion === "string" && apiVersion.includes("/") ? `.${apiVersion.split("/")[0]}` : "";
  return `${kind}${group} ${typeof namespace === "string" ? `${namespace}/` : ""}${String(name)}`;
}

/** What two lists of manifests differ in, by name; what is the same in both is only counted. */
export function compareManifests(
  before: readonly unknown[],
  after: readonly unknown[],
): { differ: Compared[]; same: number } {
  const all = new Map<string, Compared>();
  for (const [side, items] of [
    ["before", before],
    ["after", after],
  ] as const)
    for (const o of items) {
      const id = identity(o);
      if (id === undefined) continue;
      const entry = all.get(id) ?? { id };
      entry[side] = toYAML(o);
      all.set(id, entry);
    }
  const list = [...all.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const differ = list.filter((x) => x.before !== x.after);
  return { differ, same: list.length - differ.length };
}

/** Seconds, minutes or hours between two moments, as "1m 20s"; "" when one of them is none. */
export function took(from: string | undefined, to: string | undefined): string {
  const ms = Date.parse(to ?? "") - Date.parse(from ?? "");
  if (!Number.isFinite(ms) || ms < 0) return "";
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${s % 60}s`;
  return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}m`;
}

/** A manifest with its name. */
export interface Document {
  /** Its place among all, which is one of its kind, and its label. */
  id: string;
  label: string;
  value: unknown;
}

/** Manifests with their names, in the order of kinds and names. */
export function documentsOf(items: readonly unknown[]): Document[] {
  const seen = new Map<string, number>();
  return items
    .filter((o) => o !== null && typeof o === "object")
    .map((value) => {
      const o = value as { kind?: unknown; metadata?: { name?: unknown; namespace?: unknown } };
      const namespace = typeof o.metadata?.namespace === "string" ? `${o.metadata.namespace}/` : "";
      const label = `${String(o.kind ?? "?")} ${namespace}${String(o.metadata?.name ?? "?")}`;
      const n = (seen.get(label) ?? 0) + 1;
      seen.set(label, n);
      return { id: n === 1 ? label : `${label} (${n})`, label: n === 1 ? label : `${label} (${n})`, value };
    })
    .sort((a, b) => (a.label < b.label ? -1 : a.label > b.label ? 1 : 0));
}

// What of the address of the list a saved view keeps.

/** Parameters of the page that a view keeps. The project is that of the frame. */
export const kept = ["q", "sort", "cols", "labels", "group"] as const;
export type Kept = Partial<Record<(typeof kept)[number], string>>;

/** The view that the list opens with: the own, else the project's, else everyone's. */
export function firstView<V extends { default?: boolean; project?: string; everyone?: boolean }>(
  views: readonly V[],
  project: string | undefined,
): V | undefined {
  const all = views.filter((v) => v.default === true);
  return (
    all.find((v) => v.project === undefined && v.everyone !== true) ??
    all.find((v) => v.project !== undefined && v.project === project) ??
    all.find((v) => v.everyone === true)
  );
}

/** Whether an address says nothing that a view would keep. */
export const isBare = (search: Readonly<Record<string, unknown>>): boolean => Object.keys(keptOf(search)).length === 0;

/** What of an address a view keeps; what is not said is left out. */
export function keptOf(search: Readonly<Record<string, unknown>>): Kept {
  const out: Kept = {};
  for (const k of kept) {
    const v = search[k];
    if (typeof v === "string" && v !== "") out[k] = v;
  }
  return out;
}

// What of the address of the list a saved view keeps.

/** Parameters of the page that a view keeps. The project is that of the frame. */
export const kept = ["q", "sort", "cols", "labels", "group"] as const;
export type Kept = Partial<Record<(typeof kept)[number], string>>;

/** What of an address a view keeps; what is not said is left out. */
export function keptOf(search: Readonly<Record<string, unknown>>): Kept {
  const out: Kept = {};
  for (const k of kept) {
    const v = search[k];
    if (typeof v === "string" && v !== "") out[k] = v;
  }
  return out;
}

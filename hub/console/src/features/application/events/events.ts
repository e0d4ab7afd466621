import type { ObjectEvent } from "../../../api/types";

/** How many events are kept; the oldest go. */
export const mostEvents = 2000;

/** Adds events to those that are known: a newer report of the same event takes its place. Newest first. */
export function merge(old: readonly ObjectEvent[], more: readonly ObjectEvent[]): ObjectEvent[] {
  const byUID = new Map(old.map((e) => [e.uid, e]));
  for (const e of more) {
    const known = byUID.get(e.uid);
    if (known === undefined || known.count <= e.count) byUID.set(e.uid, e);
  }
  return [...byUID.values()].sort((a, b) => seen(b) - seen(a) || (a.uid < b.uid ? -1 : 1)).slice(0, mostEvents);
}

/** When an event was seen last, in milliseconds; 0: it does not say. */
export const seen = (e: ObjectEvent): number => {
  const at = Date.parse(e.lastSeen ?? e.firstSeen ?? "");
  return Number.isNaN(at) ? 0 : at;
};

/** Events of a type and a period (in milliseconds) that have all words of a text in them. */
export function filterEvents(
  events: readonly ObjectEvent[],
  q: string,
  type: "warning" | undefined,
  period?: readonly [number, number],
): readonly ObjectEvent[] {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  return events.filter((e) => {
    if (type === "warning" && e.type !== "Warning") return false;
    if (period !== undefined && (seen(e) < period[0] || seen(e) > period[1])) return false;
    if (words.length === 0) return true;
    const text =
      `${e.type} ${e.reason ?? ""} ${e.message ?? ""} ${e.object.kind}/${e.object.name} ${e.source ?? ""}`.toLowerCase();
    return words.every((w) => text.includes(w));
  });
}

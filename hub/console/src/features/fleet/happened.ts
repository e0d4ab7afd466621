// What the timeline shows of an answer: pure, for tests.
import type { FleetTimeline } from "../../api/types";

/** Kinds in the order in which their sums are shown. */
export const kinds = ["synced", "failed", "degraded", "drifted", "lost", "connected"] as const;
export type Kind = (typeof kinds)[number];

/** Parts of a bar, from its foot: what is quiet, what wants a look, what is loud. */
export const bands = ["good", "look", "bad"] as const;
export type Band = (typeof bands)[number];

export const bandOf: Record<Kind, Band> = {
  synced: "good",
  connected: "good",
  drifted: "look",
  failed: "bad",
  degraded: "bad",
  lost: "bad",
};

/** A kind that this console knows; a newer hub may tell of others. */
export function kindOf(word: string | undefined): Kind | undefined {
  return kinds.find((k) => k === word);
}

/** How often a kind happened in the hour. */
export function total(data: FleetTimeline, kind: Kind): number {
  return (data.counts[kind] ?? []).reduce((n, x) => n + x, 0);
}

/** When the n-th minute began, as the hub is asked for it. */
export function minuteAt(data: FleetTimeline, n: number): string {
  return new Date(Date.parse(data.from) + n * 60_000).toISOString().replace(".000Z", "Z");
}

const minutes = 60;
/** What happened once is seen beside what happened a thousand times, in percent. */
const least = 12;

/**
 * The parts of each bar in percent of the highest: by the square root, so that one
 * storm leaves the other minutes to be seen. With a kind only that one counts.
 */
export function heights(data: FleetTimeline, kind?: Kind): Record<Band, number>[] {
  const sums = Array.from({ length: minutes }, (_, i) => {
    const out: Record<Band, number> = { good: 0, look: 0, bad: 0 };
    for (const k of kinds) if (kind === undefined || kind === k) out[bandOf[k]] += data.counts[k]?.[i] ?? 0;
    return out;
  });
  const sum = (s: Record<Band, number>) => s.good + s.look + s.bad;
  const most = Math.max(1, ...sums.map(sum));
  return sums.map((s) => {
    const all = sum(s);
    if (all === 0) return s;
    const height = Math.max(Math.sqrt(all / most) * 100, least);
    const out: Record<Band, number> = { good: 0, look: 0, bad: 0 };
    for (const b of bands) out[b] = Math.round((s[b] / all) * height);
    return out;
  });
}

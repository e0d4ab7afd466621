import type { HistoryEntry, ObjectEvent } from "../../../api/types";
import { seen } from "./events";

/** A deployment on the axis; its time in seconds. */
export interface Mark {
  at: number;
  id: number;
}

/** How many events there were in equal spans of time, oldest first, and when was deployed. Times are in seconds since 1970. */
export interface Axis {
  /** When each span begins. */
  at: number[];
  /** How long each is. */
  step: number;
  events: number[];
  /** Those of the events that warn. */
  warnings: number[];
  marks: Mark[];
}

const day = 24 * 3600;
const steps = [10, 30, 60, 120, 300, 600, 1200, 1800];
/** More bars than these would be too thin. */
const mostSpans = 60;

/** The axis that ends now (in milliseconds) and begins with the oldest event of a day, but ten minutes ago at the latest. */
export function axisOf(events: readonly ObjectEvent[], history: readonly HistoryEntry[], now: number): Axis {
  const end = Math.floor(now / 1000);
  const times = events.map((e) => Math.floor(seen(e) / 1000));
  const oldest = times.reduce((a, b) => (b > 0 && b < a ? b : a), end - 600);
  const length = end - Math.max(oldest, end - day);
  const step = steps.find((s) => length / s < mostSpans) ?? 1800;
  const first = Math.floor((end - length) / step) * step;
  const spans = Math.floor((end - first) / step) + 1;
  const at = Array.from({ length: spans }, (_, i) => first + i * step);
  const all = new Array<number>(spans).fill(0);
  const warnings = new Array<number>(spans).fill(0);
  events.forEach((e, i) => {
    // A cluster's clock may be ahead: what comes is now.
    const span = Math.min(spans - 1, Math.floor(((times[i] ?? 0) - first) / step));
    if (span < 0) return;
    all[span] = (all[span] ?? 0) + 1;
    if (e.type === "Warning") warnings[span] = (warnings[span] ?? 0) + 1;
  });
  const marks = history.flatMap((h) => {
    const t = Math.floor(Date.parse(h.deployedAt) / 1000);
    return t >= first && t <= end ? [{ at: t, id: h.id }] : [];
  });
  return { at, step, events: all, warnings, marks };
}

/** From when to when, in milliseconds. */
export type Period = readonly [number, number];

const lasts: Record<string, number> = { "15m": 15 * 60_000, "1h": 60 * 60_000 };

/** The period that a text of the address names: "15m", "1h", or an interval of two times as in ISO 8601; nothing: all of the time. */
export function periodOf(text: string | undefined, now: number): Period | undefined {
  const last = lasts[text ?? ""];
  if (last !== undefined) return [now - last, Number.POSITIVE_INFINITY];
  const [from = "", to = "", ...more] = (text ?? "").split("/");
  const [a, b] = [Date.parse(from), Date.parse(to)];
  return more.length > 0 || Number.isNaN(a) || Number.isNaN(b) || b < a ? undefined : [a, b];
}

/** The text of a period between two times in seconds. */
export function periodText(from: number, to: number): string {
  const text = (s: number) => new Date(Math.round(s) * 1000).toISOString().replace(".000", "");
  return `${text(from)}/${text(to)}`;
}

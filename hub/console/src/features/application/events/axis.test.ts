import { describe, expect, it } from "vitest";
import type { HistoryEntry, ObjectEvent } from "../../../api/types";
import { axisOf, periodOf, periodText } from "./axis";

const now = Date.parse("2026-06-01T12:00:00Z");
const event = (ago: number | undefined, type: "Normal" | "Warning" = "Normal"): ObjectEvent => ({
  uid: `${ago}`,
  type,
  count: 1,
  lastSeen: ago === undefined ? undefined : new Date(now - ago * 1000).toISOString(),
  object: { kind: "Pod", name: "x" },
});
const deployed = (id: number, ago: number): HistoryEntry => {
  const at = new Date(now - ago * 1000).toISOString();
  return { id, generation: 1, revision: "r", deployStartedAt: at, deployedAt: at };
};
const sum = (n: number[]) => n.reduce((a, b) => a + b, 0);

describe("axisOf", () => {
  it("has ten minutes when nothing has happened", () => {
    const axis = axisOf([], [], now);
    expect([axis.step, axis.at.length, axis.at.at(-1)]).toEqual([30, 21, now / 1000]);
    expect(sum(axis.events)).toBe(0);
  });
  it("begins with the oldest event, and counts each in its span", () => {
    const axis = axisOf([event(5), event(1800, "Warning"), event(1801), event(3599)], [], now);
    expect(axis.step).toBe(60);
    expect(sum(axis.events)).toBe(4);
    expect(axis.warnings.flatMap((n, i) => (n > 0 ? [axis.at[i]] : []))).toEqual([now / 1000 - 1800]);
    expect(axis.at[0]).toBeLessThanOrEqual(now / 1000 - 3599);
  });
  it.each([1, 599, 3600, 7200, 40_000, 86_400, 900_000])("has no more bars than can be seen, %i s back", (ago) => {
    const axis = axisOf([event(ago)], [], now);
    expect(axis.at.length).toBeLessThanOrEqual(61);
    expect(axis.at[axis.at.length - 1]).toBeLessThanOrEqual(now / 1000);
    expect((axis.at[axis.at.length - 1] ?? 0) + axis.step).toBeGreaterThan(now / 1000);
  });
  it("leaves out what is older than a day or has no time, and takes what is to come for now", () => {
    const axis = axisOf([event(200_000), event(undefined), event(-90, "Warning")], [], now);
    expect([sum(axis.events), axis.events.at(-1), axis.warnings.at(-1)]).toEqual([1, 1, 1]);
  });
  it("marks the deployments of its time", () => {
    const axis = axisOf([event(1000)], [deployed(1, 5000), deployed(2, 900), deployed(3, -5)], now);
    expect(axis.marks).toEqual([{ at: now / 1000 - 900, id: 2 }]);
  });
});

describe("periods", () => {
  it.each([
    undefined,
    "",
    "2h",
    "yesterday",
    "2026-06-01T10:00:00Z",
    "b/a",
    "2026-06-01T11:00:00Z/2026-06-01T10:00:00Z",
  ])("%j is all of the time", (text) => expect(periodOf(text, now)).toBeUndefined());
  it("last until now, and go on", () => {
    expect(periodOf("15m", now)).toEqual([now - 900_000, Number.POSITIVE_INFINITY]);
  });
  it("between two times are said as they are read", () => {
    const text = periodText(1_780_000_000.4, 1_780_000_060);
    expect(text).toBe("2026-05-28T20:26:40Z/2026-05-28T20:27:40Z");
    expect(periodOf(text, now)).toEqual([1_780_000_000_000, 1_780_000_060_000]);
  });
});

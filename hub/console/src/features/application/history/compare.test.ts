import { describe, expect, it } from "vitest";
import { compareManifests, took } from "./compare";

const object = (kind: string, name: string, data: string) => ({
  apiVersion: kind === "Deployment" ? "apps/v1" : "v1",
  kind,
  metadata: { name, namespace: "pay" },
  data,
});

describe("two revisions", () => {
  it("differ in what is new, gone and changed", () => {
    const got = compareManifests(
      [object("ConfigMap", "a", "1"), object("ConfigMap", "gone", "1"), object("Deployment", "x", "1"), null, "text"],
      [object("Deployment", "x", "2"), object("ConfigMap", "new", "1"), object("ConfigMap", "a", "1"), {}],
    );
    expect(got.same).toBe(1);
    expect(got.differ.map((d) => [d.id, d.before !== undefined, d.after !== undefined])).toEqual([
      ["ConfigMap pay/gone", true, false],
      ["ConfigMap pay/new", false, true],
      ["Deployment.apps pay/x", true, true],
    ]);
  });
  it("of nothing differ in nothing", () => expect(compareManifests([], [])).toEqual({ differ: [], same: 0 }));
});

describe("how long it took", () => {
  it.each([
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z", "5s"],
    ["2026-01-01T00:00:00Z", "2026-01-01T00:01:20Z", "1m 20s"],
    ["2026-01-01T00:00:00Z", "2026-01-01T02:05:00Z", "2h 5m"],
    ["2026-01-01T00:00:05Z", "2026-01-01T00:00:00Z", ""],
    [undefined, "2026-01-01T00:00:00Z", ""],
  ])("%s to %s", (from, to, want) => expect(took(from, to)).toBe(want));
});

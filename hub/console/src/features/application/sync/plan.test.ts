import { describe, expect, it } from "vitest";
import type { OperationInfo, ResourceResult, ResourceStatus, ResourcesAnswer } from "../../../api/types";
import {
  isNoPlan,
  onlyOf,
  onlyText,
  optionsOf,
  optionsText,
  planOf,
  specOf,
  stepKind,
  syncCommand,
  syncOf,
} from "./plan";

const result = (name: string, status: string, more: Partial<ResourceResult> = {}): ResourceResult => ({
  group: "apps",
  kind: "Deployment",
  namespace: "pay",
  name,
  status,
  ...more,
});
const there = (name: string, more: Partial<ResourceStatus> = {}): ResourceStatus => ({
  group: "apps",
  kind: "Deployment",
  namespace: "pay",
  name,
  version: "v1",
  sync: { status: "Synced" },
  health: { status: "Healthy" },
  ...more,
});
const operation = (resources: ResourceResult[], more: Partial<OperationInfo> = {}): OperationInfo => ({
  id: "op",
  appUID: "u",
  kind: "sync",
  phase: "Succeeded",
  spec: {},
  result: { resources },
  ...more,
});
const resources = (...items: ResourceStatus[]): ResourcesAnswer => ({
  items,
  revision: "c0ffee",
  generation: 2,
  state: "s1",
  freshness: "live",
  total: items.length,
});

describe("what a step is", () => {
  it.each([
    ["Created", {}, false, "create"],
    ["Created", { hookPhase: "Running" }, false, "hook"],
    ["Configured", {}, false, "change"],
    ["Configured", {}, true, "replace"],
    ["Pruned", {}, false, "prune"],
    ["Deleted", {}, false, "prune"],
    ["PruneSkipped", {}, false, "kept"],
    ["Orphaned", {}, false, "kept"],
    ["Failed", {}, true, "blocked"],
    ["Succeeded", {}, false, "hook"],
    ["Unchanged", {}, true, "same"],
    ["Skipped", {}, false, "same"],
    ["of a newer agent", {}, false, "same"],
  ])("%s %o replacing %s is %s", (status, more, replaces, kind) => {
    expect(stepKind(result("a", status, more), replaces)).toBe(kind);
  });
});

describe("a plan", () => {
  it("has what is refused first, then deletions, and counts what stays", () => {
    const plan = planOf(
      operation([
        result("a", "Created"),
        result("b", "Unchanged"),
        result("c", "Pruned"),
        result("d", "Failed", { message: "immutable" }),
        result("e", "Configured", { wave: 1 }),
        result("f", "Configured", { wave: -1 }),
      ]),
      resources(there("b"), there("c"), there("e")),
    );
    expect(plan.steps.map((s) => s.kind + s.object.name)).toEqual([
      "blockedd",
      "prunec",
      "changef",
      "changee",
      "createa",
    ]);
    expect(plan).toMatchObject({ same: 1, state: "s1", revision: "c0ffee", prunesAll: false, guarded: undefined });
    expect(plan.counts).toEqual({ blocked: 1, prune: 1, change: 2, create: 1 });
  });

  it("of the prune guard has the deletions, and knows that nothing would be left", () => {
    const plan = planOf(
      operation([], { phase: "Failed", result: { wouldPrune: 2 } }),
      resources(
        there("a", { requiresPruning: true }),
        there("b", { requiresPruning: true }),
        there("gone", { health: { status: "Missing" } }),
        there("job", { hook: "PreSync" }),
      ),
    );
    expect(plan).toMatchObject({ guarded: 2, prunesAll: true });
    expect(plan.steps.map((s) => s.object.name)).toEqual(["a", "b"]);
  });

  it("of nothing prunes nothing", () => {
    expect(planOf(operation([]), resources())).toMatchObject({ steps: [], same: 0, prunesAll: false });
  });

  it("is none when the try failed without a result", () => {
    expect(isNoPlan(operation([], { phase: "Failed" }))).toBe(true);
    expect(isNoPlan(operation([], { phase: "Expired", result: undefined }))).toBe(true);
    expect(isNoPlan(operation([], { phase: "Failed", result: { wouldPrune: 3 } }))).toBe(false);
    expect(isNoPlan(operation([result("a", "Failed")], { phase: "Failed" }))).toBe(false);
    expect(isNoPlan(operation([], { result: undefined }))).toBe(false);
  });
});

describe("the sync of a plan", () => {
  const plan = planOf(
    operation([result("a", "Created"), result("p", "Pruned")], { result: undefined }),
    resources(there("x")),
  );
  const made = planOf(operation([result("a", "Created"), result("p", "Pruned")]), resources(there("x"), there("p")));

  it("of an empty plan asks for nothing special", () => {
    expect(syncOf(plan, new Set(), undefined, " ")).toEqual({ revision: "c0ffee" });
  });

  it("names chosen objects and no others", () => {
    const spec = syncOf(made, new Set(["prune", "nohooks"]), new Set(["apps/Deployment/pay/a"]), "why not");
    expect(spec).toMatchObject({
      prune: true,
      skipHooks: true,
      resources: ["apps:Deployment:pay/a"],
      reason: "why not",
    });
    expect(syncCommand("shop", spec)).toBe(
      "hawser app sync shop --revision c0ffee --prune --strategy apply --resource apps:Deployment:pay/a --reason 'why not'",
    );
  });

  it("confirms the number of deletions only where the guard asks", () => {
    expect(syncOf(made, new Set(["prune"]), undefined, "").confirmPrune).toBeUndefined();
    expect(syncOf({ ...made, guarded: 1 }, new Set(["prune"]), undefined, "").confirmPrune).toBe(1);
    expect(
      syncOf({ ...made, guarded: 1 }, new Set(["prune"]), new Set(["apps/Deployment/pay/a"]), "").confirmPrune,
    ).toBeUndefined();
  });

  it("quotes what a shell would run", () => {
    expect(syncCommand("shop", { reason: "$(rm -rf /); 'x'" })).toBe(
      `hawser app sync shop --reason '$(rm -rf /); '\\''x'\\'''`,
    );
  });
});

describe("what the URL has", () => {
  it.each([undefined, "none", "prune,replace", "replace,force,nohooks,approve"])("options %s and back", (text) => {
    expect(optionsText(optionsOf(text))).toBe(text);
  });
  it("leaves out options that are none", () => {
    expect([...optionsOf("prune,rm,force")]).toEqual(["prune", "force"]);
    expect(specOf(optionsOf("rm"))).toEqual({});
  });
  it("names chosen objects, none, or all", () => {
    const { steps } = planOf(operation([result("a", "Created"), result("b", "Created")]), resources());
    const [a, b] = steps.map((s) => s.id) as [string, string];
    expect(onlyText(new Set([a, b]), steps)).toBeUndefined();
    expect(onlyOf(onlyText(new Set([b]), steps))).toEqual(new Set([b]));
    expect(onlyOf(onlyText(new Set(), steps))).toEqual(new Set());
    expect(onlyOf(undefined)).toBeUndefined();
  });
});

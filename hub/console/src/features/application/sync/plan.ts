import type {
  ObjectKey,
  OperationInfo,
  OperationSpec,
  ResourceResult,
  ResourceStatus,
  ResourcesAnswer,
} from "../../../api/types";
import { cli } from "../../../ui/shell";
import { objectText } from "../object";

/** Options of a sync that a person chooses, as the URL has them. */
export const syncOptions = ["prune", "replace", "force", "nohooks", "approve"] as const;
export type SyncOption = (typeof syncOptions)[number];

/** The options that a text of the URL names; of it what is not known is left out. Without a text: prune. */
export function optionsOf(text: string | undefined): ReadonlySet<SyncOption> {
  if (text === undefined) return new Set<SyncOption>(["prune"]);
  const words = text.split(",");
  return new Set(syncOptions.filter((o) => words.includes(o)));
}

/** The text of the URL for options; undefined for those that are chosen when nothing is said. */
export function optionsText(options: ReadonlySet<SyncOption>): string | undefined {
  const text = syncOptions.filter((o) => options.has(o)).join(",");
  return text === "prune" ? undefined : text === "" ? "none" : text;
}

/** What a sync with these options is asked for with. */
export function specOf(options: ReadonlySet<SyncOption>): OperationSpec {
  const words = [...(options.has("replace") ? ["Replace=true"] : []), ...(options.has("force") ? ["Force=true"] : [])];
  return {
    prune: options.has("prune") || undefined,
    skipHooks: options.has("nohooks") || undefined,
    approveDeletions: options.has("approve") || undefined,
    syncOptions: words.length > 0 ? words : undefined,
  };
}

/** What would become of an object. "kept" would be pruned if pruning was chosen. */
export type StepKind = "blocked" | "prune" | "replace" | "change" | "create" | "kept" | "hook" | "same";

/** What one reads first. */
export const stepKinds: readonly StepKind[] = ["blocked", "prune", "replace", "change", "create", "kept", "hook"];

export const stepSigns: Record<StepKind, string> = {
  blocked: "✗",
  prune: "−",
  replace: "±",
  change: "~",
  create: "+",
  kept: "·",
  hook: "▸",
  same: "=",
};

/** One object of a plan. */
export interface Step {
  kind: StepKind;
  object: ObjectKey;
  /** Its identity, as the URL has it. */
  id: string;
  message?: string;
  phase?: string;
  wave?: number;
}

/** What a sync would do. */
export interface Plan {
  /** Identity at the hub of what the plan was made of; a sync is refused when it has moved since. */
  state: string;
  revision?: string;
  /** What is not as it should be, in the order of stepKinds and then of waves. */
  steps: readonly Step[];
  /** How many objects stay as they are. */
  same: number;
  counts: Readonly<Partial<Record<StepKind, number>>>;
  /** The prune guard stopped the try: how many deletions have to be confirmed. */
  guarded?: number;
  /** Nothing of what is in the cluster would be left. */
  prunesAll: boolean;
  message?: string;
}

/** What became, or would become, of an object by its result. */
export function stepKind(r: ResourceResult, replaces: boolean): StepKind {
  switch (r.status) {
    case "Failed":
      return "blocked";
    case "Pruned":
    case "Deleted":
      return "prune";
    case "PruneSkipped":
    case "Orphaned":
      return "kept";
    case "Created":
      return r.hookPhase ? "hook" : "create";
    case "Configured":
      return replaces ? "replace" : "change";
    case "Succeeded":
      return "hook";
  }
  return "same";
}

function stepOf(r: ResourceResult, replaces: boolean): Step {
  const object = { group: r.group, kind: r.kind, namespace: r.namespace, name: r.name };
  return {
    kind: stepKind(r, replaces),
    object,
    id: objectText(object),
    message: r.message || undefined,
    phase: r.phase,
    wave: r.wave,
  };
}

const rank = new Map(stepKinds.map((k, i) => [k, i]));

/** Results in the order in which one reads them, those that stay left out. */
export function stepsOf(results: readonly ResourceResult[], replaces: boolean): { steps: Step[]; same: number } {
  const all = results.map((r) => stepOf(r, replaces));
  const steps = all.filter((s) => s.kind !== "same");
  steps.sort(
    (a, b) =>
      (rank.get(a.kind) ?? 9) - (rank.get(b.kind) ?? 9) ||
      (a.wave ?? 0) - (b.wave ?? 0) ||
      (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  );
  return { steps, same: all.length - steps.length };
}

export function countSteps(steps: readonly Step[]): Partial<Record<StepKind, number>> {
  const out: Partial<Record<StepKind, number>> = {};
  for (const s of steps) out[s.kind] = (out[s.kind] ?? 0) + 1;
  return out;
}

/** The plan of a dry run that has ended; the objects are those of the moment after it. */
export function planOf(op: OperationInfo, now: ResourcesAnswer): Plan {
  const replaces = op.spec.syncOptions?.includes("Replace=true") ?? false;
  let results: readonly ResourceResult[] = op.result?.resources ?? [];
  const guarded = op.result?.wouldPrune || undefined;
  // Stopped by the guard nothing was tried: what is known are the deletions.
  if (guarded !== undefined && results.length === 0)
    results = now.items.filter((r) => r.requiresPruning).map((r) => ({ ...r, status: "Pruned" }));
  const { steps, same } = stepsOf(results, replaces);
  const counts = countSteps(steps);
  const there = now.items.filter(isThere).length;
  return {
    state: now.state,
    revision: now.revision,
    steps,
    same,
    counts,
    guarded,
    prunesAll: there > 0 && (counts.prune ?? 0) >= there,
    message: op.message || undefined,
  };
}

function isThere(r: ResourceStatus): boolean {
  return !r.hook && r.health.status !== "Missing";
}

/** Whether an operation that has ended says nothing that a plan could be made of. */
export function isNoPlan(op: OperationInfo): boolean {
  return op.phase !== "Succeeded" && (op.result?.resources ?? []).length === 0 && !op.result?.wouldPrune;
}

/** An object as a sync is told of it. */
export function selectorOf(o: ObjectKey): string {
  return `${o.group ?? ""}:${o.kind}:${o.namespace === undefined ? "" : `${o.namespace}/`}${o.name}`;
}

/** The objects that a text of the URL names; undefined is all. */
export function onlyOf(text: string | undefined): ReadonlySet<string> | undefined {
  return text === undefined ? undefined : new Set(text.split(",").filter((x) => x !== "-"));
}

/** The text for chosen objects: nothing for all of them. */
export function onlyText(chosen: ReadonlySet<string>, steps: readonly Step[]): string | undefined {
  if (steps.every((s) => chosen.has(s.id))) return undefined;
  const text = steps
    .filter((s) => chosen.has(s.id))
    .map((s) => s.id)
    .join(",");
  return text === "" ? "-" : text;
}

/** The sync that does what the plan says, of all or of the chosen objects. */
export function syncOf(
  plan: Plan,
  options: ReadonlySet<SyncOption>,
  only: ReadonlySet<string> | undefined,
  reason: string,
): OperationSpec {
  const spec = specOf(options);
  const chosen = only === undefined ? plan.steps : plan.steps.filter((s) => only.has(s.id));
  const prunes = chosen.filter((s) => s.kind === "prune").length;
  return {
    ...spec,
    revision: plan.revision,
    resources: only === undefined ? undefined : chosen.map((s) => selectorOf(s.object)),
    // Exactly so many, and only where the guard asks: it wants a fresh login.
    confirmPrune: plan.guarded !== undefined && prunes > 0 ? prunes : undefined,
    reason: reason.trim() || undefined,
  };
}

/** The same on the command line. */
export function syncCommand(name: string, spec: OperationSpec): string {
  return cli(
    "hawser",
    "app",
    "sync",
    name,
    spec.revision !== undefined && "--revision",
    spec.revision,
    spec.prune && "--prune",
    spec.confirmPrune !== undefined && "--confirm-prune",
    spec.confirmPrune !== undefined && String(spec.confirmPrune),
    spec.syncOptions?.includes("Replace=true") && "--replace",
    spec.syncOptions?.includes("Force=true") && "--force",
    spec.skipHooks && "--strategy",
    spec.skipHooks && "apply",
    spec.approveDeletions && "--approve-deletions",
    ...(spec.resources ?? []).flatMap((r) => ["--resource", r]),
    spec.reason !== undefined && "--reason",
    spec.reason,
  );
}

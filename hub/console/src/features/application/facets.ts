import type { AppView, Health, OperationInfo, OperationPhase, ResourceStatus } from "../../api/types";
import { syncState } from "../../ui/applicationState";
import type { State } from "../../ui/palette";

/** Whether what is known of a cluster may not be true any more. */
export function isStale(freshness: AppView["freshness"]): boolean {
  return freshness === "stale" || freshness === "never";
}

/** How far an operation has come, as a state. */
export function operationState(phase: OperationPhase): State {
  switch (phase) {
    case "Queued":
    case "Sent":
      return "pending";
    case "Running":
      return "progressing";
    case "Succeeded":
      return "healthy";
    case "Failed":
      return "degraded";
    case "Terminated":
    case "Superseded":
      return "suspended";
    case "Expired":
      return "missing";
  }
  return "unknown";
}

/** What an operation does, for the catalogue: one that only says what a sync would do is a plan, and no sync. */
export function operationKind(op: Pick<OperationInfo, "kind" | "spec">): string {
  return op.spec?.dryRun === true ? "plan" : op.kind;
}

/** Whether an operation has not ended. */
export function isOpen(op: Pick<OperationInfo, "phase"> | undefined): boolean {
  return op?.phase === "Queued" || op?.phase === "Sent" || op?.phase === "Running";
}

export function freshnessState(freshness: AppView["freshness"]): State {
  switch (freshness) {
    case "live":
      return "healthy";
    case "lagging":
      return "pending";
  }
  return "unknown";
}

/** Healths, the worst first. */
export const worstFirst: readonly Health[] = ["Degraded", "Missing", "Unknown", "Progressing", "Suspended", "Healthy"];

const ranks = new Map(worstFirst.map((h, i) => [h, i]));

/** Place of a health among all, 0 the worst; what is not known here is as bad as Unknown. */
export function healthRank(h: Health): number {
  return ranks.get(h) ?? 2;
}

/** State of one object's sync; hooks and what is only observed have none. */
export function resourceSync(r: ResourceStatus): State | undefined {
  if (r.hook !== undefined && r.hook !== "") return undefined;
  return syncState(r.sync.status, r.sync.reason);
}

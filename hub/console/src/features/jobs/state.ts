import type { Job, JobItem } from "../../api/types";
import type { State } from "../../ui/palette";

/** How a job is: a failure stands out while it still runs. */
export function jobState(j: Pick<Job, "phase" | "failed">): State {
  if (j.failed > 0) return "degraded";
  if (j.phase === "Running") return "progressing";
  return j.phase === "Cancelled" ? "suspended" : "healthy";
}

/** How an item is: after its command was accepted, what became of the operation. */
export function itemState(i: Pick<JobItem, "phase" | "operation" | "operationPhase">): State {
  switch (i.phase) {
    case "Pending":
      return "pending";
    case "Failed":
      return "degraded";
    case "Cancelled":
      return "suspended";
  }
  switch (i.operationPhase) {
    case "Failed":
    case "Expired":
      return "degraded";
    case "Terminated":
    case "Superseded":
      return "suspended";
    case "Queued":
    case "Sent":
      return "pending";
    case "Running":
      return "progressing";
  }
  return "healthy";
}

import type { State } from "./palette";

/** The state of a health as Argo CD words it. */
export function healthState(health: string): State {
  switch (health) {
    case "Healthy":
      return "healthy";
    case "Degraded":
      return "degraded";
    case "Progressing":
      return "progressing";
    case "Suspended":
      return "suspended";
    case "Missing":
      return "missing";
  }
  return "unknown";
}

/** The state of a sync: out of sync is drifted when the live objects moved, pending when the sources did. */
export function syncState(status: string, reason?: string): State {
  if (status === "Synced") return "healthy";
  if (status === "OutOfSync") return reason === "drifted" ? "drifted" : "pending";
  return "unknown";
}

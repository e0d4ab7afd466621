// What the filter box offers. The hub alone understands filters; a test holds this list
// to docs/filters.md, which another test holds to the hub.

const yesNo = ["true", "false"];

/** Keys of the filter language for applications, and the words of those that take few. */
export const vocabulary: Readonly<Record<string, readonly string[] | "text" | "age">> = {
  name: "text",
  project: "text",
  cluster: "text",
  namespace: "text",
  sync: ["synced", "outofsync", "unknown"],
  reason: ["pending", "drifted", "none"],
  health: ["healthy", "progressing", "degraded", "suspended", "missing", "unknown"],
  operation: ["none", "queued", "running", "succeeded", "failed", "superseded", "expired", "terminated"],
  freshness: ["live", "lagging", "stale", "never"],
  repo: "text",
  path: "text",
  revision: "text",
  target: "text",
  auto: yesNo,
  pinned: yesNo,
  deleting: yesNo,
  code: "text",
  changed: "age",
  observed: "age",
  created: "age",
  is: [
    "ready",
    "healthy",
    "synced",
    "live",
    "lagging",
    "stale",
    "never",
    "auto",
    "pinned",
    "deleting",
    "running",
    "failing",
    "unrendered",
  ],
  label: "text",
  "cluster.label": "text",
};

/** Ages that are offered. */
export const ages = ["<15m", "<1h", "<1d", ">1d", ">7d", ">30d"];

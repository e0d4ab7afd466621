import type { ListAuditQuery } from "../../api/client";
import { cli } from "../../ui/shell";

/** What of the URL narrows the records. */
export interface AuditSearch {
  project?: string;
  actor?: string;
  action?: string;
  resource?: string;
  in?: string;
  cluster?: string;
  name?: string;
  request?: string;
  operation?: string;
  kind?: ListAuditQuery["kind"];
  outcome?: ListAuditQuery["outcome"];
  since?: (typeof ranges)[number];
  from?: string;
  to?: string;
}

export const ranges = ["1h", "24h", "7d", "30d", "90d"] as const;
export const kinds = ["command", "refusal", "begun", "effect", "retired", "alarm", "handover"] as const;
export const outcomes = ["done", "denied", "rejected", "failed", "unknown"] as const;

/** Texts that narrow; each has a box. */
export const texts = ["actor", "action", "resource", "name", "in", "cluster", "request", "operation"] as const;

export const filterKeys = [...texts, "kind", "outcome", "since", "from", "to"] as const;

const hours = (range: string) => Number.parseInt(range, 10) * (range.endsWith("d") ? 24 : 1);

/** The beginning of a day where the reader is; a text that is none is left out. */
function day(text: string | undefined, add = 0): string | undefined {
  if (text === undefined || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined;
  const d = new Date(`${text}T00:00:00`);
  if (Number.isNaN(d.getTime())) return undefined;
  d.setDate(d.getDate() + add);
  return d.toISOString();
}

/** What the hub is asked, at a moment. The project of the frame narrows like that of the filter. */
export function auditQueryOf(s: AuditSearch, now: Date): ListAuditQuery {
  return {
    actor: s.actor,
    action: s.action,
    resource: s.resource,
    project: s.in ?? s.project,
    cluster: s.cluster,
    name: s.name,
    request: s.request,
    operation: s.operation,
    kind: s.kind,
    outcome: s.outcome,
    since: s.since === undefined ? day(s.from) : new Date(now.getTime() - hours(s.since) * 3_600_000).toISOString(),
    until: s.since === undefined ? day(s.to, 1) : undefined,
  };
}

/** The same on the command line. */
export function auditCommand(s: AuditSearch, ...verb: string[]): string {
  const option = (name: string, v: string | undefined) => (v === undefined ? [] : [name, v]);
  return cli(
    "hawser",
    "audit",
    ...verb,
    ...option("--actor", s.actor),
    ...option("--action", s.action),
    ...option("--resource", s.resource),
    ...option("--in-project", s.in ?? s.project),
    ...option("--on-cluster", s.cluster),
    ...option("--name", s.name),
    ...option("--request", s.request),
    ...option("--operation", s.operation),
    ...option("--kind", s.kind),
    ...option("--outcome", s.outcome),
    ...option("--since", s.since === undefined ? day(s.from) : `${hours(s.since)}h`),
    ...option("--until", s.since === undefined ? day(s.to, 1) : undefined),
  );
}

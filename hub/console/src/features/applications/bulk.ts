// Commands to many applications: what a job is asked for, and the command line that
// does the same.
import type { JobRequest } from "../../api/types";
import { cli, quoted } from "../../ui/shell";

export const bulkKinds = ["sync", "refresh", "rollback", "delete"] as const;
export type BulkKind = (typeof bulkKinds)[number];

/** Which applications are meant: by name, or by a filter as it was when it was chosen. */
export interface Target {
  names?: string[];
  query?: { filter: string; project?: string };
}

/** What can be chosen about a command; each kind takes some of it. */
export interface BulkOptions {
  prune: boolean;
  dryRun: boolean;
  hard: boolean;
  /** Deletes the objects too, or leaves them running. Nothing is chosen at first. */
  cascade?: boolean;
  reason: string;
}

/** The most that one job takes; the hub refuses more. */
export const mostItems = 10_000;

/** The request for a job. Nothing said must not mean everything: a filter of nothing is sent as every name. */
export function jobRequest(kind: BulkKind, target: Target, o: BulkOptions): JobRequest {
  const which: Pick<JobRequest, "applications" | "project" | "filter"> =
    target.query === undefined
      ? { applications: target.names ?? [] }
      : {
          filter: target.query.filter === "" ? "name:*" : target.query.filter,
          ...(target.query.project === undefined ? {} : { project: target.query.project }),
        };
  return { kind, ...which, spec: spec(kind, o) };
}

function spec(kind: BulkKind, o: BulkOptions): object {
  const reason = o.reason.trim() === "" ? {} : { reason: o.reason.trim() };
  switch (kind) {
    case "sync":
    case "rollback":
      return { ...(o.prune ? { prune: true } : {}), ...(o.dryRun ? { dryRun: true } : {}), ...reason };
    case "refresh":
      return o.hard ? { hard: true } : {};
    case "delete":
      return { cascade: o.cascade === true };
  }
}

/** The command line that does the same. What the commands cannot choose, a list chooses for them. */
export function bulkLine(kind: BulkKind, target: Target, o: BulkOptions): string {
  const { names, query } = target;
  const chosen =
    query === undefined
      ? (names ?? [])
      : [
          ...(query.project === undefined ? [] : ["--project", query.project]),
          "--filter",
          query.filter === "" ? "name:*" : query.filter,
        ];
  const reason = o.reason.trim() === "" ? [] : [`--reason=${o.reason.trim()}`];
  const pipe = (...command: string[]) =>
    `${query === undefined ? `printf '%s\\n' ${(names ?? []).map(quoted).join(" ")}` : cli("hawser", "app", "list", ...chosen, "-o", "name")} | xargs ${cli(...command)}`;
  const short = (names ?? []).length === 1;
  switch (kind) {
    case "sync":
      return cli(
        "hawser",
        "app",
        "sync",
        ...chosen,
        o.prune && "--prune",
        o.dryRun && "--dry-run",
        ...reason,
        "--async",
        query !== undefined && "--yes",
      );
    case "refresh":
      return cli("hawser", "app", "refresh", ...chosen, o.hard && "--hard");
    case "rollback": {
      const flags = [...(o.prune ? ["--prune"] : []), ...(o.dryRun ? ["--dry-run"] : []), ...reason, "--async"];
      return short
        ? cli("hawser", "app", "rollback", ...chosen, ...flags)
        : pipe("-n1", "hawser", "app", "rollback", ...flags);
    }
    case "delete": {
      const flags = [`--cascade=${o.cascade === true}`, "--yes", "--wait=false"];
      return query === undefined
        ? cli("hawser", "app", "delete", ...chosen, ...flags)
        : pipe("hawser", "app", "delete", ...flags);
    }
  }
}

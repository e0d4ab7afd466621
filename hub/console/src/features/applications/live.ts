// What events change in a list that is being looked at: cells at once, rows and their
// order when somebody says so.
import type { LiveEvent } from "../../live";
import type { Row, Windows } from "./queries";

/** An event about an application, as far as it is used. */
interface Change {
  name: string;
  view?: Row;
  deleted?: boolean;
}

export function changeOf(e: LiveEvent): Change | undefined {
  const d = (e.data ?? {}) as Partial<Change>;
  return typeof d.name === "string" && d.name !== "" ? (d as Change) : undefined;
}

/** What tells two versions of a row apart for whoever looks at it. */
function looks(r: Row): string {
  return [
    r.project,
    r.cluster,
    r.sync?.status,
    r.sync?.reason,
    r.health?.status,
    r.health?.message,
    r.operation?.phase,
    r.operation?.kind,
    r.freshness,
    r.revision,
    r.deleting,
    r.pin?.generation,
  ].join("\n");
}

/** The loaded windows with other versions of some rows, where they are; changed tells which look different. */
export function patched(windows: Windows, versions: ReadonlyMap<string, Row>): { windows: Windows; changed: string[] } {
  const changed: string[] = [];
  const pages = windows.pages.map((page) => {
    if (!page.items.some((r) => versions.has(r.name))) return page;
    const items = page.items.map((old) => {
      const now = versions.get(old.name);
      if (now === undefined) return old;
      const next: Row = { ...old };
      for (const key of Object.keys(old) as (keyof Row)[]) if (!(key in now) && optional.has(key)) delete next[key];
      for (const key of shared) if (now[key] !== undefined) Object.assign(next, { [key]: now[key] });
      if (looks(old) !== looks(next)) changed.push(old.name);
      return next;
    });
    return { ...page, items };
  });
  return { windows: { ...windows, pages }, changed };
}

/** Fields that events have as rows do. */
const shared = [
  "project",
  "cluster",
  "namespace",
  "repoURL",
  "path",
  "targetRevision",
  "autoSync",
  "desired",
  "sync",
  "health",
  "operation",
  "freshness",
  "observedAt",
  "revision",
  "deleting",
  "pin",
] as const satisfies readonly (keyof Row)[];

/** Of those, what can end. */
const optional: ReadonlySet<keyof Row> = new Set(["operation", "deleting", "pin"] as const);

import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useLive } from "../../live";
import { changeOf, patched } from "./live";
import { countsQuery, type Listed, type Row, rowsOf, rowsQuery, type Windows } from "./queries";

/** How many rows are read again at once when their cluster begins or ceases to report. */
const mostAgain = 200;

/**
 * The rows of a list and the counts beside it. Cells follow events; which rows there
 * are, and their order, changes when apply is called: `changes` says how many of
 * them have changed or come since.
 */
export function useApplications(list: Listed & { sort: string; fields: string }, facets: string) {
  const client = useQueryClient();
  const options = rowsQuery(list);
  const rows = useInfiniteQuery(options);
  const counts = useQuery(countsQuery({ project: list.project, filter: list.filter }, facets));
  const key = useRef(options.queryKey);
  useEffect(() => {
    key.current = options.queryKey;
  });
  const [changed, setChanged] = useState<ReadonlySet<string>>(new Set());
  // Rows that were read anew have all changes.
  const readAt = rows.data?.pages[0]?.asOf;
  const [seenAt, setSeenAt] = useState(readAt);
  if (seenAt !== readAt) {
    setSeenAt(readAt);
    setChanged(new Set());
  }
  const take = useCallback(
    (versions: ReadonlyMap<string, Row>): string[] => {
      const before = client.getQueryData(key.current) as Windows | undefined;
      if (before === undefined) return [];
      const { windows, changed: names } = patched(before, versions);
      const at = client.getQueryState(key.current)?.dataUpdatedAt;
      client.setQueryData(key.current, windows, { updatedAt: at });
      return names;
    },
    [client],
  );
  const add = useCallback((names: Iterable<string>) => {
    setChanged((old) => {
      const next = new Set(old);
      for (const n of names) next.add(n);
      return next.size === old.size ? old : next;
    });
  }, []);

  useLive(["application"], (events) => {
    const loaded = new Set(loadedRows(client.getQueryData(key.current) as Windows | undefined).map((r) => r.name));
    const versions = new Map<string, Row>();
    const moved: string[] = [];
    for (const e of events) {
      const c = changeOf(e);
      if (c === undefined) continue;
      // Rows that are not loaded are read when they come into sight; new ones the count tells.
      if (!loaded.has(c.name)) continue;
      if (c.deleted === true || c.view === undefined) moved.push(c.name);
      else versions.set(c.name, c.view);
    }
    add([...moved, ...take(versions)]);
  });

  // The freshness of applications is that of their cluster, of which there is one event.
  const again = useRef(new Set<string>());
  const due = useRef<ReturnType<typeof setTimeout>>(undefined);
  const fields = list.fields;
  useEffect(() => () => clearTimeout(due.current), []);
  useLive(["cluster"], (events) => {
    const stale = new Map<string, boolean>();
    for (const e of events) {
      const c = (e.data ?? {}) as { name?: string; freshness?: string };
      if (c.name !== undefined && c.freshness !== undefined)
        stale.set(c.name, c.freshness === "stale" || c.freshness === "never");
    }
    for (const r of loadedRows(client.getQueryData(key.current) as Windows | undefined)) {
      const now = stale.get(r.cluster);
      if (now !== undefined && now !== (r.freshness === "stale" || r.freshness === "never")) again.current.add(r.name);
    }
    if (again.current.size === 0 || due.current !== undefined) return;
    due.current = setTimeout(() => {
      due.current = undefined;
      const names = [...again.current].slice(0, mostAgain);
      for (const n of names) again.current.delete(n);
      // What cannot be read now is read with the next event.
      rowsOf(names, fields).then(
        (now) => add(take(new Map(now.map((r) => [r.name, r])))),
        () => {},
      );
    }, 1000);
  });

  const apply = useCallback(() => {
    setChanged(new Set());
    void client.resetQueries({ queryKey: key.current, exact: true });
  }, [client]);
  return {
    rows,
    counts,
    items: useMemo(() => loadedRows(rows.data), [rows.data]),
    total: rows.data?.pages[0]?.total ?? 0,
    partial: rows.data?.pages.find((p) => p.partial !== undefined)?.partial ?? counts.data?.partial,
    changes:
      changed.size +
      (rows.isSuccess && counts.isSuccess && !rows.isPlaceholderData && !counts.isPlaceholderData
        ? Math.max(0, counts.data.total - (rows.data.pages[0]?.total ?? 0))
        : 0),
    apply,
  };
}

/** A row that moved between two windows is in both; it is shown once. */
export function loadedRows(windows: Windows | undefined): Row[] {
  const seen = new Set<string>();
  const out: Row[] = [];
  for (const page of windows?.pages ?? [])
    for (const r of page.items)
      if (!seen.has(r.name)) {
        seen.add(r.name);
        out.push(r);
      }
  return out;
}

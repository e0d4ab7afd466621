import { useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import type { AppViewPage } from "../../api/types";
import { useLive } from "../../live";
import { filterOf, inOrder } from "./groups";
import { changeOf, patched } from "./live";
import { groupRowsQuery, groupsQuery, type Listed, type Row } from "./queries";

/** One group and what of it is loaded. */
export interface Group {
  value: string;
  count: number;
  rows: Row[];
  more: boolean;
  /** They are on their way. */
  busy: boolean;
}

/**
 * Rows in groups: the hub counts the groups, and the rows of those that are open are
 * read, a window at a time. As in the flat list cells follow events, and which rows there
 * are changes when apply is called.
 */
export function useGroups(
  list: Listed & { sort: string; fields: string },
  key: string | undefined,
  openIn: (order: readonly string[]) => ReadonlySet<string>,
) {
  const client = useQueryClient();
  const counts = useQuery({ ...groupsQuery(list, key ?? ""), enabled: key !== undefined });
  const values = counts.data?.groups?.values;
  const order = useMemo(() => (key === undefined || values === undefined ? [] : inOrder(key, values)), [key, values]);
  const open = openIn(order);
  // How many windows of each group have come into sight; of another list: none.
  const of = JSON.stringify([list, key]);
  const [windows, setWindows] = useState<{ of: string; n: Readonly<Record<string, number>> }>({ of, n: {} });
  const seen = windows.of === of ? windows.n : {};
  const asked: { value: string; query: ReturnType<typeof groupRowsQuery> }[] = [];
  for (const value of key === undefined ? [] : order) {
    if (!open.has(value)) continue;
    let cursor: string | undefined;
    for (let i = 0; i < (seen[value] ?? 0); i++) {
      const query = groupRowsQuery({ ...list, filter: filterOf(list.filter, key ?? "", value) }, cursor);
      asked.push({ value, query });
      cursor = client.getQueryData<AppViewPage>(query.queryKey)?.nextCursor;
      if (cursor === undefined) break; // the next window is asked for when this one is there
    }
  }
  const pages = useQueries({ queries: asked.map((a) => a.query) });
  const [changed, setChanged] = useState<{ of: string; names: ReadonlySet<string> }>({ of, names: new Set() });

  let moved = 0;
  const groups = order.map((value): Group => {
    const count = values?.[value] ?? 0;
    const mine = asked.flatMap((a, i) => (a.value === value ? [pages[i]] : []));
    const names = new Set<string>();
    const rows = mine
      .flatMap((p): Row[] => p?.data?.items ?? [])
      .filter((r) => !names.has(r.name) && names.add(r.name) !== undefined);
    const first = mine[0]?.data;
    if (first !== undefined) moved += Math.abs(count - first.total);
    const last = mine.at(-1);
    const more = open.has(value) && (last === undefined ? count > 0 : last.data?.nextCursor !== undefined);
    const busy = mine.some((p) => p?.isPending);
    return { value, count, rows, more: more || busy, busy };
  });
  const failed = pages.find((p) => p.isError)?.error ?? (counts.isError ? counts.error : undefined);

  useLive(["application"], (events) => {
    if (key === undefined) return;
    const versions = new Map<string, Row>();
    for (const e of events) {
      const c = changeOf(e);
      if (c?.view !== undefined && c.deleted !== true) versions.set(c.name, c.view);
    }
    const names: string[] = [];
    for (const { query } of asked) {
      const before = client.getQueryData<AppViewPage>(query.queryKey);
      if (before === undefined) continue;
      const next = patched({ pages: [before], pageParams: [undefined] }, versions);
      names.push(...next.changed);
      const at = client.getQueryState(query.queryKey)?.dataUpdatedAt;
      if (next.windows.pages[0] !== before)
        client.setQueryData(query.queryKey, next.windows.pages[0], { updatedAt: at });
    }
    if (names.length > 0)
      setChanged((old) => ({ of, names: new Set([...(old.of === of ? old.names : []), ...names]) }));
  });

  return {
    counts,
    order,
    open,
    groups,
    failed,
    others: counts.data?.groups?.others ?? 0,
    changes: (changed.of === of ? changed.names.size : 0) + moved,
    /** Reads one more window of a group. */
    more: useCallback(
      (value: string) => {
        setWindows((old) => {
          const n = old.of === of ? old.n : {};
          return { of, n: { ...n, [value]: (n[value] ?? 0) + 1 } };
        });
      },
      [of],
    ),
    apply: useCallback(() => {
      setChanged({ of, names: new Set() });
      setWindows({ of, n: {} });
      void client.resetQueries({ queryKey: ["applications", "list", "group"] });
    }, [client, of]),
  };
}

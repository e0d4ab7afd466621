import { type InfiniteData, infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { AppView, AppViewPage } from "../../api/types";
import { api } from "../../client";
import type { Target } from "./bulk";
import { type Term, termsOf, without } from "./filter";

/** A row, with what only rows have. */
export type Row = AppView & { createdAt?: string; changedAt?: string; labels?: Record<string, string> };

/** What a list is of. */
export interface Listed {
  project?: string;
  filter?: string;
}

/** How many rows are read at a time. */
export const windowSize = 200;

export type Windows = InfiniteData<AppViewPage, unknown>;

/** Rows, a window at a time. They do not jump: events patch them, and who looks says when they are read again. */
export function rowsQuery(list: Listed & { sort: string; fields: string }) {
  return infiniteQueryOptions({
    queryKey: ["applications", "list", "rows", list],
    queryFn: ({ signal, pageParam }) =>
      api.listApplications({ ...list, facets: "none", limit: windowSize, cursor: pageParam }, { signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.nextCursor,
    placeholderData: keepPreviousData,
    meta: { live: "manual" },
    staleTime: 10_000,
  });
}

/** Rows of these names as they are now. */
export async function rowsOf(names: string[], fields: string): Promise<Row[]> {
  return (await api.listApplications({ name: names, fields, facets: "none", limit: Math.max(1, names.length) })).items;
}

/** How many there are, and of which values; always of now. */
export function countsQuery(list: Listed, facets: string) {
  return queryOptions({
    queryKey: ["applications", "list", "counts", list, facets],
    queryFn: ({ signal }) => api.listApplications({ ...list, fields: "name", facets, limit: 1 }, { signal }),
    placeholderData: keepPreviousData,
  });
}

/** Which groups there are, and how many rows of what is found are in each; always of now. */
export function groupsQuery(list: Listed, key: string) {
  const { project, filter } = list;
  return queryOptions({
    queryKey: ["applications", "list", "groups", { project, filter }, key],
    queryFn: ({ signal }) =>
      api.listApplications({ project, filter, group: key, fields: "name", facets: "none", limit: 1 }, { signal }),
    placeholderData: keepPreviousData,
  });
}

/** A window of the rows of one group; the filter is the group's. As those of the flat list, they do not jump. */
export function groupRowsQuery(list: Listed & { sort: string; fields: string }, cursor: string | undefined) {
  return queryOptions({
    queryKey: ["applications", "list", "group", list, cursor ?? ""],
    queryFn: ({ signal }) => api.listApplications({ ...list, facets: "none", limit: windowSize, cursor }, { signal }),
    meta: { live: "manual" },
    staleTime: 60_000,
  });
}

/** How many applications a filter finds; nothing of it is kept. */
export function totalQuery(list: Listed) {
  return queryOptions({
    queryKey: ["applications", "list", "total", list],
    queryFn: async ({ signal }) =>
      (await api.listApplications({ ...list, fields: "name", facets: "none", limit: 1 }, { signal })).total,
  });
}

/** Names of labels, of the applications that changed last. */
export function labelNamesQuery(project: string | undefined) {
  return queryOptions({
    queryKey: ["applications", "list", "labels", { project }],
    queryFn: async ({ signal }) => {
      const got = await api.listApplications(
        { project, fields: "labels", facets: "none", sort: "-changed", limit: 200 },
        { signal },
      );
      const names = new Set(got.items.flatMap((a: Row) => Object.keys(a.labels ?? {})));
      return [...names].sort();
    },
    meta: { live: "manual" },
    staleTime: 5 * 60_000,
  });
}

/** How many terms of a filter are tried one by one. */
const mostTried = 8;

/** Without which term of a filter that finds nothing it finds most. */
export function dropQuery(list: Listed) {
  return queryOptions({
    queryKey: ["applications", "list", "drop", list],
    queryFn: async ({ signal }) => {
      const filter = list.filter ?? "";
      const tried = await Promise.all(
        termsOf(filter)
          .slice(0, mostTried)
          .map(async (term): Promise<{ term: Term; leaves: number }> => {
            const left = without(filter, term);
            const got = await api.listApplications(
              { project: list.project, filter: left || undefined, fields: "name", facets: "none", limit: 1 },
              { signal },
            );
            return { term, leaves: got.total };
          }),
      );
      return tried.reduce<{ term: Term; leaves: number } | null>(
        (best, t) => (t.leaves > (best?.leaves ?? 0) ? t : best),
        null,
      );
    },
  });
}

/** How many names a preview shows. */
const namesShown = 10;

/** What a command to many is about now: how many, how many of them do not report, and the first of their names. */
export function previewQuery(target: Target) {
  return queryOptions({
    queryKey: ["applications", "list", "preview", target],
    queryFn: async ({ signal }): Promise<{ total: number; stale: number; names: string[] }> => {
      const ask = { fields: "name", facets: "freshness", limit: namesShown };
      const staleIn = (p: AppViewPage) =>
        (p.facets?.freshness?.values.stale ?? 0) + (p.facets?.freshness?.values.never ?? 0);
      if (target.query !== undefined) {
        const got = await api.listApplications(
          { ...ask, project: target.query.project, filter: target.query.filter || undefined },
          { signal },
        );
        return { total: got.total, stale: staleIn(got), names: got.items.map((a) => a.name) };
      }
      // Names are sent a part at a time: an address has an end.
      const all = target.names ?? [];
      let stale = 0;
      for (let i = 0; i < all.length; i += windowSize)
        stale += staleIn(await api.listApplications({ ...ask, name: all.slice(i, i + windowSize) }, { signal }));
      return { total: all.length, stale, names: all.slice(0, namesShown) };
    },
    // What somebody is about to confirm does not change under his eyes.
    meta: { live: "manual" },
    staleTime: 0,
    gcTime: 0,
  });
}

/** Who is logged in, as the frame knows it. */
export const callerQuery = queryOptions({
  queryKey: ["session", "caller"],
  queryFn: ({ signal }) => api.getCaller({}, { signal }),
  staleTime: 5 * 60_000,
});

/** Saved views of this list: the own, those of projects, and those of everyone. */
export function savedViewsQuery() {
  return queryOptions({
    queryKey: ["savedviews", "list", "applications"],
    queryFn: async ({ signal }) =>
      (await api.listSavedViews({ signal })).items.filter((v) => v.things === "applications"),
  });
}

import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api } from "../../client";
import { terms, without } from "../../ui/terms";

/** All clusters that are seen, in columns; those that the filter does not select are dimmed. */
export function mapQuery(filter: string, project: string | undefined) {
  return queryOptions({
    queryKey: ["fleet", "map", { filter, project }],
    queryFn: async ({ signal }) =>
      (await api.getFleetMap({ filter: filter === "" ? undefined : filter, project }, { signal })).value,
    placeholderData: keepPreviousData,
    gcTime: 30_000, // half a megabyte each
  });
}

/** What happened in the last hour; its minutes go on when nothing happens, so it is asked for again each minute. */
export function timelineQuery(project: string | undefined, kind: string | undefined, minute: string | undefined) {
  return queryOptions({
    queryKey: ["fleet", "timeline", { project, kind, minute }],
    queryFn: async ({ signal }) => (await api.getFleetTimeline({ project, kind, minute }, { signal })).value,
    placeholderData: keepPreviousData,
    refetchInterval: 60_000,
    gcTime: 60_000,
  });
}

/** What is wrong on one cluster, for its card: at most three applications, the worst first. */
export function worstQuery(cluster: string, project: string | undefined) {
  return queryOptions({
    queryKey: ["applications", "list", { worstOf: cluster, project }],
    queryFn: ({ signal }) =>
      api.listApplications(
        {
          cluster,
          project,
          filter: "health:degraded,missing,progressing",
          limit: 3,
          sort: "-health",
          facets: "none",
          fields: "name,health,freshness",
        },
        { signal },
      ),
  });
}

/** The term of a filter without which most clusters are left; undefined when each leaves none. */
export function dropQuery(filter: string, project: string | undefined) {
  return queryOptions({
    queryKey: ["fleet", "drop", { filter, project }],
    queryFn: async ({ signal }) => {
      const all = await Promise.all(
        terms(filter)
          .slice(0, 4)
          .map(async (term) => {
            const rest = without(filter, term);
            const page = await api.listClusters(
              { filter: rest === "" ? undefined : rest, limit: 1, facets: "none", fields: "name" },
              { signal },
            );
            return { term, leaves: page.total };
          }),
      );
      return all.filter((d) => d.leaves > 0).sort((a, b) => b.leaves - a.leaves)[0] ?? null;
    },
    select: (d) => d ?? undefined,
  });
}

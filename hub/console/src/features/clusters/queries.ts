import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api } from "../../client";
import { terms, without } from "../../ui/terms";

export interface ListOf {
  filter: string;
  project: string | undefined;
  sort: string | undefined;
}

/** Clusters in windows of 200, as the hub filters and sorts them. */
export function clustersQuery({ filter, project, sort }: ListOf) {
  return infiniteQueryOptions({
    queryKey: ["clusters", "list", { filter, project, sort }],
    queryFn: ({ signal, pageParam }) =>
      api.listClusters(
        {
          filter: filter === "" ? undefined : filter,
          project,
          sort: sort ?? "name",
          limit: 200,
          facets: "state",
          cursor: pageParam === "" ? undefined : pageParam,
        },
        { signal },
      ),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextCursor,
    placeholderData: keepPreviousData,
  });
}

/** How many clusters there are without a filter, and the term that leaves none. */
export function emptinessQuery(filter: string, project: string | undefined) {
  const count = async (f: string, signal: AbortSignal) =>
    (
      await api.listClusters(
        { filter: f === "" ? undefined : f, project, limit: 1, facets: "none", fields: "name" },
        { signal },
      )
    ).total;
  return queryOptions({
    queryKey: ["clusters", "emptiness", { filter, project }],
    queryFn: async ({ signal }) => {
      const [total, drops] = await Promise.all([
        count("", signal),
        Promise.all(
          terms(filter)
            .slice(0, 4)
            .map(async (term) => ({ term, leaves: await count(without(filter, term), signal) })),
        ),
      ]);
      return { total, drop: drops.filter((d) => d.leaves > 0).sort((a, b) => b.leaves - a.leaves)[0] };
    },
  });
}

/** One cluster, with its version for writing. */
export function clusterQuery(name: string) {
  return queryOptions({
    queryKey: ["clusters", "detail", name],
    queryFn: ({ signal }) => api.getCluster(name, { signal }),
  });
}

/** Why a cluster does not report or works badly, and what waits for it. What changes without an event is asked for again. */
export function diagnosisQuery(name: string) {
  return queryOptions({
    queryKey: ["clusters", "diagnosis", name],
    queryFn: ({ signal }) => api.diagnoseCluster(name, { signal }),
    refetchInterval: 30_000,
  });
}

/** When the agent of a cluster came and went in the last hour, and why. */
export function connectionLogQuery(cluster: string) {
  return queryOptions({
    queryKey: ["clusters", "connections", cluster],
    queryFn: async ({ signal }) =>
      (await api.getFleetTimeline({ cluster, kind: "connected,lost,refused" }, { signal })).value,
    refetchInterval: 30_000,
  });
}

/** Applications on a cluster that are seen: in numbers, and the first fifty, the worst first. */
export function applicationsOnQuery(cluster: string, project: string | undefined) {
  return queryOptions({
    queryKey: ["applications", "list", { on: cluster, project }],
    queryFn: ({ signal }) =>
      api.listApplications(
        {
          cluster,
          project,
          limit: 50,
          sort: "-health",
          facets: "health,sync,freshness",
          // A row has neither its id nor why it is so unless it is asked for.
          fields: "uid,name,project,sync,health,operation,freshness,observedAt",
        },
        { signal },
      ),
  });
}

/** Operations on a cluster that have not ended: what waits for it while it is away. */
export function openOperationsQuery(cluster: string) {
  return queryOptions({
    queryKey: ["operations", "list", { open: cluster }],
    queryFn: ({ signal }) => api.listOperations({ cluster, open: true, limit: 20, facets: "none" }, { signal }),
  });
}

/** The hub's version, beside which an agent's is shown. */
export const hubQuery = queryOptions({
  queryKey: ["hub", "version"],
  queryFn: ({ signal }) => api.getHub({ signal }),
  staleTime: 10 * 60_000,
});

import { queryOptions } from "@tanstack/react-query";
import type { HistoryEntry, ResourceResult, Revision } from "../../../api/types";
import { api } from "../../../client";

/** What the hub answers to the dry run of a rollback. */
export interface RollbackPlan {
  dryRun: boolean;
  deployment: HistoryEntry;
  /** What is not deployed again until something newer comes; left out when the deployment is what the sources say. */
  setAside?: Revision;
  /** What would be desired otherwise; the cluster is not asked. */
  resources: ResourceResult[];
}

/** What going back to a deployment would change of what is desired. */
export function rollbackPlanQuery(name: string, id: number, generation: number) {
  return queryOptions({
    // Of this generation: another one has another plan.
    queryKey: ["applications", "rollback", name, id, generation],
    queryFn: async ({ signal }) =>
      (await api.rollbackApplication(name, { historyID: id, dryRun: true }, { signal })) as unknown as RollbackPlan,
    meta: { live: "manual" },
    staleTime: 0,
    retry: false,
  });
}

/** The operations of an application, newest first: also those of a part, dry runs and actions, of which no deployment comes. */
export function operationsQuery(name: string) {
  return queryOptions({
    queryKey: ["applications", "detail", name, "operations"],
    queryFn: ({ signal }) => api.listApplicationOperations(name, { limit: 100 }, { signal }),
  });
}

/** The objects that a revision has, rendered by the hub. */
export function manifestsOfQuery(name: string, revision: string) {
  return queryOptions({
    queryKey: ["applications", "rendered", name, revision],
    queryFn: ({ signal }) => api.getManifests(name, { revision: [revision] }, { signal }),
    meta: { live: "manual" },
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
}

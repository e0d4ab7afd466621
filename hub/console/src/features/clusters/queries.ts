import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api } from "../../client";

/** Clusters by name. */
export function clustersQuery(project: string | undefined) {
  return queryOptions({
    queryKey: ["clusters", "list", { project }],
    queryFn: ({ signal }) => api.listClusters({ project, limit: 100, sort: "name" }, { signal }),
    placeholderData: keepPreviousData,
  });
}

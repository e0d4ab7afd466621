import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api } from "../../client";

/** Repositories. */
export function repositoriesQuery(project: string | undefined) {
  return queryOptions({
    queryKey: ["repositories", "list", { project }],
    queryFn: ({ signal }) => api.listRepositories({ project, limit: 100 }, { signal }),
    placeholderData: keepPreviousData,
  });
}

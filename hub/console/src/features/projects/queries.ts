import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api } from "../../client";

/** Projects by name. */
export function projectsQuery(project: string | undefined) {
  return queryOptions({
    queryKey: ["projects", "list", { project }],
    queryFn: ({ signal }) => api.listProjects({ project, limit: 100 }, { signal }),
    placeholderData: keepPreviousData,
  });
}

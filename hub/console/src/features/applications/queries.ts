import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api } from "../../client";

/** Applications by name. */
export function applicationsQuery(project: string | undefined) {
  return queryOptions({
    queryKey: ["applications", "list", { project }],
    queryFn: ({ signal }) => api.listApplications({ project, limit: 100, sort: "name" }, { signal }),
    placeholderData: keepPreviousData,
  });
}

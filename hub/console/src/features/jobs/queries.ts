import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api } from "../../client";

/** Jobs, the newest first. */
export function jobsQuery(project: string | undefined) {
  return queryOptions({
    queryKey: ["jobs", "list", { project }],
    queryFn: ({ signal }) =>
      api.listJobs({ filter: project === undefined ? undefined : `project:${project}`, limit: 100 }, { signal }),
    placeholderData: keepPreviousData,
  });
}

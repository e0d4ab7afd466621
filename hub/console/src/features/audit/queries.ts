import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api } from "../../client";

/** The newest records. */
export function auditQuery(project: string | undefined) {
  return queryOptions({
    queryKey: ["audit", "list", { project }],
    queryFn: ({ signal }) => api.listAudit({ project, limit: 100 }, { signal }),
    placeholderData: keepPreviousData,
  });
}

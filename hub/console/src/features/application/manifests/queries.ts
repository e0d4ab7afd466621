import { queryOptions } from "@tanstack/react-query";
import { api } from "../../../client";

/** What is wanted now, what another revision has, or what the cluster has; the last two are read when somebody looks. */
export function manifestsQuery(name: string, source: "git" | "live", revision: string | undefined) {
  if (source === "git" && revision === undefined)
    return queryOptions({
      queryKey: ["applications", "detail", name, "manifests", source, ""],
      queryFn: ({ signal }) => api.getManifests(name, { source }, { signal }),
    });
  return queryOptions({
    queryKey: ["applications", "detail", name, "manifests", source, revision ?? ""],
    queryFn: ({ signal }) =>
      api.getManifests(name, { source, revision: revision === undefined ? undefined : [revision] }, { signal }),
    meta: { live: "manual" as const },
    retry: false,
  });
}

import { queryOptions } from "@tanstack/react-query";
import { api } from "../client";

/** Who is logged in. */
export const callerQuery = queryOptions({
  queryKey: ["session", "caller"],
  queryFn: ({ signal }) => api.getCaller({}, { signal }),
  staleTime: 5 * 60_000,
});

/** Names of the projects that the caller sees, for the switch. */
export const projectNamesQuery = queryOptions({
  queryKey: ["projects", "names"],
  queryFn: async ({ signal }) => {
    const page = await api.listProjects({ limit: 500, fields: "metadata" }, { signal });
    return page.items.map((p) => p.metadata.name).filter((n): n is string => n !== undefined);
  },
});

import { queryOptions } from "@tanstack/react-query";
import { api } from "../../../client";

/** Projects and clusters that a new application may name, to choose from; any other may be typed. */
export const placesQuery = queryOptions({
  queryKey: ["applications", "places"],
  queryFn: async ({ signal }) => {
    const [projects, clusters] = await Promise.all([
      api.listProjects({ limit: 500, fields: "metadata" }, { signal }),
      api.listClusters({ limit: 500, fields: "name" }, { signal }),
    ]);
    return {
      projects: projects.items.map((p) => p.metadata.name).filter((n): n is string => n !== undefined),
      clusters: clusters.items.map((c) => c.name),
    };
  },
});

import { queryOptions } from "@tanstack/react-query";
import { api, Problem } from "../../client";

/** How often the token is looked at while an agent may come: refusals are in no stream of events. */
const look = 3000;

/** One token, as long as it may be used; undefined when it is gone. */
export function tokenQuery(id: string) {
  return queryOptions({
    queryKey: ["clusters", "enrolment", id],
    queryFn: async ({ signal }) => (await api.listEnrolmentTokens({ signal })).items.find((x) => x.id === id) ?? null,
    refetchInterval: (q) => {
      const token = q.state.data;
      return token === undefined || (token !== null && token.usedAt === undefined) ? look : false;
    },
  });
}

/** The cluster that enrols; null while the hub does not know it. */
export function enrolledQuery(name: string) {
  return queryOptions({
    queryKey: ["clusters", "detail", name, "enrolling"],
    queryFn: async ({ signal }) => {
      try {
        return (await api.getCluster(name, { signal })).value;
      } catch (e) {
        if (Problem.of(e).isNotFound) return null;
        throw e;
      }
    },
    // Events tell of sessions; what the first report brings may be a moment later.
    refetchInterval: (q) => {
      const c = q.state.data;
      return c === undefined || c === null || !c.connected || c.kubeVersion === undefined ? look : false;
    },
  });
}

/** Names of the projects that a cluster can be reserved for. */
export const projectsQuery = queryOptions({
  queryKey: ["projects", "enrolNames"],
  queryFn: async ({ signal }) => {
    const page = await api.listProjects({ limit: 500, fields: "metadata" }, { signal });
    return page.items.map((p) => p.metadata.name).filter((n): n is string => n !== undefined);
  },
});

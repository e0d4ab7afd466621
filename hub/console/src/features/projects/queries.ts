import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { AppProject, ExplainRequest } from "../../api/types";
import { api } from "../../client";
import { terms, without } from "../../ui/terms";

/** Projects in windows of 100, as the hub filters and sorts them. */
export function projectsQuery({ filter, project, sort }: { filter: string; project?: string; sort?: string }) {
  return infiniteQueryOptions({
    queryKey: ["projects", "list", { filter, project, sort }],
    queryFn: ({ signal, pageParam }) =>
      api.listProjects(
        { filter: filter || undefined, project, sort: sort ?? "name", limit: 100, cursor: pageParam || undefined },
        { signal },
      ),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextCursor,
    placeholderData: keepPreviousData,
  });
}

/** How many applications each project has, of the projects that have most. */
export const applicationsPerProject = queryOptions({
  queryKey: ["applications", "perProject"],
  queryFn: async ({ signal }) =>
    (await api.listApplications({ limit: 1, facets: "project", fields: "name" }, { signal })).facets?.project?.values ??
    {},
});

/** How many projects there are without a filter, and the term that leaves none. */
export function emptinessQuery(filter: string, project: string | undefined) {
  const count = async (f: string, signal: AbortSignal) =>
    (await api.listProjects({ filter: f || undefined, project, limit: 1, facets: "none" }, { signal })).total;
  return queryOptions({
    queryKey: ["projects", "emptiness", { filter, project }],
    queryFn: async ({ signal }) => {
      const [total, drops] = await Promise.all([
        count("", signal),
        Promise.all(
          terms(filter)
            .slice(0, 4)
            .map(async (term) => ({ term, leaves: await count(without(filter, term), signal) })),
        ),
      ]);
      return { total, drop: drops.filter((d) => d.leaves > 0).sort((a, b) => b.leaves - a.leaves)[0] };
    },
  });
}

/** One project, with its version for writing. */
export function projectQuery(name: string) {
  return queryOptions({
    queryKey: ["projects", "detail", name],
    queryFn: ({ signal }) => api.getProject(name, { signal }),
  });
}

/** What applications have of a project's limits, and where they are. */
export function usageQuery(name: string) {
  return queryOptions({
    queryKey: ["projects", "detail", name, "usage"],
    queryFn: ({ signal }) => api.getProjectUsage(name, { signal }),
  });
}

/** What storing a project would change, and how much each of its rules matches. */
export function previewQuery(project: AppProject) {
  return queryOptions({
    queryKey: ["projects", "detail", project.metadata.name, "preview", JSON.stringify(project.spec)],
    queryFn: ({ signal }) => api.previewProject(project.metadata.name, project, { signal }),
    placeholderData: keepPreviousData,
    retry: false,
  });
}

/** Tokens of a role. */
export function roleTokensQuery(project: string, role: string) {
  return queryOptions({
    queryKey: ["projects", "detail", project, "tokens", role],
    queryFn: ({ signal }) => api.listRoleTokens(project, role, { signal }),
  });
}

/** Whether something is allowed, and why. */
export function explainQuery(project: string, request: ExplainRequest) {
  return queryOptions({
    queryKey: ["projects", "detail", project, "explain", request],
    queryFn: ({ signal }) => api.explain(request, { signal }),
    retry: false,
  });
}

import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api } from "../../client";
import { terms, without } from "../../ui/terms";

/** Repositories in windows of 200, as the hub filters and sorts them. */
export function repositoriesQuery({ filter, project, sort }: { filter: string; project?: string; sort?: string }) {
  return infiniteQueryOptions({
    queryKey: ["repositories", "list", { filter, project, sort }],
    queryFn: ({ signal, pageParam }) =>
      api.listRepositories(
        {
          filter: filter || undefined,
          project,
          sort: sort ?? "url",
          facets: "state",
          limit: 200,
          cursor: pageParam || undefined,
        },
        { signal },
      ),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextCursor,
    placeholderData: keepPreviousData,
  });
}

/** How many there are without a filter, and the term that leaves none. */
export function emptinessQuery(filter: string, project: string | undefined) {
  const count = async (f: string, signal: AbortSignal) =>
    (await api.listRepositories({ filter: f || undefined, project, limit: 1, facets: "none" }, { signal })).total;
  return queryOptions({
    queryKey: ["repositories", "emptiness", { filter, project }],
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

/** One repository, with its version for writing. */
export function repositoryQuery(id: string) {
  return queryOptions({
    queryKey: ["repositories", "detail", id],
    queryFn: ({ signal }) => api.getRepository(id, { signal }),
  });
}

/** How many applications use a repository. */
export function usersQuery(url: string) {
  return queryOptions({
    queryKey: ["applications", "users", url],
    queryFn: async ({ signal }) =>
      (
        await api.listApplications(
          { filter: `repo:"${url.replace(/(["\\])/g, "\\$1")}"`, limit: 1, facets: "none", fields: "name" },
          { signal },
        )
      ).total,
  });
}

export const templatesQuery = queryOptions({
  queryKey: ["repositories", "templates"],
  queryFn: ({ signal }) => api.listRepositoryTemplates({ signal }),
});

/** One credential template, with its version for writing. */
export function templateQuery(id: string) {
  return queryOptions({
    queryKey: ["repositories", "templates", id],
    queryFn: ({ signal }) => api.getRepositoryTemplate(id, { signal }),
  });
}

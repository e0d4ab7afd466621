import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api } from "../../client";

/** Jobs, the newest first; `is` is a state of the filter language. */
export function jobsQuery(is: string | undefined) {
  return infiniteQueryOptions({
    queryKey: ["jobs", "list", { is }],
    queryFn: ({ signal, pageParam }) =>
      api.listJobs({ filter: is === undefined ? undefined : `is:${is}`, limit: 100, cursor: pageParam }, { signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.nextCursor,
    placeholderData: keepPreviousData,
  });
}

/** One job and its counts; it is of now with each event. */
export function jobQuery(id: string) {
  return queryOptions({
    queryKey: ["jobs", "detail", id],
    queryFn: ({ signal }) => api.getJob(id, { limit: 1 }, { signal }),
  });
}

/** Its items in their order, a window at a time; read again at most every two seconds. */
export function jobItemsQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: ["jobs", "items", id],
    queryFn: async ({ signal, pageParam }) => {
      const { items, nextCursor } = await api.getJob(id, { limit: 500, cursor: pageParam }, { signal });
      return { items, nextCursor };
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.nextCursor,
  });
}

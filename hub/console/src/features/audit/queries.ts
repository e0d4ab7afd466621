import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api } from "../../client";
import { type AuditSearch, auditQueryOf, filterKeys } from "./filter";

type Asked = ReturnType<typeof auditQueryOf>;

/** Records in windows of 200, newest first. A cursor is of one filter, so all windows have the times of the first. */
export function auditQuery(search: AuditSearch) {
  return infiniteQueryOptions({
    queryKey: ["audit", "list", search],
    queryFn: async ({ signal, pageParam }) => {
      const asked = pageParam?.asked ?? auditQueryOf(search, new Date());
      const page = await api.listAudit({ ...asked, limit: 200, cursor: pageParam?.cursor }, { signal });
      return { ...page, asked };
    },
    initialPageParam: undefined as { cursor: string; asked: Asked } | undefined,
    getNextPageParam: (last) =>
      last.nextCursor === undefined ? undefined : { cursor: last.nextCursor, asked: last.asked },
    staleTime: 10_000,
  });
}

/** The parts of a filter without which there would be records. */
export function auditDropQuery(search: AuditSearch) {
  return queryOptions({
    queryKey: ["audit", "drop", search],
    queryFn: async ({ signal }) => {
      const used = filterKeys.filter((k) => search[k] !== undefined);
      const found = await Promise.all(
        used.slice(0, 6).map(async (k) => {
          const page = await api.listAudit(
            { ...auditQueryOf({ ...search, [k]: undefined }, new Date()), limit: 1 },
            { signal },
          );
          return page.items.length > 0;
        }),
      );
      return used.filter((_, i) => found[i]);
    },
  });
}

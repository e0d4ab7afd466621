import { queryOptions } from "@tanstack/react-query";
import { api } from "../../client";

/** The hub's identity and state. */
export const hubQuery = queryOptions({
  queryKey: ["settings", "hub"],
  queryFn: ({ signal }) => api.getHub({ signal }),
});

import { queryOptions } from "@tanstack/react-query";
import { api } from "../../client";

/** The fleet in numbers. */
export const summaryQuery = queryOptions({
  queryKey: ["fleet", "summary"],
  queryFn: ({ signal }) => api.getFleetSummary({ signal }),
});

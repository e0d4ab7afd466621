import { QueryClient } from "@tanstack/react-query";
import { Problem } from "./client";

/**
 * The one store of server state. The event stream tells what changed, so nothing is
 * refetched on a timer; what the hub refused is not asked again by itself.
 */
export function newQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 30_000,
        gcTime: 5 * 60_000,
        refetchOnWindowFocus: false,
        refetchOnReconnect: true,
        networkMode: "always",
        retry: (count, e) => Problem.of(e).isUnreachable && count < 3,
        retryDelay: (n, e) => (Problem.of(e).retryAfter ?? Math.min(8, 2 ** n / 2)) * 1000,
      },
      mutations: { retry: false, networkMode: "always" },
    },
  });
}

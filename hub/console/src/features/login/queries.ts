import { queryOptions } from "@tanstack/react-query";
import { api } from "../../client";

/** Names of the identity providers that one can log in with. */
export const providersQuery = queryOptions({
  queryKey: ["login", "providers"],
  queryFn: async ({ signal }) => (await api.listLoginProviders({ signal })).providers,
});

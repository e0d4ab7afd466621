import { queryOptions } from "@tanstack/react-query";
import { api } from "../../client";

/** The hub's identity and state. */
export const hubQuery = queryOptions({
  queryKey: ["settings", "hub"],
  queryFn: ({ signal }) => api.getHub({ signal }),
});

/** The fleet in numbers, for what is not well. */
export const summaryQuery = queryOptions({
  queryKey: ["fleet", "summary"],
  queryFn: ({ signal }) => api.getFleetSummary({ signal }),
});

/** How many agents have which version. */
export const agentVersionsQuery = queryOptions({
  queryKey: ["clusters", "agentVersions"],
  queryFn: async ({ signal }) =>
    (await api.listClusters({ facets: "agent", limit: 1, fields: "name" }, { signal })).facets?.agent?.values ?? {},
});

/** How many repositories answer, and the first that do not. */
export const failingRepositoriesQuery = queryOptions({
  queryKey: ["repositories", "failing"],
  queryFn: ({ signal }) => api.listRepositories({ filter: "state:error", limit: 20, facets: "none" }, { signal }),
});

export const tokensQuery = queryOptions({
  queryKey: ["settings", "tokens"],
  queryFn: ({ signal }) => api.listTokens({ signal }),
});

export const accountsQuery = queryOptions({
  queryKey: ["settings", "accounts"],
  queryFn: ({ signal }) => api.listAccounts({ signal }),
});

/** One's own sessions, or those of everybody. */
export const sessionsQuery = (all: boolean) =>
  queryOptions({
    queryKey: ["settings", "sessions", { all }],
    queryFn: ({ signal }) => (all ? api.listAllSessions({ signal }) : api.listSessions({ signal })),
  });

export const providersQuery = queryOptions({
  queryKey: ["settings", "providers"],
  queryFn: ({ signal }) => api.listIdentityProviders({ signal }),
});

/** What became of a login that was a test; it does not change. */
export const signInQuery = (provider: string, code: string) =>
  queryOptions({
    queryKey: ["settings", "signin", provider, code],
    queryFn: ({ signal }) => api.getSignInTest(provider, { code }, { signal }),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });

export const providerQuery = (name: string) =>
  queryOptions({
    queryKey: ["settings", "providers", name],
    queryFn: ({ signal }) => api.getIdentityProvider(name, { signal }),
  });

export const rbacQuery = queryOptions({
  queryKey: ["settings", "rbac"],
  queryFn: ({ signal }) => api.getRBAC({}, { signal }),
});

/** What storing a policy would say. */
export const rbacCheckQuery = (rbac: Record<string, string>) =>
  queryOptions({
    queryKey: ["settings", "rbacCheck", rbac],
    queryFn: ({ signal }) => api.checkRBAC({ rbac }, { signal }),
    retry: false,
  });

export const customizationsQuery = queryOptions({
  queryKey: ["settings", "customizations"],
  queryFn: ({ signal }) => api.getCustomizations({}, { signal }),
});

/** What storing customizations would change; an error tells what is wrong with them. */
export const customizationsCheckQuery = (customizations: Record<string, string>) =>
  queryOptions({
    queryKey: ["settings", "customizationsCheck", customizations],
    queryFn: async ({ signal }) =>
      (await api.putCustomizations({ customizations }, { dryRun: true }, { signal })).value,
    retry: false,
  });

export const gpgKeysQuery = queryOptions({
  queryKey: ["settings", "gpgKeys"],
  queryFn: ({ signal }) => api.listGPGKeys({ signal }),
});

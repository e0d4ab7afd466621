import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { ObjectKey } from "../../api/types";
import { api, hubFetch, Problem } from "../../client";
import { liveObjectYAML } from "../../routes/urls";

/** One application with its objects and history. */
export function applicationQuery(name: string) {
  return queryOptions({
    queryKey: ["applications", "detail", name],
    queryFn: async ({ signal }) => (await api.getApplication(name, { signal })).value,
  });
}

/** One application with the version of what is stored, to be changed: read when somebody begins to. */
export function storedApplicationQuery(name: string) {
  return queryOptions({
    queryKey: ["applications", "detail", name, "stored"],
    queryFn: ({ signal }) => api.getApplication(name, { signal }),
    meta: { live: "manual" },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
}

/** What the config management plugins of its sources say that they take. */
export function pluginParametersQuery(name: string) {
  return queryOptions({
    queryKey: ["applications", "detail", name, "plugin-parameters"],
    queryFn: async ({ signal }) => (await api.listPluginParameters(name, { signal })).items,
    meta: { live: "manual" },
    staleTime: 60_000,
  });
}

/** Its objects and what they own, as the agent saw them. */
export function treeQuery(name: string) {
  return queryOptions({
    queryKey: ["applications", "detail", name, "tree"],
    queryFn: ({ signal }) => api.getApplicationTree(name, { signal }),
  });
}

/** One live object as YAML; read from the cluster when somebody looks. */
export function liveObjectQuery(name: string, object: ObjectKey, managedFields: boolean) {
  return queryOptions({
    queryKey: ["applications", "detail", name, "object", object, { managedFields }],
    queryFn: async ({ signal }) => {
      const address = liveObjectYAML(name, { ...named(object), managedFields: managedFields || undefined });
      const answer = await hubFetch(address, {
        signal,
        headers: { Accept: "application/yaml, application/problem+json" },
      });
      return answer.text();
    },
    meta: { live: "manual" },
    staleTime: 0,
  });
}

/** What a live object says of itself, as JSON. */
interface LiveObject {
  metadata?: { uid?: unknown; annotations?: Record<string, unknown> };
  spec?: { containers?: { name?: unknown }[]; initContainers?: { name?: unknown; restartPolicy?: unknown }[] };
}

async function liveObject(name: string, object: ObjectKey, signal: AbortSignal): Promise<LiveObject> {
  return ((await api.getResource(name, named(object), { signal })) ?? {}) as LiveObject;
}

/** The uid that an object has in its cluster now: which of its name it is. */
export function liveUIDQuery(name: string, object: ObjectKey) {
  return queryOptions({
    queryKey: ["applications", "detail", name, "uid", object],
    queryFn: async ({ signal }) => {
      const uid = (await liveObject(name, object, signal)).metadata?.uid;
      if (typeof uid !== "string") throw new Problem({ code: "answer_invalid" });
      return uid;
    },
    meta: { live: "manual" },
    staleTime: 0,
    gcTime: 0,
  });
}

/** The containers of a pod in which commands can be run, and the usual one. */
export function podQuery(name: string, pod: ObjectKey) {
  return queryOptions({
    queryKey: ["applications", "detail", name, "containers", pod],
    queryFn: async ({ signal }) => {
      const { metadata, spec } = await liveObject(name, pod, signal);
      const names = (list: { name?: unknown }[] | undefined) =>
        (list ?? []).map((c) => c.name).filter((n) => typeof n === "string");
      const main = names(spec?.containers);
      const asked = metadata?.annotations?.["kubectl.kubernetes.io/default-container"];
      return {
        containers: [...main, ...names(spec?.initContainers?.filter((c) => c.restartPolicy === "Always"))],
        usual: main.find((c) => c === asked) ?? main[0],
      };
    },
    meta: { live: "manual" },
    staleTime: 60_000,
  });
}

/** What can be done with an object now. */
export function actionsQuery(name: string, object: ObjectKey) {
  return queryOptions({
    queryKey: ["applications", "detail", name, "actions", object],
    queryFn: async ({ signal }) => (await api.listResourceActions(name, named(object), { signal })).items,
    meta: { live: "manual" },
    staleTime: 0,
  });
}

/** Parameters that name exactly one object; an empty group is the core group. */
export function named(o: ObjectKey) {
  return { group: o.group ?? "", kind: o.kind, namespace: o.namespace, resourceName: o.name };
}

/** How many applications of a list are looked through for the neighbours of one. */
const neighbourPages = 8;

/** The place of an application in a list, and what is before and after it. */
export interface Neighbours {
  /** From 1; undefined: not in the list, or too far down. */
  place?: number;
  total: number;
  before?: string;
  after?: string;
}

/** Neighbours in the list that one came from: of a filter, an order and a project. */
export function neighboursQuery(name: string, list: { project?: string; filter?: string; sort?: string }) {
  return queryOptions({
    queryKey: ["applications", "neighbours", list, name],
    queryFn: async ({ signal }): Promise<Neighbours> => {
      let cursor: string | undefined;
      let last: string | undefined;
      let seen = 0;
      let total = 0;
      for (let page = 0; page < neighbourPages; page++) {
        const query = { project: list.project, filter: list.filter, sort: list.sort ?? "name" };
        const got = await api.listApplications(
          { ...query, fields: "name", facets: "none", limit: 500, cursor },
          { signal },
        );
        total = got.total;
        const at = got.items.findIndex((a) => a.name === name);
        if (at >= 0) {
          let after = got.items[at + 1]?.name;
          if (after === undefined && got.nextCursor !== undefined) {
            const next = await api.listApplications(
              { ...query, fields: "name", facets: "none", limit: 500, cursor: got.nextCursor },
              { signal },
            );
            after = next.items[0]?.name;
          }
          return { place: seen + at + 1, total, before: got.items[at - 1]?.name ?? last, after };
        }
        seen += got.items.length;
        last = got.items[got.items.length - 1]?.name;
        cursor = got.nextCursor;
        if (cursor === undefined) break;
      }
      return { total };
    },
    // Who goes through a list wants it as it was: it does not jump while somebody is at it.
    meta: { live: "manual" },
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    retry: (count, e) => Problem.of(e).isUnreachable && count < 1,
  });
}

import { queryOptions } from "@tanstack/react-query";
import type { ObjectKey } from "../../../api/types";
import { api } from "../../../client";
import { named } from "../queries";

/** What is desired of all objects now. */
export function desiredQuery(name: string) {
  return queryOptions({
    queryKey: ["applications", "detail", name, "manifests", "git"],
    queryFn: ({ signal }) => api.getManifests(name, { source: "git" }, { signal }),
  });
}

/** One object as its cluster has it; read again whenever something of the application changes. */
export function liveQuery(name: string, object: ObjectKey) {
  const { group, kind, namespace, name: objectName } = object;
  const key: ObjectKey = { group, kind, namespace, name: objectName };
  return queryOptions({
    queryKey: ["applications", "detail", name, "live", key],
    queryFn: ({ signal }) => api.getResource(name, named(key), { signal }),
  });
}

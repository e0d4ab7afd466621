import { queryOptions, useQuery } from "@tanstack/react-query";
import type { OperationInfo, OperationSpec, ResourcesAnswer } from "../../../api/types";
import { api, idempotencyKey, Problem } from "../../../client";
import { isOpen } from "../facets";
import { isNoPlan, type Plan, planOf } from "./plan";

/** An operation and its results. Events keep it fresh; should one be lost, it is looked at every 5 s until it ends. */
export function operationQuery(name: string, id: string) {
  return queryOptions({
    queryKey: ["applications", "detail", name, "operation", id],
    queryFn: ({ signal }) => api.getOperation(id, { signal }),
    refetchInterval: (q) => (q.state.data !== undefined && !isOpen(q.state.data) ? false : 5000),
    staleTime: 0,
  });
}

interface Begun {
  before: ResourcesAnswer;
  operation: OperationInfo;
}

/** A dry run of a sync, begun once; `attempt` begins another. It writes nothing. */
function dryRunQuery(name: string, spec: OperationSpec, attempt: number) {
  return queryOptions({
    queryKey: ["applications", "plan", name, spec, attempt],
    queryFn: async ({ signal }): Promise<Begun> => {
      const before = await api.listResources(name, {}, { signal });
      const operation = await api.syncApplication(
        name,
        { ...spec, dryRun: true, revision: before.revision },
        {},
        { signal, idempotencyKey: idempotencyKey() },
      );
      return { before, operation };
    },
    meta: { live: "manual" },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    retry: false,
  });
}

/** What the plan was made of, after the dry run has ended. */
function afterQuery(name: string, operation: string) {
  return queryOptions({
    queryKey: ["applications", "plan", name, "after", operation],
    queryFn: ({ signal }) => api.listResources(name, {}, { signal }),
    meta: { live: "manual" },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
}

export type Planning =
  | { phase: "asking"; operation?: OperationInfo }
  | { phase: "failed"; error: unknown }
  /** What it was made of has moved meanwhile. */
  | { phase: "moved" }
  | { phase: "planned"; plan: Plan };

/** The plan of a sync: the agent tries it at the API server, which writes nothing. */
export function usePlan(name: string, spec: OperationSpec, attempt: number, active: boolean): Planning {
  const begun = useQuery({ ...dryRunQuery(name, spec, attempt), enabled: active });
  const id = begun.data?.operation.id;
  const operation = useQuery({ ...operationQuery(name, id ?? ""), enabled: active && id !== undefined });
  const ended = operation.data !== undefined && !isOpen(operation.data);
  const after = useQuery({ ...afterQuery(name, id ?? ""), enabled: active && ended });
  const error = begun.error ?? operation.error ?? after.error;
  if (error !== null) return { phase: "failed", error };
  if (begun.data === undefined || operation.data === undefined || !ended || after.data === undefined)
    return { phase: "asking", operation: operation.data ?? begun.data?.operation };
  if (operation.data.phase === "Superseded" || begun.data.before.state !== after.data.state) return { phase: "moved" };
  if (isNoPlan(operation.data))
    return {
      phase: "failed",
      error: new Problem({
        code: "plan_failed",
        status: 502,
        detail: operation.data.message || operation.data.phase,
      }),
    };
  return { phase: "planned", plan: planOf(operation.data, after.data) };
}

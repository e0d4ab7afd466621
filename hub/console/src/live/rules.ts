import type { Query, QueryClient, QueryKey } from "@tanstack/react-query";
import type { LiveEvent, LiveType } from "./connection";

declare module "@tanstack/react-query" {
  interface Register {
    queryMeta: {
      /** "manual": events do not invalidate it; the view listens with useLive and decides. */
      live?: "manual";
    };
  }
}

/** The first part of query keys that an event is about. */
export const nounOf: Record<LiveType, string> = {
  application: "applications",
  applicationset: "applicationsets",
  cluster: "clusters",
  job: "jobs",
  operation: "operations",
  project: "projects",
  repository: "repositories",
  settings: "settings",
};

/** What else is counted anew when something of a kind changes. */
const alsoOf: Partial<Record<LiveType, string[]>> = {
  application: ["fleet"],
  cluster: ["fleet"],
  operation: ["applications"],
};

const listEvery = 2000;

function nameOf(e: LiveEvent): string {
  const d = (e.data ?? {}) as { name?: unknown; id?: unknown; metadata?: { name?: unknown }; application?: unknown };
  if (e.type === "operation") return String(d.application ?? "");
  return String(d.name ?? d.metadata?.name ?? d.id ?? "");
}

/**
 * Turns frames into invalidated queries: keys [noun, "detail", name, …] of the thing
 * itself at once, everything else of the noun at most every two seconds.
 */
export function liveInvalidator(client: QueryClient): (events: LiveEvent[]) => void {
  const due = new Map<string, ReturnType<typeof setTimeout>>();
  const last = new Map<string, number>();
  const hears = (q: Query) => q.meta?.live !== "manual";
  const lists = (noun: string) => {
    if (due.has(noun)) return;
    const wait = Math.max(0, (last.get(noun) ?? 0) + listEvery - Date.now());
    due.set(
      noun,
      setTimeout(() => {
        due.delete(noun);
        last.set(noun, Date.now());
        void client.invalidateQueries({
          queryKey: [noun],
          predicate: (q: Query<unknown, Error, unknown, QueryKey>) => q.queryKey[1] !== "detail" && hears(q),
        });
      }, wait),
    );
  };
  return (events) => {
    for (const e of events) {
      const noun = nounOf[e.type];
      if (noun === undefined) continue; // of a newer hub
      const name = nameOf(e);
      if (name !== "")
        void client.invalidateQueries({
          queryKey: [e.type === "operation" ? "applications" : noun, "detail", name],
          predicate: hears,
        });
      lists(noun);
      for (const also of alsoOf[e.type] ?? []) lists(also);
    }
  };
}

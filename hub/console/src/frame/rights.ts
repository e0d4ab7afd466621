import type { QueryClient } from "@tanstack/react-query";
import { api } from "../client";
import type { PaletteEntry } from "../ui/paletteSource";
import { callerQuery } from "./queries";

type Needs = NonNullable<PaletteEntry["needs"]>;

/** Whether somebody may do something, as the hub decides it; asked once a minute at most. */
async function may(client: QueryClient, { verb, resource, object }: Needs): Promise<boolean> {
  try {
    return await client.fetchQuery({
      queryKey: ["session", "can", verb, resource, object],
      queryFn: async ({ signal }) => (await api.canI({ verb, resource, object }, { signal })).allowed,
      staleTime: 60_000,
      retry: false,
    });
  } catch {
    return true; // the hub decides again when it is done
  }
}

/** Those of the entries that the person may do. Of administrators nothing is asked. */
export async function permitted(client: QueryClient, entries: readonly PaletteEntry[]): Promise<PaletteEntry[]> {
  if (entries.every((e) => e.needs === undefined)) return [...entries];
  if ((await client.ensureQueryData(callerQuery).catch(() => undefined))?.admin === true) return [...entries];
  const allowed = await Promise.all(entries.map((e) => e.needs === undefined || may(client, e.needs)));
  return entries.filter((_, i) => allowed[i] === true);
}

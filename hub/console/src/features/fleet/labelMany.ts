// Labels of many clusters at once, by the route of one: each against its version.
import { api, Problem } from "../../client";

/** A label to be set, or to be removed. */
export interface LabelChange {
  key: string;
  /** undefined: it is removed. */
  value: string | undefined;
}

/** How many clusters are changed at once, and side by side. */
export const mostAtOnce = 200;
const sideBySide = 4;

/** What would become of a cluster. */
export interface Looked {
  name: string;
  labels: Record<string, string>;
  etag: string | undefined;
  invalid: number;
  valid: number;
}

/** A cluster that was not looked at or not changed, and why. */
export interface Failed {
  name: string;
  problem: Problem;
}

/** Does something for each name, some side by side; the first alone, in case a password is asked for. */
async function forEach<T>(
  names: readonly T[],
  nameOf: (x: T) => string,
  run: (x: T) => Promise<void>,
  onDone: (done: number) => void,
  signal: AbortSignal,
): Promise<Failed[]> {
  const failed: Failed[] = [];
  let next = 0;
  let done = 0;
  const one = async () => {
    const x = names[next++];
    if (x === undefined || signal.aborted) return false;
    try {
      await run(x);
    } catch (e) {
      failed.push({ name: nameOf(x), problem: Problem.of(e) });
    }
    onDone(++done);
    return true;
  };
  if (!(await one())) return failed;
  const worker = async () => {
    while (await one());
  };
  await Promise.all(Array.from({ length: sideBySide }, worker));
  return failed;
}

export function changedLabels(old: Record<string, string>, { key, value }: LabelChange): Record<string, string> {
  const { [key]: _, ...rest } = old;
  return value === undefined ? rest : { ...rest, [key]: value };
}

/** What a change means for each cluster; those that are so already are left out of `changing`. */
export async function lookAt(
  names: readonly string[],
  change: LabelChange,
  onDone: (done: number) => void,
  signal: AbortSignal,
): Promise<{ changing: Looked[]; same: number; failed: Failed[] }> {
  const changing: Looked[] = [];
  let same = 0;
  const look = async (name: string) => {
    const { value: cluster, etag } = await api.getCluster(name, { signal });
    const labels = changedLabels(cluster.labels ?? {}, change);
    if (cluster.labels?.[change.key] === change.value) {
      same++;
      return;
    }
    const preview = await api.setClusterLabels(name, { labels }, { dryRun: true }, { signal });
    const { invalidCount = 0, validCount = 0 } = preview.value as unknown as {
      invalidCount?: number;
      validCount?: number;
    };
    changing.push({ name, labels, etag, invalid: invalidCount, valid: validCount });
  };
  const failed = await forEach(names, (n) => n, look, onDone, signal);
  return { changing: changing.sort((a, b) => (a.name < b.name ? -1 : 1)), same, failed };
}

/** Stores it, each against the version that was looked at. */
export function labelAll(
  looked: readonly Looked[],
  onDone: (done: number) => void,
  signal: AbortSignal,
): Promise<Failed[]> {
  return forEach(
    looked,
    (x) => x.name,
    async (x) => void (await api.setClusterLabels(x.name, { labels: x.labels }, {}, { ifMatch: x.etag, signal })),
    onDone,
    signal,
  );
}

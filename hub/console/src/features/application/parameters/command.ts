import type { Source } from "../../../api/types";
import { cli } from "../../../ui/shell";
import {
  type Draft,
  type Drafted,
  type Field,
  isSet,
  nameOf,
  type Place,
  type Row,
  read,
  same,
  type Tool,
  tidy,
  write,
} from "./fields";

/** Words for `hawser app set` and `hawser app unset`. */
interface Words {
  set: string[];
  unset: string[];
}

const rowsOf = (d: Drafted) => (Array.isArray(d) ? (d as readonly Row[]) : []);

/** What a change is called on the command line; undefined: it has no flags for it. */
function wordsOf(f: Field, before: Drafted, after: Drafted): Words | undefined {
  const set = f.set === undefined ? undefined : `--${f.set}`;
  const unset = f.unset === undefined ? undefined : `--${f.unset}`;
  if (f.kind === "switch")
    return set === undefined ? undefined : { set: [after === true ? set : `${set}=false`], unset: [] };
  if (f.kind === "text") return set === undefined ? undefined : { set: [set, String(after)], unset: [] };
  if (f.kind === "block") {
    if (set === undefined || unset === undefined || f.file === undefined) return undefined;
    return isSet(after) ? { set: [set, f.file], unset: [] } : { set: [], unset: [unset] };
  }
  const [old, now] = [rowsOf(before), rowsOf(after)];
  if (f.whole === true) {
    if (now.length > 0) return set === undefined ? undefined : { set: now.flatMap((r) => [set, r.value]), unset: [] };
    return unset === undefined ? undefined : { set: [], unset: old.flatMap((r) => [unset, r.value]) };
  }
  const key = (r: Row) => (f.entries?.named === true ? r.name : (f.key?.(r.value) ?? r.value));
  const plain = (rows: readonly Row[]) =>
    new Set(rows.map(key)).size === rows.length && rows.every((r) => r.name !== "" || f.entries?.named !== true);
  if (!plain(old) || !plain(now)) return undefined;
  const words: Words = { set: [], unset: [] };
  for (const r of old) {
    if (now.some((x) => key(x) === key(r))) continue;
    if (unset === undefined) return undefined;
    words.unset.push(unset, key(r));
  }
  for (const r of now) {
    if (old.some((x) => same([x], [r]))) continue;
    const flag = r.mark === true && f.setMarked !== undefined ? `--${f.setMarked}` : set;
    const texts = r.fixed === undefined && r.patch === undefined && r.shape === undefined;
    if (flag === undefined || !texts || r.name.includes("=")) return undefined;
    words.set.push(flag, f.entries?.named === true ? `${r.name}=${r.value}` : r.value);
  }
  return words;
}

/**
 * The command that changes a source as the form does. What `set` and `unset` have no
 * flags for is said as a patch.
 */
export function commandOf(
  app: string,
  place: Place,
  tool: Tool | undefined,
  of: readonly Field[],
  draft: Draft,
): string {
  const changed = of
    .map((f) => ({ f, before: read(place.source, f), after: tidy(draft[nameOf(f)] ?? read(place.source, f)) }))
    .filter((c) => !same(c.before, c.after));
  const words = changed.map((c) => wordsOf(c.f, c.before, c.after));
  if (place.dry === true || words.includes(undefined)) return patchOf(app, place, tool, write(place.source, of, draft));
  const which = place.position === undefined ? [] : ["--source-position", String(place.position)];
  const set = words.flatMap((w) => w?.set ?? []);
  const unset = words.flatMap((w) => w?.unset ?? []);
  return [
    unset.length > 0 && cli("hawser", "app", "unset", app, ...which, ...unset),
    (set.length > 0 || unset.length === 0) && cli("hawser", "app", "set", app, ...which, ...set),
  ]
    .filter((c) => c !== false)
    .join(" && ");
}

function patchOf(app: string, place: Place, tool: Tool | undefined, after: Source): string {
  // The templates of Jinja2 are chosen by the options of a directory.
  const sections = tool === "jinja" ? (["jinja", "directory"] as const) : tool === undefined ? [] : [tool];
  const patch = sections
    .filter((s) => JSON.stringify(after[s]) !== JSON.stringify(place.source[s]))
    .map((s) =>
      after[s] === undefined
        ? { op: "remove", path: `${place.pointer}/${s}` }
        : { op: "add", path: `${place.pointer}/${s}`, value: after[s] },
    );
  return cli("hawser", "app", "patch", app, "--patch", JSON.stringify(patch));
}

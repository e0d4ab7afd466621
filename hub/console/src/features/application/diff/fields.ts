import type { FieldDifference, IgnoreDifferences, ObjectKey } from "../../../api/types";

/** A step of a path that an agent tells: a field, a place in a list, or the item of a list with these keys or this value. */
export type Step = { field: string } | { index: number } | { keys: [string, string][] } | { value: string };

/** The steps of a path such as .spec.containers[name=web].ports[0] or .data["a.b"]; undefined when it is none. */
export function stepsOf(path: string): Step[] | undefined {
  const out: Step[] = [];
  let rest = path;
  while (rest !== "") {
    const field = /^\.([\w$-]+)/.exec(rest);
    const quoted = /^\[("(?:[^"\\]|\\.)*")\]/.exec(rest);
    const index = /^\[(\d+)\](?=[.[]|$)/.exec(rest);
    const item = /^\[([^\]]*)\](?=[.[]|$)/.exec(rest);
    if (field?.[1] !== undefined) {
      out.push({ field: field[1] });
      rest = rest.slice(field[0].length);
    } else if (quoted?.[1] !== undefined) {
      try {
        out.push({ field: JSON.parse(quoted[1]) as string });
      } catch {
        return undefined;
      }
      rest = rest.slice(quoted[0].length);
    } else if (index?.[1] !== undefined) {
      out.push({ index: Number(index[1]) });
      rest = rest.slice(index[0].length);
    } else if (item?.[1] !== undefined && item[1] !== "") {
      const pairs = item[1].split(/,(?=[\w-]+=)/).map((p) => /^([\w-]+)=(.*)$/s.exec(p));
      if (pairs.every((p) => p !== null))
        out.push({ keys: pairs.map((p) => [p?.[1] ?? "", p?.[2] ?? ""] as [string, string]) });
      else out.push({ value: item[1] });
      rest = rest.slice(item[0].length);
    } else return undefined;
  }
  return out.length === 0 ? undefined : out;
}

/** The rule with which an application ignores a field of one object; undefined when no rule can say it. */
export function ignoreRule(object: ObjectKey, path: string): IgnoreDifferences | undefined {
  const steps = stepsOf(path);
  if (steps === undefined) return undefined;
  const rule: IgnoreDifferences = {
    group: object.group,
    kind: object.kind,
    name: object.name,
    namespace: object.namespace,
  };
  if (steps.every((s) => "field" in s || "index" in s)) {
    const pointer = steps
      .map((s) => ("field" in s ? s.field.replaceAll("~", "~0").replaceAll("/", "~1") : "index" in s ? s.index : ""))
      .join("/");
    return { ...rule, jsonPointers: [`/${pointer}`] };
  }
  let expression = "";
  for (const s of steps) {
    const last = expression === "" || expression.endsWith("| ");
    if ("field" in s)
      expression += /^[A-Za-z_]\w*$/.test(s.field) ? `.${s.field}` : `${last ? "." : ""}[${quote(s.field)}]`;
    else if ("index" in s) expression += `${last ? "." : ""}[${s.index}]`;
    else {
      const condition =
        "value" in s
          ? `tostring == ${quote(s.value)}`
          : s.keys
              .map(([k, v]) => `(.${/^[A-Za-z_]\w*$/.test(k) ? k : quote(k)} | tostring) == ${quote(v)}`)
              .join(" and ");
      expression += `${last ? "." : ""}[] | select(${condition}) | `;
    }
  }
  return { ...rule, jqPathExpressions: [expression.replace(/ \| $/, "")] };
}

/** A string of jq: that of JSON, but that \( would be code in it. A backslash of JSON is always doubled, so it is none. */
function quote(text: string): string {
  return JSON.stringify(text);
}

/** The change of an application that ignores a field, as a JSON patch. */
export function ignorePatch(rule: IgnoreDifferences, has: boolean): string {
  return JSON.stringify([
    has
      ? { op: "add", path: "/spec/ignoreDifferences/-", value: rule }
      : { op: "add", path: "/spec/ignoreDifferences", value: [rule] },
  ]);
}

type Value = unknown;
type Fields = Record<string, Value>;

function isFields(v: Value): v is Fields {
  return v !== null && typeof v === "object" && !Array.isArray(v);
}

const listKeys = ["name", "mountPath", "containerPort", "port", "key", "type", "ip", "topologyKey"];

/** The item of a live list that is meant by one of the desired: the one with the same key, else at the same place. */
function counterpart(item: Value, at: number, list: readonly Value[]): Value {
  if (isFields(item))
    for (const key of listKeys)
      if (item[key] !== undefined) {
        const found = list.find((x) => isFields(x) && x[key] === item[key]);
        if (found !== undefined) return found;
      }
  return list[at];
}

/**
 * A live object without what nobody asked for: defaults and what controllers fill in.
 * Lists of things with names have the order of the desired ones; what is in them besides
 * stays, since somebody has put it there.
 */
export function narrowed(live: Value, desired: Value): Value {
  if (isFields(live) && isFields(desired)) {
    const out: Fields = {};
    for (const key of Object.keys(desired)) if (key in live) out[key] = narrowed(live[key], desired[key]);
    return out;
  }
  if (Array.isArray(live) && Array.isArray(desired)) {
    const used = new Set<Value>();
    const out: Value[] = [];
    desired.forEach((item, i) => {
      const found = counterpart(item, i, live);
      if (found === undefined || (used.has(found) && isFields(found))) return;
      used.add(found);
      out.push(narrowed(found, item));
    });
    if (live.every(isFields)) out.push(...live.filter((x) => !used.has(x)));
    else return live;
    return out;
  }
  return live;
}

/** A desired or live object without what is no part of a comparison. */
function bare(object: Value): Value {
  if (!isFields(object)) return object;
  const { status: _, metadata, ...rest } = object;
  if (!isFields(metadata)) return rest;
  const {
    managedFields: _m,
    resourceVersion: _r,
    uid: _u,
    generation: _g,
    creationTimestamp: _c,
    selfLink: _s,
    ...meta
  } = metadata;
  const { apiVersion, kind, ...others } = rest;
  return { apiVersion, kind, metadata: meta, ...others };
}

/** Keys in one order, so that objects differ only where their values do. */
function ordered(desired: Value, other: Value): Value {
  if (isFields(desired) && isFields(other)) {
    const out: Fields = {};
    for (const k of Object.keys(desired)) if (k in other) out[k] = ordered(desired[k], other[k]);
    for (const k of Object.keys(other)) if (!(k in desired)) out[k] = other[k];
    return out;
  }
  if (Array.isArray(desired) && Array.isArray(other)) return other.map((x, i) => ordered(desired[i], x));
  return other;
}

const masked = /^redacted:[0-9a-f]*$/;

/**
 * Masks of values of Secrets, which hub and agent make with keys of their own: they
 * say nothing about each other. Whether a value differs the agent has said.
 */
function unmasked(value: Value, path: string, differ: ReadonlySet<string>, mark: string): Value {
  if (typeof value === "string") return masked.test(value) ? `••••••${differ.has(path) ? ` ${mark}` : ""}` : value;
  if (Array.isArray(value)) return value.map((x, i) => unmasked(x, `${path}/${i}`, differ, mark));
  if (isFields(value))
    return Object.fromEntries(
      Object.entries(value).map(([k, v]) => [k, unmasked(v, `${path}/${k}`, differ, mark)] as const),
    );
  return value;
}

/** Places of differences, as fields joined by slashes; of stringData also as data, where the cluster has it. */
function places(differences: readonly FieldDifference[]): Set<string> {
  const out = new Set<string>();
  for (const d of differences) {
    const steps = stepsOf(d.path);
    if (steps === undefined) continue;
    const text = steps.map((s) => ("field" in s ? `/${s.field}` : "index" in s ? `/${s.index}` : "/?")).join("");
    out.add(text);
    out.add(text.replace(/^\/data\//, "/stringData/"));
    out.add(text.replace(/^\/stringData\//, "/data/"));
  }
  return out;
}

/** Both sides of an object as they are compared by people. */
export function sides(
  desired: Value,
  live: Value,
  differences: readonly FieldDifference[],
  options: { whole: boolean; marks: readonly [string, string] },
): { desired: Value; live: Value } {
  const differ = places(differences);
  const d = desired === undefined ? undefined : bare(desired);
  let l = live === undefined ? undefined : bare(live);
  if (d !== undefined && l !== undefined) l = options.whole ? ordered(d, l) : narrowed(l, d);
  return {
    desired: d === undefined ? undefined : unmasked(d, "", differ, options.marks[0]),
    live: l === undefined ? undefined : unmasked(l, "", differ, options.marks[1]),
  };
}

/** An object of a list of manifests by its identity; a namespace that one of them leaves out does not tell them apart. */
export function find(items: readonly unknown[], key: ObjectKey): unknown {
  return items.find((x) => {
    if (!isFields(x) || x.kind !== key.kind || !isFields(x.metadata)) return false;
    const group = typeof x.apiVersion === "string" && x.apiVersion.includes("/") ? x.apiVersion.split("/")[0] : "";
    return (
      (group ?? "") === (key.group ?? "") &&
      x.metadata.name === key.name &&
      (x.metadata.namespace === undefined || key.namespace === undefined || x.metadata.namespace === key.namespace)
    );
  });
}

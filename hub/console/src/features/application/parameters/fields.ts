import type { Application, Source } from "../../../api/types";
import type { MessageKey } from "../../../i18n";
import { toYAML } from "../../../ui/yaml";

/** What renders a source; one has options of one of them. */
export const tools = ["helm", "kustomize", "directory", "jinja", "plugin"] as const;
export type Tool = (typeof tools)[number];

/** One entry of a list, or of names with values. */
export interface Row {
  name: string;
  value: string;
  /** What the check box of the row says: that it stays a string, that it is code. */
  mark?: boolean;
  /** What a patch changes, and how; the patch itself is the value. */
  patch?: PatchOf;
  /** A list, or names with values, in place of the value. */
  shape?: "array" | "map";
  items?: readonly Row[];
  /** An entry that a form cannot hold: it is shown as YAML, and can only be removed. */
  fixed?: unknown;
}

export const targets = [
  "kind",
  "name",
  "namespace",
  "group",
  "version",
  "labelSelector",
  "annotationSelector",
] as const;
export const patchOptions = ["allowNameChange", "allowKindChange"] as const;

export interface PatchOf {
  /** The value is the path of a file, not the patch. */
  file: boolean;
  target: Readonly<Partial<Record<(typeof targets)[number], string>>>;
  options: Readonly<Record<string, boolean>>;
}

/** A field as it is in a form. */
export type Drafted = string | boolean | readonly Row[];
export type Draft = Readonly<Record<string, Drafted>>;

/** Entries of a list as they are in the source, and as rows. */
interface Entries {
  /** Entries have names; else they are values alone. */
  named: boolean;
  /** The words of the check box. */
  mark?: MessageKey;
  /** What a new row begins with. */
  blank?: Row;
  rows: (stored: unknown) => Row[];
  stored: (rows: readonly Row[]) => unknown;
}

/** The flags of `hawser app set` and `hawser app unset`. */
export interface Flags {
  set?: string;
  /** In place of `set` for rows with the mark. */
  setMarked?: string;
  unset?: string;
  /** set replaces the whole list. */
  whole?: boolean;
  /** The text is read from a file of this name. */
  file?: string;
  /** What of an entry names it, where that is not its name. */
  key?: (value: string) => string;
}

export interface Field extends Flags {
  id: string;
  tool: Tool;
  /** Below the source. */
  path: readonly string[];
  kind: "text" | "block" | "switch" | "rows";
  entries?: Entries;
  /** Few need it. */
  rare?: boolean;
  placeholder?: string;
}

const list = (stored: unknown) => (Array.isArray(stored) ? stored : []) as unknown[];
const text = (x: unknown) => (typeof x === "string" ? x : x === undefined || x === null ? "" : String(x));
const record = (x: unknown) => (x ?? {}) as Record<string, unknown>;

const values: Entries = {
  named: false,
  rows: (stored) => list(stored).map((value) => ({ name: "", value: text(value) })),
  stored: (rows) => rows.map((r) => r.value),
};
const map: Entries = {
  named: true,
  rows: (stored) => Object.entries(record(stored)).map(([name, value]) => ({ name, value: text(value) })),
  stored: (rows) => Object.fromEntries(rows.map((r) => [r.name, r.value])),
};

/** Objects with a name, a value, and perhaps a mark, under the keys that they have. */
function objects(value: string, mark?: { key: string; words: MessageKey }): Entries {
  return {
    named: true,
    mark: mark?.words,
    rows: (stored) =>
      list(stored).map((x) => ({
        name: text(record(x).name),
        value: text(record(x)[value]),
        ...(mark !== undefined && { mark: record(x)[mark.key] === true }),
      })),
    stored: (rows) =>
      rows.map((r) => ({
        name: r.name,
        [value]: r.value,
        ...(mark !== undefined && r.mark === true && { [mark.key]: true }),
      })),
  };
}

const replicas: Entries = {
  ...objects("count"),
  stored: (rows) =>
    rows.map((r) => ({ name: r.name, count: /^[0-9]{1,9}$/.test(r.value) ? Number(r.value) : r.value })),
};
/** A parameter is a text, a list or names with values; one that is several at once is left alone. */
const pluginParameters: Entries = {
  named: true,
  rows: (stored) =>
    list(stored).map((x) => {
      const p = record(x);
      const row = { name: text(p.name), value: text(p.string) };
      if (p.array === undefined && p.map === undefined) return row;
      if (p.string !== undefined || (p.array !== undefined && p.map !== undefined)) return { ...row, fixed: x };
      return p.map === undefined
        ? { ...row, shape: "array" as const, items: values.rows(p.array) }
        : { ...row, shape: "map" as const, items: map.rows(p.map) };
    }),
  stored: (rows) =>
    rows.map((r) => {
      if (r.fixed !== undefined) return r.fixed;
      if (r.shape === undefined) return { name: r.name, string: r.value };
      return { name: r.name, [r.shape]: itemsOf(r.shape).stored(r.items ?? []) };
    }),
};

/** The entries within a parameter of a plugin. */
export const itemsOf = (shape: "array" | "map"): Entries => (shape === "array" ? values : map);

const blankPatch: PatchOf = { file: false, target: {}, options: {} };

const patches: Entries = {
  named: false,
  blank: { name: "", value: "", patch: blankPatch },
  rows: (stored) =>
    list(stored).map((x) => {
      const p = record(x);
      if ((text(p.patch) === "") === (text(p.path) === "")) return { name: "", value: "", fixed: x };
      const target = record(p.target) as PatchOf["target"];
      const file = text(p.path) !== "";
      return {
        ...{ name: "", value: text(file ? p.path : p.patch) },
        patch: { file, target, options: record(p.options) as PatchOf["options"] },
      };
    }),
  stored: (rows) =>
    rows.map((r) => {
      if (r.patch === undefined) return r.fixed;
      const target = Object.fromEntries(Object.entries(r.patch.target).filter(([, v]) => v !== ""));
      return {
        [r.patch.file ? "path" : "patch"]: r.value,
        ...(Object.keys(target).length > 0 && { target }),
        ...(Object.keys(r.patch.options).length > 0 && { options: r.patch.options }),
      };
    }),
};

/** The image that an override of a kustomization is of: what is before "=", else the image without tag and digest. */
export function imageName(image: string): string {
  const at = image.indexOf("=");
  if (at >= 0) return image.slice(0, at);
  const name = image.replace(/@.*$/, "");
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/") ? name.slice(0, colon) : name;
}

const isString = { key: "forceString", words: "parameters.mark.string" } as const;
const isCode = { key: "code", words: "parameters.mark.code" } as const;

function of(tool: Tool, fields: readonly Omit<Field, "tool" | "path">[], below: readonly string[] = []): Field[] {
  return fields.map((f) => ({ ...f, tool, path: [tool, ...below, f.id] }));
}

/** Every parameter of a source, in the order of the page. */
export const fields: readonly Field[] = [
  ...of("helm", [
    {
      id: "valueFiles",
      kind: "rows",
      entries: values,
      set: "values",
      unset: "values",
      whole: true,
      placeholder: "values-prod.yaml",
    },
    { id: "values", kind: "block", set: "values-literal-file", unset: "values-literal", file: "values.yaml" },
    {
      ...{ id: "parameters", kind: "rows", entries: objects("value", isString), placeholder: "image.tag" },
      ...{ set: "helm-set", setMarked: "helm-set-string", unset: "parameter" },
    },
    { id: "fileParameters", kind: "rows", entries: objects("path"), set: "helm-set-file", rare: true },
    { id: "releaseName", kind: "text", set: "release-name" },
    { id: "namespace", kind: "text", set: "helm-namespace", rare: true },
    { id: "kubeVersion", kind: "text", set: "helm-kube-version", rare: true },
    { id: "apiVersions", kind: "rows", entries: values, set: "helm-api-versions", whole: true, rare: true },
    { id: "ignoreMissingValueFiles", kind: "switch", set: "ignore-missing-value-files", rare: true },
    { id: "skipCrds", kind: "switch", set: "helm-skip-crds", rare: true },
    { id: "skipTests", kind: "switch", set: "helm-skip-tests", rare: true },
    { id: "skipSchemaValidation", kind: "switch", set: "helm-skip-schema-validation", rare: true },
    { id: "passCredentials", kind: "switch", set: "helm-pass-credentials", rare: true },
  ]),
  ...of("kustomize", [
    {
      ...{ id: "images", kind: "rows", entries: values, placeholder: "registry.example/web:v2" },
      ...{ set: "kustomize-image", unset: "kustomize-image", key: imageName },
    },
    {
      id: "replicas",
      kind: "rows",
      entries: replicas,
      set: "kustomize-replica",
      unset: "kustomize-replica",
      placeholder: "web",
    },
    { id: "namePrefix", kind: "text", set: "nameprefix" },
    { id: "nameSuffix", kind: "text", set: "namesuffix" },
    { id: "namespace", kind: "text", set: "kustomize-namespace" },
    { id: "components", kind: "rows", entries: values, set: "kustomize-component", whole: true, rare: true },
    { id: "commonLabels", kind: "rows", entries: map, set: "kustomize-common-label", rare: true },
    { id: "commonAnnotations", kind: "rows", entries: map, set: "kustomize-common-annotation", rare: true },
    { id: "patches", kind: "rows", entries: patches, rare: true },
    { id: "forceCommonLabels", kind: "switch", set: "kustomize-force-common-label", rare: true },
    { id: "forceCommonAnnotations", kind: "switch", set: "kustomize-force-common-annotation", rare: true },
    { id: "commonAnnotationsEnvsubst", kind: "switch", rare: true },
    { id: "labelWithoutSelector", kind: "switch", set: "kustomize-label-without-selector", rare: true },
    { id: "labelIncludeTemplates", kind: "switch", set: "kustomize-label-include-templates", rare: true },
    { id: "ignoreMissingComponents", kind: "switch", set: "ignore-missing-components", rare: true },
    { id: "kubeVersion", kind: "text", set: "kustomize-kube-version", rare: true },
    { id: "apiVersions", kind: "rows", entries: values, set: "kustomize-api-versions", whole: true, rare: true },
  ]),
  ...of("directory", [
    { id: "recurse", kind: "switch", set: "directory-recurse" },
    { id: "include", kind: "text", set: "directory-include", placeholder: "*.yaml" },
    { id: "exclude", kind: "text", set: "directory-exclude", placeholder: "{config.yaml,tests/*}" },
    { id: "disableExtensionFilter", kind: "switch", rare: true },
  ]),
  ...of(
    "directory",
    [
      {
        id: "tlas",
        kind: "rows",
        entries: objects("value", isCode),
        set: "jsonnet-tla-str",
        setMarked: "jsonnet-tla-code",
      },
      {
        ...{ id: "extVars", kind: "rows", entries: objects("value", isCode) },
        ...{ set: "jsonnet-ext-var-str", setMarked: "jsonnet-ext-var-code" },
      },
      { id: "libs", kind: "rows", entries: values, set: "jsonnet-libs", whole: true },
    ],
    ["jsonnet"],
  ),
  ...of("jinja", [
    {
      id: "valueFiles",
      kind: "rows",
      entries: values,
      set: "jinja-values",
      whole: true,
      placeholder: "values-prod.yaml",
    },
    { id: "values", kind: "block" },
    { id: "ignoreMissingValueFiles", kind: "switch", rare: true },
  ]),
  ...of("plugin", [
    { id: "name", kind: "text", set: "config-management-plugin" },
    { id: "parameters", kind: "rows", entries: pluginParameters, set: "plugin-parameter" },
    {
      id: "env",
      kind: "rows",
      entries: objects("value"),
      set: "plugin-env",
      unset: "plugin-env",
      placeholder: "STAGE",
    },
  ]),
];

/** The name of a field within its source: "helm.valueFiles". */
export const nameOf = (f: Field) => f.path.join(".");

/** A source of an application, and where in the application it is. */
export interface Place {
  source: Source;
  /** As the hub names it in problems: "spec.source", "spec.sources[1]". */
  field: string;
  /** As a JSON patch names it. */
  pointer: string;
  /** From 1, of several. */
  position?: number;
  /** It is rendered into a branch, from which the application is synced. */
  dry?: boolean;
}

/** Where all manifests of an application come from. */
export function placesOf(app: Application | undefined): Place[] {
  const spec = app?.spec;
  if (spec === undefined) return [];
  if (spec.sourceHydrator !== undefined) {
    const place = { field: "spec.sourceHydrator.drySource", pointer: "/spec/sourceHydrator/drySource", dry: true };
    return [{ source: spec.sourceHydrator.drySource, ...place }];
  }
  if ((spec.sources ?? []).length > 0)
    return (spec.sources ?? []).map((source, i) => ({
      ...{ source, position: i + 1 },
      ...{ field: `spec.sources[${i}]`, pointer: `/spec/sources/${i}` },
    }));
  return spec.source === undefined ? [] : [{ source: spec.source, field: "spec.source", pointer: "/spec/source" }];
}

/** An application with another source in a place. */
export function withSource(app: Application, place: Place, source: Source): Application {
  const spec = { ...app.spec };
  if (place.dry === true && spec.sourceHydrator !== undefined)
    spec.sourceHydrator = {
      ...spec.sourceHydrator,
      drySource: { ...spec.sourceHydrator.drySource, ...source } as typeof spec.sourceHydrator.drySource,
    };
  else if (place.position !== undefined)
    spec.sources = (spec.sources ?? []).map((s, i) => (i + 1 === place.position ? source : s));
  else spec.source = source;
  return { ...app, status: undefined, spec };
}

/** The tool that the options of a source are of; undefined: it has none, and the hub looks what its files are. */
export function toolOf(source: Source): Tool | undefined {
  // The options of a directory also choose the templates of Jinja2.
  const set = tools.filter((t) => source[t] !== undefined);
  if (set.includes("jinja")) return "jinja";
  return set[0] ?? (source.chart ? "helm" : undefined);
}

/** The fields of a tool. */
export function fieldsOf(tool: Tool | undefined): readonly Field[] {
  if (tool === undefined) return [];
  return fields.filter((f) => f.tool === tool || (tool === "jinja" && f.tool === "directory" && f.path.length === 2));
}

function stored(source: Source, path: readonly string[]): unknown {
  let at: unknown = source;
  for (const key of path) at = record(at)[key];
  return at;
}

const hasValues = (f: Field) => f.id === "values";

/** What a source has in a field. */
export function read(source: Source, f: Field): Drafted {
  const value = stored(source, f.path);
  if (f.kind === "switch") return value === true;
  if (f.entries !== undefined) return f.entries.rows(value);
  if (hasValues(f)) {
    const object = stored(source, [f.tool, "valuesObject"]); // it replaces the text
    if (object !== undefined && object !== null) return toYAML(object);
  }
  return text(value);
}

export function draftOf(source: Source, of: readonly Field[]): Draft {
  return Object.fromEntries(of.map((f) => [nameOf(f), read(source, f)]));
}

/** Whether something is set. */
export function isSet(d: Drafted | undefined): boolean {
  return d === undefined ? false : typeof d === "boolean" ? d : d.length > 0;
}

function isWritten(r: Row): boolean {
  if (r.name !== "" || r.value !== "" || (r.items ?? []).length > 0) return true;
  return Object.values(r.patch?.target ?? {}).some((v) => v !== "");
}

/** A field without the rows in which nothing is written. */
export function tidy(d: Drafted): Drafted {
  if (typeof d === "string" || typeof d === "boolean") return d;
  return d
    .map((r) => (r.items === undefined ? r : { ...r, items: r.items.filter(isWritten) }))
    .filter((r) => r.fixed !== undefined || isWritten(r));
}

export function same(a: Drafted | undefined, b: Drafted | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Sets a value below a source, or takes it away with what is empty then. */
function put(of: Record<string, unknown>, path: readonly string[], value: unknown): Record<string, unknown> {
  const [key, ...rest] = path as [string, ...string[]];
  const next = rest.length === 0 ? value : put(record(of[key]), rest, value);
  const out = { ...of };
  const empty = next === undefined || (rest.length > 0 && Object.values(next as object).every((x) => x === undefined));
  if (empty) delete out[key];
  else out[key] = next;
  return out;
}

/** A source after what was changed in a form; what was not is as it was stored. */
export function write(source: Source, of: readonly Field[], draft: Draft): Source {
  const before = draftOf(source, of);
  let out = source as unknown as Record<string, unknown>;
  for (const f of of) {
    const d = tidy(draft[nameOf(f)] ?? read(source, f));
    if (same(d, before[nameOf(f)])) continue;
    const value = !isSet(d) ? undefined : f.entries !== undefined ? f.entries.stored(d as readonly Row[]) : d;
    if (hasValues(f)) out = put(out, [f.tool, "valuesObject"], undefined);
    out = put(out, f.path, value);
  }
  return out as unknown as Source;
}

/** What somebody changed in a form over what was stored, put over what is stored now. */
export function rebase(draft: Draft, before: Draft, now: Draft): Draft {
  return Object.fromEntries(
    Object.entries(now).map(([name, d]) => [name, same(draft[name], before[name]) ? d : (draft[name] ?? d)]),
  );
}

/** One thing that the hub has against a form. */
export interface Mistake {
  /** The field, and of several rows which one. */
  name: string;
  row?: number;
  message: string;
}

/** What the hub says of the fields of a source, and whether all that it says is of them. */
export function mistakesOf(
  problems: readonly { field?: string; detail: string; fix?: string }[],
  place: Place,
  of: readonly Field[],
): { mistakes: Mistake[]; all: boolean } {
  const mistakes: Mistake[] = [];
  for (const p of problems) {
    if (p.field === undefined || !p.field.startsWith(`${place.field}.`)) continue;
    const within = p.field.slice(place.field.length + 1);
    const f = of.find(
      (x) => within === nameOf(x) || (/^[[.]/.test(within.slice(nameOf(x).length)) && within.startsWith(nameOf(x))),
    );
    if (f === undefined) continue;
    const row = /^\[([0-9]+)\]/.exec(within.slice(nameOf(f).length));
    mistakes.push({
      name: nameOf(f),
      row: row === null ? undefined : Number(row[1]),
      message: [p.detail, p.fix].filter(Boolean).join(" · "),
    });
  }
  return { mistakes, all: problems.length > 0 && mistakes.length === problems.length };
}

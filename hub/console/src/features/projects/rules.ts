// The lists of a project as tables of rules. A table may show several lists of the
// project, such as what is allowed and what is denied; each row knows where it is from.
import type {
  AppProjectSpec,
  DestinationServiceAccount,
  GitIntegrityPolicy,
  KindRule,
  ProjectDestination,
  ProjectRole,
  RuleCount,
  SyncWindow,
} from "../../api/types";
import type { MessageKey } from "../../i18n";
import { formatSelector, parseSelector } from "./selector";

export type Spec = AppProjectSpec;

/** What a form has of a rule: texts, and switches. Lists are lines of a text. */
export type Values = Record<string, string | boolean>;

/** A rule as a row. `raw` is the rule as it is written, for what the form does not have. */
export interface Rule {
  values: Values;
  /** List of the project and place in it, as the hub counts what rules match; a new one has none. */
  list?: string;
  at?: number;
  raw?: unknown;
}

export interface Field {
  key: string;
  label: MessageKey;
  kind: "text" | "lines" | "flag" | "choice";
  choices?: readonly { value: string; label: MessageKey }[];
  placeholder?: string;
  help?: MessageKey;
  required?: boolean;
  /** Not a column of the table. */
  aside?: boolean;
}

export interface RuleTable {
  id: string;
  title: MessageKey;
  help: MessageKey;
  empty: MessageKey;
  add: MessageKey;
  fields: readonly Field[];
  /** What a new rule begins with. */
  blank: Values;
  read: (spec: Spec) => Rule[];
  /** The project with these rules in place of those that read gives. */
  write: (spec: Spec, rules: readonly Rule[]) => Spec;
  /** Why values cannot be a rule, by field; the hub checks the rest. */
  check?: (v: Values) => Record<string, MessageKey>;
  /** Whether the hub counts what its rules match. */
  counted?: boolean;
}

const text = (v: Values, key: string) => String(v[key] ?? "").trim();
const linesOf = (v: Values, key: string) =>
  String(v[key] ?? "")
    .split("\n")
    .map((x) => x.trim())
    .filter((x) => x !== "");
const optional = (x: string) => (x === "" ? undefined : x);
const optionalList = (x: string[]) => (x.length === 0 ? undefined : x);
const flag = (v: Values, key: string) => (v[key] === true ? true : undefined);
/** A list that becomes empty leaves the project. */
const list = <R>(rules: R[]): R[] | undefined => (rules.length === 0 ? undefined : rules);

const effect: Field = {
  key: "effect",
  label: "projects.rule.effect",
  kind: "choice",
  choices: [
    { value: "deny", label: "projects.rule.deny" },
    { value: "allow", label: "projects.rule.allow" },
  ],
};
const denies = (r: Rule) => r.values.effect === "deny";
/** A "!" before a pattern denies in lists that allow; with Allow chosen it goes. */
const unless = (x: string, deny: boolean) => (deny ? x : x.replace(/^!+/, ""));

export const sources: RuleTable = {
  id: "sources",
  title: "projects.sources",
  help: "projects.sources.help",
  empty: "projects.sources.empty",
  add: "projects.sources.add",
  counted: true,
  blank: { effect: "allow", url: "" },
  fields: [
    effect,
    {
      key: "url",
      label: "projects.sources.url",
      kind: "text",
      placeholder: "https://git.example.com/team/*",
      required: true,
    },
  ],
  read: (s) => [
    ...(s.sourceRepoBlacklist ?? []).map((url, at) => ({
      values: { effect: "deny", url },
      list: "sourceRepoBlacklist",
      at,
    })),
    ...(s.sourceRepos ?? []).map((url, at) => ({
      values: { effect: url.startsWith("!") ? "deny" : "allow", url },
      list: "sourceRepos",
      at,
    })),
  ],
  write: (s, rules) => {
    const denied = rules.filter((r) => denies(r) && !text(r.values, "url").startsWith("!"));
    const rest = rules.filter((r) => !denied.includes(r));
    return {
      ...s,
      sourceRepos: list(rest.map((r) => unless(text(r.values, "url"), denies(r)))),
      sourceRepoBlacklist: list(denied.map((r) => text(r.values, "url"))),
    };
  },
};

export const sourceNamespaces: RuleTable = {
  id: "sourceNamespaces",
  title: "projects.sourceNamespaces",
  help: "projects.sourceNamespaces.help",
  empty: "projects.sourceNamespaces.empty",
  add: "projects.sourceNamespaces.add",
  blank: { namespace: "" },
  fields: [{ key: "namespace", label: "projects.namespace", kind: "text", placeholder: "team-*", required: true }],
  read: (s) => (s.sourceNamespaces ?? []).map((namespace) => ({ values: { namespace } })),
  write: (s, rules) => ({ ...s, sourceNamespaces: list(rules.map((r) => text(r.values, "namespace"))) }),
};

const bang = (v: Values) => ["name", "server", "namespace"].some((k) => text(v, k).startsWith("!"));

export const destinations: RuleTable = {
  id: "destinations",
  title: "projects.destinations",
  help: "projects.destinations.help",
  empty: "projects.destinations.empty",
  add: "projects.destinations.add",
  counted: true,
  blank: { effect: "allow", name: "", server: "", selector: "", namespace: "" },
  fields: [
    effect,
    { key: "name", label: "projects.destinations.name", kind: "text", placeholder: "eu-*" },
    { key: "selector", label: "projects.destinations.selector", kind: "text", placeholder: "env=prod,tier in (a,b)" },
    { key: "server", label: "projects.destinations.server", kind: "text", placeholder: "https://10.0.0.1:6443" },
    { key: "namespace", label: "projects.namespace", kind: "text", placeholder: "team-*" },
  ],
  check: (v) => ({
    ...(text(v, "name") === "" &&
      text(v, "server") === "" &&
      text(v, "selector") === "" && { name: "projects.destinations.which" as const }),
    ...(parseSelector(text(v, "selector")) === undefined && {
      selector: "projects.destinations.selector.invalid" as const,
    }),
  }),
  read: (s) => {
    const values = (d: ProjectDestination, deny: boolean): Values => ({
      effect: deny || [d.name, d.server, d.namespace].some((x) => x?.startsWith("!")) ? "deny" : "allow",
      name: d.name ?? "",
      server: d.server ?? "",
      selector: formatSelector(d.clusterSelector),
      namespace: d.namespace ?? "",
    });
    return [
      ...(s.destinationBlacklist ?? []).map((raw, at) => ({
        values: values(raw, true),
        list: "destinationBlacklist",
        at,
        raw,
      })),
      ...(s.destinations ?? []).map((raw, at) => ({ values: values(raw, false), list: "destinations", at, raw })),
    ];
  },
  write: (s, rules) => {
    const denied = rules.filter((r) => denies(r) && !bang(r.values));
    const rule = (r: Rule): ProjectDestination => {
      const selector = parseSelector(text(r.values, "selector"));
      const of = (key: string) => optional(unless(text(r.values, key), denies(r)));
      return {
        name: of("name"),
        server: of("server"),
        namespace: of("namespace"),
        clusterSelector: selector !== undefined && Object.keys(selector).length > 0 ? selector : undefined,
      };
    };
    return {
      ...s,
      destinations: list(rules.filter((r) => !denied.includes(r)).map(rule)),
      destinationBlacklist: list(denied.map(rule)),
    };
  },
};

export const serviceAccounts: RuleTable = {
  id: "serviceAccounts",
  title: "projects.serviceAccounts",
  help: "projects.serviceAccounts.help",
  empty: "projects.serviceAccounts.empty",
  add: "projects.serviceAccounts.add",
  blank: { server: "*", namespace: "*", account: "" },
  fields: [
    { key: "server", label: "projects.destinations.server", kind: "text", placeholder: "*", required: true },
    { key: "namespace", label: "projects.namespace", kind: "text", placeholder: "*" },
    {
      key: "account",
      label: "projects.serviceAccounts.account",
      kind: "text",
      placeholder: "deployer",
      required: true,
    },
  ],
  read: (s) =>
    (s.destinationServiceAccounts ?? []).map((r) => ({
      values: { server: r.server, namespace: r.namespace ?? "", account: r.defaultServiceAccount },
    })),
  write: (s, rules) => ({
    ...s,
    destinationServiceAccounts: list(
      rules.map(
        (r): DestinationServiceAccount => ({
          server: text(r.values, "server"),
          namespace: optional(text(r.values, "namespace")),
          defaultServiceAccount: text(r.values, "account"),
        }),
      ),
    ),
  }),
};

const kindLists = [
  { list: "clusterResourceBlacklist", effect: "deny", scope: "cluster" },
  { list: "namespaceResourceBlacklist", effect: "deny", scope: "namespaced" },
  { list: "clusterResourceWhitelist", effect: "allow", scope: "cluster" },
  { list: "namespaceResourceWhitelist", effect: "allow", scope: "namespaced" },
] as const;

export const kinds: RuleTable = {
  id: "kinds",
  title: "projects.kinds",
  help: "projects.kinds.help",
  empty: "projects.kinds.empty",
  add: "projects.kinds.add",
  counted: true,
  blank: { effect: "allow", scope: "cluster", group: "", kind: "", name: "" },
  fields: [
    effect,
    {
      key: "scope",
      label: "projects.kinds.scope",
      kind: "choice",
      choices: [
        { value: "cluster", label: "projects.kinds.cluster" },
        { value: "namespaced", label: "projects.kinds.namespaced" },
      ],
    },
    {
      key: "group",
      label: "projects.kinds.group",
      kind: "text",
      placeholder: "apps",
      help: "projects.kinds.group.help",
    },
    { key: "kind", label: "projects.kinds.kind", kind: "text", placeholder: "Deployment", required: true },
    { key: "name", label: "projects.kinds.name", kind: "text", placeholder: "*" },
  ],
  read: (s) =>
    kindLists.flatMap((l) =>
      (s[l.list] ?? []).map((r, at) => ({
        values: { effect: l.effect, scope: l.scope, group: r.group, kind: r.kind, name: r.name ?? "" },
        list: l.list,
        at,
      })),
    ),
  write: (s, rules) => {
    const of = (effect: string, scope: string): KindRule[] =>
      rules
        .filter((r) => r.values.effect === effect && r.values.scope === scope)
        .map((r) => ({
          group: text(r.values, "group"),
          kind: text(r.values, "kind"),
          name: optional(text(r.values, "name")),
        }));
    const out = { ...s };
    for (const l of kindLists) out[l.list] = list(of(l.effect, l.scope));
    // An empty list of namespaced kinds allows none, and no list all: losing the last
    // rule must not allow everything.
    if (s.namespaceResourceWhitelist !== undefined) out.namespaceResourceWhitelist ??= [];
    return out;
  },
};

export const roles: RuleTable = {
  id: "roles",
  title: "projects.roles",
  help: "projects.roles.help",
  empty: "projects.roles.empty",
  add: "projects.roles.add",
  blank: { name: "", description: "", groups: "", policies: "" },
  fields: [
    { key: "name", label: "projects.name", kind: "text", placeholder: "deployer", required: true },
    { key: "description", label: "projects.description", kind: "text" },
    { key: "groups", label: "projects.roles.groups", kind: "lines", placeholder: "team-pay" },
    {
      key: "policies",
      label: "projects.roles.policies",
      kind: "lines",
      placeholder: "p, proj:PROJECT:ROLE, applications, sync, PROJECT/*, allow",
      help: "projects.roles.policies.help",
    },
  ],
  read: (s) =>
    (s.roles ?? []).map((raw) => ({
      values: {
        name: raw.name,
        description: raw.description ?? "",
        groups: (raw.groups ?? []).join("\n"),
        policies: (raw.policies ?? []).join("\n"),
      },
      raw,
    })),
  write: (s, rules) => ({
    ...s,
    roles: list(
      rules.map(
        (r): ProjectRole => ({
          ...(r.raw as ProjectRole | undefined),
          name: text(r.values, "name"),
          description: optional(text(r.values, "description")),
          groups: optionalList(linesOf(r.values, "groups")),
          policies: optionalList(linesOf(r.values, "policies")),
        }),
      ),
    ),
  }),
};

export const windows: RuleTable = {
  id: "windows",
  title: "projects.windows",
  help: "projects.windows.help",
  empty: "projects.windows.empty",
  add: "projects.windows.add",
  blank: {
    kind: "deny",
    schedule: "",
    duration: "1h",
    timeZone: "",
    applications: "*",
    namespaces: "",
    clusters: "",
    manualSync: false,
    andOperator: false,
    syncOverrun: false,
    description: "",
  },
  fields: [
    { ...effect, key: "kind" },
    {
      key: "schedule",
      label: "projects.windows.schedule",
      kind: "text",
      placeholder: "0 22 * * 1-5",
      help: "projects.windows.schedule.help",
      required: true,
    },
    { key: "duration", label: "projects.windows.duration", kind: "text", placeholder: "1h30m", required: true },
    { key: "timeZone", label: "projects.windows.timeZone", kind: "text", placeholder: "Europe/Berlin" },
    { key: "applications", label: "projects.windows.applications", kind: "lines", placeholder: "*" },
    { key: "namespaces", label: "projects.windows.namespaces", kind: "lines" },
    { key: "clusters", label: "projects.windows.clusters", kind: "lines" },
    { key: "manualSync", label: "projects.windows.manualSync", kind: "flag" },
    { key: "andOperator", label: "projects.windows.andOperator", kind: "flag", aside: true },
    { key: "syncOverrun", label: "projects.windows.syncOverrun", kind: "flag", aside: true },
    { key: "description", label: "projects.description", kind: "text" },
  ],
  check: (v) => ({
    ...(linesOf(v, "applications").length + linesOf(v, "namespaces").length + linesOf(v, "clusters").length === 0 && {
      applications: "projects.windows.which" as const,
    }),
    ...(text(v, "schedule") !== "" &&
      !/^(@\S+|\S+(\s+\S+){4})$/.test(text(v, "schedule")) && {
        schedule: "projects.windows.schedule.invalid" as const,
      }),
    ...(text(v, "duration") !== "" &&
      !/^(\d+(\.\d+)?(h|m|s|ms))+$/.test(text(v, "duration")) && {
        duration: "projects.windows.duration.invalid" as const,
      }),
  }),
  read: (s) =>
    (s.syncWindows ?? []).map((raw) => ({
      values: {
        kind: raw.kind ?? "allow",
        schedule: raw.schedule ?? "",
        duration: raw.duration ?? "",
        timeZone: raw.timeZone ?? "",
        applications: (raw.applications ?? []).join("\n"),
        namespaces: (raw.namespaces ?? []).join("\n"),
        clusters: (raw.clusters ?? []).join("\n"),
        manualSync: raw.manualSync ?? false,
        andOperator: raw.andOperator ?? false,
        syncOverrun: raw.syncOverrun ?? false,
        description: raw.description ?? "",
      },
      raw,
    })),
  write: (s, rules) => ({
    ...s,
    syncWindows: list(
      rules.map(
        ({ values: v, raw }): SyncWindow => ({
          ...(raw as SyncWindow | undefined),
          kind: text(v, "kind"),
          schedule: text(v, "schedule"),
          duration: text(v, "duration"),
          timeZone: optional(text(v, "timeZone")),
          applications: optionalList(linesOf(v, "applications")),
          namespaces: optionalList(linesOf(v, "namespaces")),
          clusters: optionalList(linesOf(v, "clusters")),
          manualSync: flag(v, "manualSync"),
          andOperator: flag(v, "andOperator"),
          syncOverrun: flag(v, "syncOverrun"),
          description: optional(text(v, "description")),
        }),
      ),
    ),
  }),
};

export const signatureKeys: RuleTable = {
  id: "signatureKeys",
  title: "projects.signing",
  help: "projects.signing.help",
  empty: "projects.signing.empty",
  add: "projects.signing.add",
  blank: { keyID: "" },
  fields: [
    { key: "keyID", label: "projects.signing.key", kind: "text", placeholder: "4AEE18F83AFDEB23", required: true },
  ],
  check: (v): Record<string, MessageKey> =>
    text(v, "keyID") === "" || /^(0x)?[0-9A-Fa-f]{8,40}$/.test(text(v, "keyID"))
      ? {}
      : { keyID: "projects.signing.key.invalid" },
  read: (s) => (s.signatureKeys ?? []).map((k) => ({ values: { keyID: k.keyID } })),
  write: (s, rules) => ({ ...s, signatureKeys: list(rules.map((r) => ({ keyID: text(r.values, "keyID") }))) }),
};

export const integrity: RuleTable = {
  id: "integrity",
  title: "projects.integrity",
  help: "projects.integrity.help",
  empty: "projects.integrity.empty",
  add: "projects.integrity.add",
  blank: { repos: "*", mode: "head", keys: "" },
  fields: [
    {
      key: "repos",
      label: "projects.integrity.repos",
      kind: "lines",
      placeholder: "https://git.example.com/*",
      required: true,
    },
    {
      key: "mode",
      label: "projects.integrity.mode",
      kind: "choice",
      choices: [
        { value: "none", label: "projects.integrity.none" },
        { value: "head", label: "projects.integrity.head" },
        { value: "strict", label: "projects.integrity.strict" },
      ],
    },
    {
      key: "keys",
      label: "projects.integrity.keys",
      kind: "lines",
      placeholder: "4AEE18F83AFDEB23",
      help: "projects.integrity.keys.help",
    },
  ],
  read: (s) =>
    (s.sourceIntegrity?.git?.policies ?? []).map((raw) => ({
      values: {
        repos: (raw.repos ?? []).map((r) => r.url).join("\n"),
        mode: raw.gpg?.mode ?? "none",
        keys: (raw.gpg?.keys ?? []).join("\n"),
      },
      raw,
    })),
  write: (s, rules) => ({
    ...s,
    sourceIntegrity:
      rules.length === 0
        ? undefined
        : {
            git: {
              policies: rules.map(
                ({ values: v }): GitIntegrityPolicy => ({
                  repos: linesOf(v, "repos").map((url) => ({ url })),
                  gpg: { mode: text(v, "mode"), keys: optionalList(linesOf(v, "keys")) },
                }),
              ),
            },
          },
  }),
};

export const tables = [
  sources,
  sourceNamespaces,
  destinations,
  serviceAccounts,
  kinds,
  roles,
  windows,
  signatureKeys,
  integrity,
] as const;

/** How much the rules of a project match: its own by list and place, and those that it inherits. */
export function countsOf(spec: Spec, counts: readonly RuleCount[]) {
  const own = new Map<string, RuleCount>();
  const inherited: RuleCount[] = [];
  const seen = new Map<string, number>();
  for (const c of counts) {
    const at = seen.get(c.list) ?? 0;
    seen.set(c.list, at + 1);
    // The hub counts a project's own rules first, in their order.
    const written = (spec as Record<string, unknown>)[c.list];
    if (Array.isArray(written) && at < written.length) own.set(`${c.list}/${at}`, c);
    else inherited.push(c);
  }
  return { of: (r: Rule) => (r.list === undefined ? undefined : own.get(`${r.list}/${r.at}`)), inherited };
}

/** The lists that a table shows, to find what is inherited for it. */
export const listsOf: Record<string, readonly string[]> = {
  sources: ["sourceRepos", "sourceRepoBlacklist"],
  destinations: ["destinations", "destinationBlacklist"],
  kinds: kindLists.map((l) => l.list),
};

// The only file that spells URLs of the console. Search parameters are checked here:
// what somebody typed wrong is left out, never an error.
import * as z from "zod/mini";

// The policy of the page forbids code from strings, with which zod would be faster.
z.config({ jitless: true });

export const paths = {
  home: "/",
  login: "/login",
  fleet: "/fleet",
  clusters: "/clusters",
  enrol: "/enrol", // not below /clusters: a cluster may have any name
  cluster: "/clusters/$cluster",
  applications: "/apps",
  application: "/apps/$application",
  projects: "/projects",
  project: "/projects/$project",
  repositories: "/repositories",
  audit: "/audit",
  settings: "/settings",
  jobs: "/jobs",
  job: "/jobs/$job",
} as const;

/**
 * What an address says behind its question mark. All of it is text: q=123, q=1e5 and
 * q=true are filters that somebody wrote, no numbers and no truths.
 */
export function parseSearch(search: string): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(search)) if (!(name in out)) out[name] = value;
  return out;
}

/** The other way round; what is not said is left out. */
export function stringifySearch(search: Readonly<Record<string, unknown>>): string {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(search))
    if (value !== undefined && value !== null && value !== "") out.append(name, String(value));
  const text = out.toString();
  return text === "" ? "" : `?${text}`;
}

/** Text of a search parameter; anything else, and an empty one, is as if it were not there. */
export const text = z.catch(z.optional(z.string().check(z.minLength(1))), undefined);
/** A number as text, however it is written. */
export const number = z.catch(
  z.optional(z.pipe(z.coerce.string(), z.string().check(z.regex(/^\d{1,16}$/)))),
  undefined,
);
/** One of some words, or nothing. */
export const oneOf = <const W extends readonly [string, ...string[]]>(...words: W) =>
  z.catch(z.optional(z.enum(words)), undefined);

/** Every page of the frame has these: the project that everything is narrowed to. */
const frame = { project: text };

export const loginSearch = z.object({ return: text, code: text, error: text });
/** group: label keys with commas, at most two; none: "-". */
export const fleetSearch = z.object({
  ...frame,
  q: text,
  group: text,
  color: oneOf("health", "connection", "agent", "kubernetes"),
  view: oneOf("map", "table"),
  cell: oneOf("24", "14"),
  sort: text,
  /** What of the last hour is listed: a kind, and when a minute of it began. */
  did: oneOf("synced", "failed", "degraded", "drifted", "lost", "connected"),
  minute: z.catch(z.optional(z.string().check(z.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:00Z$/))), undefined),
});
export const clustersSearch = z.object({ ...frame, q: text, sort: text });
export const clusterSearch = z.object({ ...frame, edit: oneOf("labels", "aliases") });
export const applicationsSearch = z.object({
  ...frame,
  /** The filter, in the language of docs/filters.md. */
  q: text,
  sort: text,
  /** Ids of the columns that are shown, with commas; left out: those that most people want. */
  cols: text,
  /** Labels that are counted beside the other facets, with commas. */
  labels: text,
  /** The pane of facets; left out: shown where there is room. */
  facets: oneOf("on", "off"),
  /** The key that rows are grouped by, and the groups that are open: see features/applications/groups.ts. */
  group: text,
  open: text,
  /** Everything, although a saved view is there that the list opens with. */
  view: oneOf("all"),
  dialog: oneOf("new"),
});
export const applicationSearch = z.object({
  ...frame,
  /** The tab, and what its object list looks like: as a tree, a list, or pods. */
  tab: text,
  view: oneOf("tree", "list", "pods"),
  /** What is looked for among its objects. */
  q: text,
  kind: text,
  health: text,
  sync: text,
  /** Alike leaves are shown one by one. */
  group: oneOf("off"),
  /** Groups that are open, with commas; and the order of the list. */
  open: text,
  sort: text,
  /** Only warnings among the events. */
  events: oneOf("warning"),
  /** Only events of the last "15m" or "1h", or of an interval of two times as in ISO 8601. */
  during: text,
  /** The chosen object, as group/kind/namespace/name, and what its side sheet shows. */
  sel: text,
  sheet: text,
  /** The panel in which something is done: options and objects of a sync with commas, the operation that came of it. */
  panel: oneOf("sync", "rollback"),
  opt: text,
  only: text,
  op: text,
  /** How differences are shown, and whether with what nobody asked for. */
  diff: oneOf("unified"),
  whole: oneOf("yes"),
  /** In the history: all operations, and two deployments that are compared. */
  show: oneOf("operations"),
  pair: text,
  /** What is read of logs, and how it is shown. */
  container: text,
  since: text,
  tail: text,
  grep: text,
  previous: oneOf("yes"),
  follow: oneOf("off"),
  wrap: oneOf("yes"),
  /** Manifests of the cluster, of another revision, of one object. */
  from: oneOf("live"),
  rev: text,
  doc: text,
  /** The deployment to go back to. */
  to: text,
  /** Filter and order of the list that one came from: previous and next are those of it. */
  in: text,
  order: text,
});
export const projectsSearch = z.object({ ...frame, q: text, sort: text, dialog: oneOf("new") });
export const projectSearch = z.object({
  ...frame,
  tab: text,
  /** The role whose tokens are shown. */
  role: text,
  /** What the simulator is asked; ask says that it was. */
  ask: oneOf("yes"),
  verb: text,
  as: text,
  app: text,
  source: text,
  cluster: text,
  ns: text,
  kind: text,
});
export const repositoriesSearch = z.object({
  ...frame,
  q: text,
  sort: text,
  /** Repositories, or the credential templates. */
  tab: oneOf("templates"),
  /** The repository or template that the side sheet shows, or the sheet that adds one. */
  sel: text,
  sheet: oneOf("add"),
});
export const auditSearch = z.object({
  ...frame,
  actor: text,
  action: text,
  resource: text,
  /** The project of the records; the one of the frame narrows, too. */
  in: text,
  cluster: text,
  name: text,
  request: text,
  operation: text,
  kind: oneOf("command", "refusal", "begun", "effect", "retired", "alarm", "handover"),
  outcome: oneOf("done", "denied", "rejected", "failed", "unknown"),
  /** How long ago at most, or from a day to a day. */
  since: oneOf("1h", "24h", "7d", "30d", "90d"),
  from: text,
  to: text,
  /** Number of the record that the side sheet shows. */
  sel: number,
});
export const settingsSearch = z.object({ ...frame, tab: text, whose: oneOf("all"), signin: text, provider: text });
export const jobsSearch = z.object({ ...frame, show: oneOf("open", "failing", "ended") });
export const jobSearch = z.object({ ...frame, show: oneOf("Pending", "Accepted", "Failed", "Cancelled") });
/** token: the id of a token that was made, whose checklist is shown. */
export const enrolSearch = z.object({ ...frame, name: text, token: text });

/** Address of one thing, where no Link builds it: the palette, texts to copy. */
export function pathOf(noun: "application" | "cluster" | "project" | "job", name: string): string {
  return paths[noun].replace(/\$[a-z]+$/, () => encodeURIComponent(name));
}

/** A return address is a path of this console; anything else could lead elsewhere. */
export function safeReturn(address: string | undefined): string {
  if (
    address === undefined ||
    !address.startsWith("/") ||
    /^\/[/\\]/.test(address) ||
    /[\u0000-\u001f\\]/.test(address)
  )
    return paths.home;
  const url = new URL(address, "https://console.invalid");
  if (url.host !== "console.invalid" || url.pathname === paths.login) return paths.home;
  return url.pathname + url.search + url.hash;
}

/** Where a login at an identity provider begins; the hub's own page, outside of the console. */
export function providerLogin(provider: string, returnTo: string): string {
  return `/auth/login?${new URLSearchParams({ provider, return: safeReturn(returnTo) })}`;
}

/** Where a login begins that is a test: the provider is asked, and nobody is logged in. */
export function providerSignInTest(provider: string): string {
  return `/auth/login?${new URLSearchParams({ provider, test: "yes" })}`;
}

/** Reference of the API, a page of the hub. */
export const apiDocs = "/api/docs";

/** One live object as YAML. */
export function liveObjectYAML(application: string, object: Record<string, string | boolean | undefined>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(object)) if (value !== undefined) query.set(name, String(value));
  return `/api/v1/applications/${encodeURIComponent(application)}/resource?${query}`;
}

/** Lines of what a cluster says about objects of an application, and then of what comes. */
export function objectEventStream(application: string, object?: Record<string, string | undefined>): string {
  const query = new URLSearchParams({ follow: "true" });
  for (const [name, value] of Object.entries(object ?? {})) if (value !== undefined) query.set(name, value);
  return `/api/v1/applications/${encodeURIComponent(application)}/events?${query}`;
}

/** The stream of events. */
export const eventStream = "/api/v1/events";

/** The signed records as a file of JSON lines. */
export function auditExport(query: object): string {
  const out = new URLSearchParams();
  for (const [name, v] of Object.entries(query)) if (typeof v === "string") out.set(name, v);
  const text = out.toString();
  return `/api/v1/audit/export${text === "" ? "" : `?${text}`}`;
}

/** Where the hub tries a repository, and tells each step. */
export const repositoryTest = "/api/v1/repositories/test";

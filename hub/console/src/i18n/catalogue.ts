import type application from "../messages/en/application.json";
import type applications from "../messages/en/applications.json";
import type audit from "../messages/en/audit.json";
import type clusters from "../messages/en/clusters.json";
import type diff from "../messages/en/diff.json";
import type enrol from "../messages/en/enrol.json";
import type fleet from "../messages/en/fleet.json";
import type frame from "../messages/en/frame.json";
import type history from "../messages/en/history.json";
import type jobs from "../messages/en/jobs.json";
import type login from "../messages/en/login.json";
import type logs from "../messages/en/logs.json";
import type manifests from "../messages/en/manifests.json";
import type parameters from "../messages/en/parameters.json";
import type projects from "../messages/en/projects.json";
import type repositories from "../messages/en/repositories.json";
import type settings from "../messages/en/settings.json";
import type sync from "../messages/en/sync.json";
import type terminal from "../messages/en/terminal.json";
import type ui from "../messages/en/ui.json";

/** One file of src/messages per noun. */
interface Nouns {
  application: typeof application;
  applications: typeof applications;
  audit: typeof audit;
  clusters: typeof clusters;
  diff: typeof diff;
  enrol: typeof enrol;
  fleet: typeof fleet;
  frame: typeof frame;
  history: typeof history;
  jobs: typeof jobs;
  login: typeof login;
  logs: typeof logs;
  manifests: typeof manifests;
  parameters: typeof parameters;
  projects: typeof projects;
  repositories: typeof repositories;
  settings: typeof settings;
  sync: typeof sync;
  terminal: typeof terminal;
  ui: typeof ui;
}

/** "fleet.title": the noun, and the key in its file. */
export type MessageKey = { [N in keyof Nouns]: `${N}.${Extract<keyof Nouns[N], string>}` }[keyof Nouns];

export const locales = ["en", "de"] as const;
export type Locale = (typeof locales)[number];

export type Messages = Readonly<Record<string, string>>;

/** Files of one language as one table of full keys. */
export function flatten(files: Record<string, Record<string, string>>): Messages {
  const out: Record<string, string> = {};
  for (const [path, file] of Object.entries(files)) {
    const noun = path.replace(/^.*\//, "").replace(/\.json$/, "");
    for (const [key, text] of Object.entries(file)) out[`${noun}.${key}`] = text;
  }
  return out;
}

/** One chunk per language. */
const languages: Record<Locale, () => Promise<{ default: Messages }>> = {
  en: () => import("../messages/en"),
  de: () => import("../messages/de"),
};

export async function loadMessages(locale: Locale): Promise<Messages> {
  return (await languages[locale]()).default;
}

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

export type Noun = keyof Nouns;

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

/** Words that every page has, a chunk for each language: those of the frame and of ui. */
const shells: Record<Locale, () => Promise<{ default: Messages }>> = {
  en: () => import("../messages/en"),
  de: () => import("../messages/de"),
};

/** The words of the other nouns, a chunk for each and language. */
const files = import.meta.glob<Record<string, string>>(
  ["../messages/*/*.json", "!../messages/*/frame.json", "!../messages/*/ui.json"],
  { import: "default" },
);

/** A language and all of its words that were loaded: loadWords adds to them. */
export interface Spoken {
  locale: Locale;
  messages: Record<string, string>;
}

let spoken: Spoken = { locale: "en", messages: {} };
/** Nouns that a view has asked for; another language has them before it is spoken. */
const nouns = new Set<Noun>();

async function wordsOf(locale: Locale, noun: Noun): Promise<Messages> {
  const path = `../messages/${locale}/${noun}.json`;
  const file = await files[path]?.();
  return file === undefined ? {} : flatten({ [path]: file });
}

/** Loads a language with all that is asked for so far, and speaks it from then on. */
export async function speak(locale: Locale): Promise<Spoken> {
  const next: Spoken = { locale, messages: { ...(await shells[locale]()).default } };
  const has = new Set<Noun>();
  for (;;) {
    const missing = [...nouns].filter((n) => !has.has(n));
    if (missing.length === 0) break;
    for (const words of await Promise.all(missing.map((n) => wordsOf(locale, n)))) Object.assign(next.messages, words);
    for (const n of missing) has.add(n);
  }
  spoken = next;
  return next;
}

/** Loads the words of nouns in the language that is spoken, once. */
export async function loadWords(...asked: Noun[]): Promise<void> {
  for (const n of asked) nouns.add(n);
  const into = spoken;
  const found = await Promise.all(asked.map((n) => wordsOf(into.locale, n)));
  for (const words of found) Object.assign(into.messages, words);
}

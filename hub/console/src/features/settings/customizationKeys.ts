import { placeIn } from "./grants";

/** What a key customizes, see docs/customizations.md. */
export const parts = ["health", "actions", "ignoreDifferences", "knownTypeFields"] as const;
export type Part = (typeof parts)[number];

const prefix = "resource.customizations.";

/** The key of a part for a kind, or of every comparison and every Secret without one. */
export function keyOf(part: Part, group: string, kind: string): string {
  const g = group.trim();
  return `${prefix}${part}.${g === "" ? "" : `${g}_`}${kind.trim()}`;
}

/** A key without what all of them begin with. */
export function shortKey(key: string): string {
  return key.startsWith(prefix) ? key.slice(prefix.length) : key;
}

/** What the text of a key is written in. */
export function languageOf(key: string): "lua" | "yaml" {
  return key.startsWith(`${prefix}health.`) ? "lua" : "yaml";
}

/** What a new key begins with, so that it is valid at once. */
export const firstText: Record<Part, string> = {
  health: `hs = {}\nhs.status = "Progressing"\nhs.message = ""\nif obj.status ~= nil and obj.status.phase == "Ready" then\n  hs.status = "Healthy"\nend\nreturn hs\n`,
  actions: `discovery.lua: |\n  actions = {}\n  actions["restart"] = {}\n  return actions\ndefinitions:\n- name: restart\n  action.lua: |\n    return obj\n`,
  ignoreDifferences: `jsonPointers:\n- /spec/replicas\n`,
  knownTypeFields: `- field: spec.template.spec\n  type: core/v1/PodSpec\n`,
};

/**
 * Where in the text of a key the hub means: scripts within YAML are counted from their own first
 * line, and lists are read one line further down.
 */
export function placeOfKey(key: string, text: string, message: string): { line: number; column?: number } | undefined {
  const place = placeIn(message);
  if (place === undefined || languageOf(key) === "lua") return place;
  const script = /(?:: ([^:]+))?: (discovery|action|health)\.lua: /.exec(message);
  if (script === null)
    return key.startsWith(`${prefix}knownTypeFields.`) ? { ...place, line: Math.max(1, place.line - 1) } : place;
  if (key === "resource.customizations") return undefined; // texts within a text
  const lines = text.split("\n");
  const begins = (word: string, from: number, to: number) => {
    for (let i = from; i < to; i++) if (new RegExp(`^[\\s-]*${word}\\.lua:\\s*[|>]`).test(lines[i] ?? "")) return i;
    return -1;
  };
  let at = -1;
  if (script[2] !== "action") at = begins(script[2] ?? "", 0, lines.length);
  else {
    // The script of that name: within the entry of the list that has it.
    const entry = (i: number) => /^\s*- /.test(lines[i] ?? "");
    const named = lines.findIndex(
      (l) => /^[\s-]*name:\s*(.*?)\s*$/.exec(l)?.[1]?.replace(/^["']|["']$/g, "") === script[1],
    );
    let from = named;
    while (from > 0 && !entry(from)) from--;
    let to = named + 1;
    while (to < lines.length && !entry(to)) to++;
    if (named >= 0) at = begins("action", from, to);
  }
  return at < 0 ? undefined : { line: at + 1 + place.line };
}

// Filters as text: their terms, what a click on a facet changes, what can be typed next.
// Nothing here decides what a filter finds; the hub does.
import type { Problem } from "../../problem";
import { ages, vocabulary } from "./vocabulary";

/** A term of a filter, and where it stands. */
export interface Term {
  text: string;
  start: number;
  end: number;
}

/** Terms are apart by spaces outside of quotes. A negation that stands alone, as in "NOT x", is of its term. */
export function termsOf(filter: string): Term[] {
  const out: Term[] = [];
  let i = 0;
  while (i < filter.length) {
    if (/\s/.test(filter[i] as string)) {
      i++;
      continue;
    }
    const start = i;
    i = endOfTerm(filter, i);
    while (filter.slice(start, i).endsWith("NOT") && /(^|\s|-)NOT$/.test(filter.slice(start, i))) {
      let next = i;
      while (next < filter.length && /\s/.test(filter[next] as string)) next++;
      if (next >= filter.length) break;
      i = endOfTerm(filter, next);
    }
    out.push({ text: filter.slice(start, i), start, end: i });
  }
  return out;
}

function endOfTerm(filter: string, from: number): number {
  let quoted = false;
  let i = from;
  for (; i < filter.length; i++) {
    const c = filter[i] as string;
    if (quoted && c === "\\") i++;
    else if (c === '"') quoted = !quoted;
    else if (!quoted && /\s/.test(c)) break;
  }
  return Math.min(i, filter.length);
}

/** Values of a term's list, as they are written. */
function written(list: string): string[] {
  const out: string[] = [];
  let from = 0;
  let quoted = false;
  for (let i = 0; i < list.length; i++) {
    const c = list[i];
    if (quoted && c === "\\") i++;
    else if (c === '"') quoted = !quoted;
    else if (!quoted && c === ",") {
      out.push(list.slice(from, i));
      from = i + 1;
    }
  }
  out.push(list.slice(from));
  return out;
}

function unquoted(value: string): string {
  return value.replace(/"((?:[^"\\]|\\.)*)"/g, (_, inner: string) => inner.replace(/\\(.)/g, "$1"));
}

/** A value as the filter language takes it literally. */
export function quotedValue(value: string): string {
  return value !== "" && !/[\s",*?~:<>=\\]/.test(value) && !value.startsWith("-")
    ? value
    : `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** What a term of a key begins with: "health:", and of a label "label:env=". */
function beginning(key: string): string {
  return /^(cluster\.)?label:./.test(key) ? `${key}=` : `${key}:`;
}

function listOf(term: Term, key: string): string[] | undefined {
  const begin = beginning(key);
  return term.text.startsWith(begin) ? written(term.text.slice(begin.length)) : undefined;
}

/** The values of a key that a filter asks for. */
export function valuesOf(filter: string, key: string): Set<string> {
  const out = new Set<string>();
  for (const term of termsOf(filter)) for (const v of listOf(term, key) ?? []) out.add(unquoted(v));
  if (/label:/.test(key) && termsOf(filter).some((t) => t.text === `-${key}`)) out.add("");
  return out;
}

/** The filter with a value of a key asked for too, or no longer. An empty value of a label is that there is none. */
export function toggled(filter: string, key: string, value: string): string {
  const terms = termsOf(filter);
  if (value === "" && /label:/.test(key)) {
    const none = `-${key}`;
    const texts = terms.map((t) => t.text);
    return texts.includes(none)
      ? texts.filter((t) => t !== none).join(" ")
      : [...terms.filter((t) => listOf(t, key) === undefined).map((t) => t.text), none].join(" ");
  }
  let found = false;
  const out: string[] = [];
  for (const term of terms) {
    const list = found ? undefined : listOf(term, key);
    if (list === undefined) {
      if (term.text !== `-${key}`) out.push(term.text); // it cannot have none and this one
      continue;
    }
    found = true;
    const left = list.filter((v) => unquoted(v) !== value);
    if (left.length === list.length) left.push(quotedValue(value));
    if (left.length > 0) out.push(beginning(key) + left.join(","));
  }
  if (!found) out.push(beginning(key) + quotedValue(value));
  return out.join(" ");
}

/** The filter without the terms of a key. */
export function withoutKey(filter: string, key: string): string {
  return termsOf(filter)
    .filter((t) => listOf(t, key) === undefined && t.text !== `-${key}`)
    .map((t) => t.text)
    .join(" ");
}

/** The filter without one term. */
export function without(filter: string, term: Term): string {
  return [filter.slice(0, term.start).trimEnd(), filter.slice(term.end).trimStart()]
    .filter((s) => s !== "")
    .join(" ")
    .trim();
}

/** Where the hub says that a filter went wrong, counted in characters from 0. */
export function placeOf(problem: Problem): number | undefined {
  const found = /character (\d+)/.exec(problem.message);
  return problem.code === "filter_invalid" && found !== null ? Number(found[1]) - 1 : undefined;
}

/** The filter in three pieces: what is before the fault, the term or value with it, and the rest. */
export function around(filter: string, place: number): [string, string, string] {
  const characters = Array.from(filter);
  const at = Math.min(place, characters.length);
  const before = characters.slice(0, at).join("");
  const rest = characters.slice(at).join("");
  const wrong = /^\S[^\s,]*/.exec(rest)?.[0] ?? "";
  return [before, wrong, rest.slice(wrong.length)];
}

/** What is being typed: keys, or values of one. `from` to `to` is what a choice takes the place of. */
export interface Typing {
  of: "key" | "value";
  key?: string;
  typed: string;
  from: number;
  to: number;
}

/** What stands under the caret. */
export function typingAt(filter: string, caret: number): Typing {
  const term = termsOf(filter).find((t) => t.start < caret && caret <= t.end);
  if (term === undefined) return { of: "key", typed: "", from: caret, to: caret };
  const sign = /^(-|NOT\s+)*/.exec(term.text)?.[0].length ?? 0;
  const start = term.start + sign;
  const text = filter.slice(start, term.end);
  const colon = /^[^\s":,*?<>=]+:/.exec(text)?.[0].length ?? 0;
  if (colon === 0 || caret < start + colon)
    return {
      of: "key",
      typed: filter.slice(start, Math.max(start, caret)),
      from: start,
      to: Math.max(start, colon === 0 ? term.end : start + colon),
    };
  const key = text.slice(0, colon - 1);
  const values = written(text.slice(colon));
  let from = start + colon;
  for (const v of values) {
    if (caret <= from + v.length)
      return { of: "value", key, typed: filter.slice(from, caret), from, to: from + v.length };
    from += v.length + 1;
  }
  return { of: "value", key, typed: "", from: caret, to: caret };
}

/** One thing that can be typed next. */
export interface Choice {
  /** What is put into the filter; a key ends with its colon. */
  text: string;
  /** How many applications it finds, where that is counted. */
  count?: number;
}

/** What of the vocabulary fits; values come with their counts where facets have them. */
export function choices(
  typing: Typing,
  counted: Readonly<Record<string, Readonly<Record<string, number>>>>,
  labels: readonly string[],
): Choice[] {
  const typed = unquoted(typing.typed).toLowerCase();
  const fits = (s: string) => s.toLowerCase().startsWith(typed);
  const within = (s: string) => s.toLowerCase().includes(typed);
  if (typing.of === "key") {
    const keys = [...Object.keys(vocabulary), "not"].filter(fits).map((k) => ({ text: `${k}:` }));
    return [
      ...keys,
      ...labels.filter((l) => fits(l) && vocabulary[l] === undefined).map((l) => ({ text: `${l}:` })),
    ].slice(0, typed === "" ? 8 : 12);
  }
  const key = aliases[typing.key ?? ""] ?? typing.key ?? "";
  const known = key === "not" ? vocabulary.is : vocabulary[key];
  const counts = counted[key] ?? counted[`label:${key}`];
  if (Array.isArray(known)) return known.filter(fits).map((w: string) => ({ text: w, count: counts?.[w] }));
  if (known === "age") return ages.filter((a) => typed === "" || a.startsWith(typed)).map((text) => ({ text }));
  if (key === "label" || key === "cluster.label")
    return labels
      .filter(within)
      .slice(0, 12)
      .map((text) => ({ text }));
  if (counts === undefined) return [];
  return Object.entries(counts)
    .filter(([v]) => v !== "" && within(v))
    .sort((a, b) => Number(fits(b[0])) - Number(fits(a[0])) || b[1] - a[1])
    .slice(0, 12)
    .map(([v, count]) => ({ text: quotedValue(v), count }));
}

const aliases: Record<string, string> = { ns: "namespace", op: "operation", condition: "code" };

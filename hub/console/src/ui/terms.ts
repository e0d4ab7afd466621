// Filters as text: cut into terms, as the hub's language has them (docs/filters.md).
// Only for showing and leaving out; what a term means only the hub knows.

/** The terms of a filter: words with spaces between them, of which those in quotes are none. */
export function terms(filter: string): string[] {
  const out: string[] = [];
  let term = "";
  let quote = false;
  for (let i = 0; i < filter.length; i++) {
    const c = filter[i] as string;
    if (quote && c === "\\") {
      term += c + (filter[++i] ?? "");
      continue;
    }
    if (c === '"') quote = !quote;
    if (!quote && /\s/.test(c)) {
      if (term !== "") out.push(term);
      term = "";
    } else term += c;
  }
  if (term !== "") out.push(term);
  // NOT stands before its term.
  return out.reduce<string[]>((all, x) => {
    if (all.at(-1) === "NOT") all[all.length - 1] = `NOT ${x}`;
    else all.push(x);
    return all;
  }, []);
}

/** The filter without one of its terms. */
export function without(filter: string, term: string): string {
  const all = terms(filter);
  const i = all.indexOf(term);
  return all.filter((_, j) => j !== i).join(" ");
}

/** A word as the language takes it whatever is in it: in quotes. */
export function quotedTerm(key: string, value: string): string {
  return `${key}:"${value.replace(/(["\\])/g, "\\$1")}"`;
}

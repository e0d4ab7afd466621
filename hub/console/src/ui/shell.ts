/** A word as a POSIX shell takes it: quoted when it has to be, so that a name cannot become a command. */
export function quoted(word: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word) && !word.startsWith("-")) return word;
  return `'${word.replace(/'/g, "'\\''")}'`;
}

/** A command of words, of which undefined and false are left out: cli("hawser", "app", "sync", name, prune && "--prune"). */
export function cli(...words: readonly (string | undefined | false)[]): string {
  return words
    .filter((w): w is string => typeof w === "string")
    .map((w) => (w === "--" || /^--?[a-z][a-z0-9-]*(=[A-Za-z0-9_@%+:,./-]+)?$/.test(w) ? w : quoted(w)))
    .join(" ");
}

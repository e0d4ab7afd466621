// What the shell is: the JavaScript that every page loads. The build fails when it is
// more than its budget, the benchmark prints it, and a step in e2e/views.spec.ts holds
// this list against what a browser asks for.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** Gzipped, in bytes; a KB has 1000. */
export const shellBudget = 200_000;

interface Chunk {
  file: string;
  imports?: string[];
}

/** Files that a page loads whatever its view is: the entry, all that it imports, and the messages of a language. */
export function shellFiles(dist: URL, locale: string): string[] {
  const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8")) as Record<string, Chunk>;
  const files = new Set<string>();
  const visit = (key: string) => {
    const chunk = manifest[key];
    if (chunk === undefined) throw new Error(`the manifest of the build has no ${key}`);
    if (files.has(chunk.file)) return;
    files.add(chunk.file);
    for (const next of chunk.imports ?? []) visit(next);
  };
  visit("index.html");
  visit(`src/messages/${locale}/index.ts`);
  return [...files];
}

/** Sizes of these files, largest first: in the language that has the longest messages. */
export function shellSizes(dist: URL): { total: number; files: [string, number][] } {
  const all = ["en", "de"].map((locale) => {
    const files = shellFiles(dist, locale).map((file): [string, number] => [
      file,
      gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length,
    ]);
    return { total: files.reduce((sum, [, size]) => sum + size, 0), files: files.sort((a, b) => b[1] - a[1]) };
  });
  return all.reduce((a, b) => (b.total > a.total ? b : a));
}

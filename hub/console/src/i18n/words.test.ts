// A view says no word that its route has not loaded: it would show the word's key.
import { describe, expect, it } from "vitest";
import { allMessages } from "../test/messages";
import { loadWords, speak } from "./catalogue";

const sources: Record<string, string> = Object.fromEntries(
  Object.entries(
    import.meta.glob<string>(["../**/*.{ts,tsx}", "!../**/*.test.*", "!../test/**"], {
      eager: true,
      query: "?raw",
      import: "default",
    }),
  ).map(([path, text]) => [new URL(path, "file:///src/i18n/x").pathname, text]),
);
const nouns = new Set(Object.keys(allMessages.en).map((key) => key.split(".")[0]));
const shell = ["frame", "ui"];

/** Nouns whose words a file and all that it imports say. Other routes are links only: urls.ts. */
function said(file: string, seen = new Set<string>()): Set<string> {
  const out = new Set<string>();
  const text = sources[file]?.replace(/\/\*[\s\S]*?\*\/|\/\/ .*/g, "");
  if (text === undefined || seen.has(file)) return out;
  seen.add(file);
  for (const [, noun] of text.matchAll(/["`]([a-z]+)\.[a-zA-Z]/g)) if (nouns.has(noun)) out.add(noun as string);
  for (const [, to] of text.matchAll(/(?:from |import\()"(\.[^"]+)"/g)) {
    const path = new URL(to as string, `file://${file}`).pathname;
    const found = [path, `${path}.ts`, `${path}.tsx`, `${path}/index.ts`, `${path}/index.tsx`].find(
      (p) => p in sources,
    );
    if (found !== undefined) for (const noun of said(found, seen)) out.add(noun);
  }
  return out;
}

const routes = Object.entries(sources).flatMap(([path, text]) =>
  [...text.matchAll(/view\(\s*\[([^\]]*)\],\s*\(\) => import\("(\.[^"]+)"\)/g)].map(
    ([, words, to]) =>
      [
        new URL(`${to}.tsx`, `file://${path}`).pathname,
        [...(words as string).matchAll(/"([a-z]+)"/g)].map((m) => m[1] as string),
      ] as const,
  ),
);

describe("words", () => {
  it("knows all views", () => expect(routes.length).toBeGreaterThan(12));
  it.each(routes)("%s says only what its route loads", (file, words) => {
    expect(sources).toHaveProperty([file]);
    expect([...said(file)].filter((noun) => !shell.includes(noun)).sort()).toEqual([...words].sort());
  });
  it.each(Object.keys(sources).filter((path) => path.endsWith("/palette.ts")))("%s says its own noun's", (file) => {
    const own = file.split("/").at(-2) as string;
    expect([...said(file)].filter((noun) => ![own, ...shell].includes(noun))).toEqual([]);
  });
  it("are few for every page: the frame says its own and those of ui", () => {
    expect([...said("/src/frame/Frame.tsx")].filter((noun) => !shell.includes(noun))).toEqual([]);
    expect([...said("/src/routes/root.tsx")].filter((noun) => !shell.includes(noun))).toEqual([]);
  });
  it("go with their language, also those that were loaded before", async () => {
    await speak("en");
    await loadWords("jobs");
    const german = await speak("de");
    expect(german.messages["jobs.title"]).toBe(allMessages.de["jobs.title"]);
    expect(german.messages).not.toHaveProperty(["settings.title"]);
    await loadWords("settings");
    expect(german.messages["settings.title"]).toBe(allMessages.de["settings.title"]);
  });
});

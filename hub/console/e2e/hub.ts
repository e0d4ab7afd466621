// What all steps have: somebody logged in, a page that fails its test when anything
// goes wrong behind it, axe, and hands outside of the browser.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test as base, expect, type Page } from "@playwright/test";
import type { AxeResults } from "axe-core";

export { expect };

export function given(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "")
    throw new Error(`${name} is not set: go test ./e2e/console runs these steps`);
  return value;
}

export const person = { name: given("HAWSER_USER"), password: given("HAWSER_PASSWORD") };

/** Errors of a page: of scripts, of the policy, and answers that browsers call failures. */
export class Problems {
  private readonly seen: string[] = [];
  private readonly allowed: RegExp[] = [];

  /** What a test provokes is none. */
  allow(...patterns: RegExp[]) {
    this.allowed.push(...patterns);
  }

  say(problem: string) {
    this.seen.push(problem);
  }

  all(): string[] {
    return this.seen.filter((problem) => !this.allowed.some((pattern) => pattern.test(problem)));
  }
}

interface Fixtures {
  problems: Problems;
  /** False for tests of the login itself. */
  loggedIn: boolean;
}

export const test = base.extend<Fixtures>({
  loggedIn: [true, { option: true }],
  // biome-ignore lint/correctness/noEmptyPattern: the form that Playwright wants
  problems: async ({}, use) => {
    const problems = new Problems();
    await use(problems);
    expect(problems.all(), "errors of the page").toEqual([]);
  },
  page: async ({ page, problems, loggedIn }, use) => {
    page.on("pageerror", (error) => problems.say(`script: ${error.stack ?? error.message}`));
    page.on("console", (line) => {
      if (line.type() === "error") problems.say(`console: ${line.text()} ${line.location().url}`);
    });
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (e) => {
        console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber} ${e.sample}`);
      });
    });
    if (loggedIn) await logIn(page);
    await use(page);
  },
});

/** Logs the browser in without the page of it. */
export async function logIn(page: Page): Promise<void> {
  const answer = await page.request.post("/api/v1/login", {
    data: { username: person.name, password: person.password, browser: true },
  });
  expect(answer.status(), await answer.text()).toBe(200);
}

/** Waits until a view shows what it has: nothing of it is being loaded. */
export async function settled(page: Page): Promise<void> {
  await expect(page.locator("main")).toBeVisible();
  await expect(page.locator("[aria-busy=true]")).toHaveCount(0);
}

/** Of a phone, of a small window, and of a laptop. */
export const widths = [390, 1024, 1440];

/** Opens a view at a width, and fails when the page scrolls sideways: what is too wide scrolls by itself. */
export async function fits(page: Page, path: string, width: number): Promise<void> {
  await page.setViewportSize({ width, height: 900 });
  await page.goto(path);
  await settled(page);
  expect(await tooWide(page), `${path} at ${width}`).toEqual([]);
}

/** What reaches beyond the window, or beyond a box that hides it from everybody; empty when nothing does. */
export async function tooWide(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const page = [document.documentElement, document.getElementById("content")];
    const over = page.filter((e): e is HTMLElement => e !== null && e.scrollWidth > e.clientWidth);
    if (over.length === 0) return [];
    const edge = document.documentElement.clientWidth;
    const names = [...document.querySelectorAll<HTMLElement>("main *, header *")]
      .filter((e) => e.getBoundingClientRect().right > edge + 1)
      .map((e) => `${e.tagName.toLowerCase()}.${e.className} ${(e.textContent ?? "").slice(0, 40)}`);
    return [
      ...over.map((e) => `${e.tagName.toLowerCase()} is ${e.scrollWidth} of ${e.clientWidth}`),
      ...names.slice(0, 8),
    ];
  });
}

/** Fails when something that is clicked has no key, or when Tab does not leave the view again. */
export async function byKeys(page: Page): Promise<void> {
  // What looks as if it were clicked is, or is within, something that has the focus: or a list whose keys are its own.
  const mouseOnly = await page.evaluate(() => {
    const keyed =
      "a[href], button, input, select, textarea, summary, label, [tabindex], [contenteditable=true], canvas, [aria-hidden=true], [role=option]";
    return [...document.querySelectorAll<HTMLElement>("main *")]
      .filter((e) => getComputedStyle(e).cursor === "pointer" && e.getClientRects().length > 0)
      .filter((e) => e.closest(keyed) === null && e.querySelector(keyed) === null)
      .map((e) => `${e.tagName.toLowerCase()}.${e.className} ${(e.textContent ?? "").slice(0, 40)}`);
  });
  expect.soft(mouseOnly, `without keys at ${page.url()}`).toEqual([]);
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  const within = () => page.evaluate(() => document.activeElement?.closest("main") != null);
  let was = false;
  for (let i = 0; i < 400; i++) {
    await page.keyboard.press("Tab");
    const is = await within();
    if (was && !is) return;
    was = is;
  }
  throw new Error(`Tab does not come out of ${page.url()}`);
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Fails when axe finds something that keeps people out. */
export async function accessible(page: Page): Promise<void> {
  await page.evaluate(axeSource);
  // Colours that are on their way are nobody's contrast; what was just changed sets out with the next frame.
  await page.evaluate(async () => {
    for (;;) {
      await new Promise((frame) => requestAnimationFrame(() => requestAnimationFrame(frame)));
      const ends = document.getAnimations().filter((a) => a.effect?.getComputedTiming().iterations !== Infinity);
      const running = ends.filter((a) => a.playState === "running");
      if (running.length === 0) return;
      await Promise.allSettled(running.map((a) => a.finished));
    }
  });
  const found = await page.evaluate(async () => {
    const axe = (window as unknown as { axe: { run(o: object): Promise<AxeResults> } }).axe;
    const results = await axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] });
    return results.violations.map((v) => ({
      id: v.id,
      help: v.help,
      at: v.nodes.map((n) => `${n.html} ${n.any[0]?.message ?? ""}`).slice(0, 5),
    }));
  });
  expect.soft(found, `axe at ${page.url()}`).toEqual([]);
}

/** Has something done outside of the browser; e2e/console says what there is. */
export async function hand<Answer = null>(name: string, arg: unknown = null): Promise<Answer> {
  const answer = await fetch(`${given("HAWSER_HANDS")}/${name}`, { method: "POST", body: JSON.stringify(arg) });
  if (!answer.ok) throw new Error(`${name}: ${await answer.text()}`);
  return (await answer.json()) as Answer;
}

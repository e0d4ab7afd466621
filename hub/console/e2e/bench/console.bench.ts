// Speed and memory of the console over a hub of goal size, while changes arrive.
import { readFileSync } from "node:fs";
import { shellSizes } from "../../shell";
import { nav } from "../../src/frame/nav";
import { pathOf, paths } from "../../src/routes/urls";
import { expect, logIn, settled, test } from "../hub";
import { add, untilPainted } from "./measure";

const repeats = 5;

test("first load", async ({ browser }) => {
  for (let i = 0; i < repeats; i++) {
    const context = await browser.newContext(); // nothing is cached
    const page = await context.newPage();
    await logIn(page);
    await page.goto(paths.fleet);
    await settled(page);
    const at = await page.evaluate(
      () =>
        new Promise<number>((resolve) => {
          new PerformanceObserver((list) => resolve(list.getEntries().at(-1)?.startTime ?? Number.NaN)).observe({
            type: "largest-contentful-paint",
            buffered: true,
          });
        }),
    );
    add({ name: "lcp", what: "first load: largest contentful paint", unit: "s", goal: 2, of: "p75" }, at / 1000);
    await context.close();
  }
});

test("routes", async ({ page }) => {
  await page.goto(paths.settings);
  await settled(page);
  for (let i = 0; i < repeats; i++) {
    for (const { to } of nav.flat()) {
      const ms = await untilPainted(page, `nav a[href^="${to}"]`, { path: to });
      const first = i === 0 ? { name: "route-first", what: "a view the first time" } : undefined;
      add(
        { ...(first ?? { name: "route", what: "a view that was seen before", goal: 0.3, of: "p75" }), unit: "s" },
        ms / 1000,
      );
    }
  }
});

test("interactions", async ({ page }) => {
  await page.goto(paths.applications);
  await settled(page);
  // The Event Timing API: from the key or the click until the frame that shows it.
  await page.evaluate(() => {
    const all: number[] = [];
    Object.assign(window, { interactions: all });
    new PerformanceObserver((list) => {
      for (const e of list.getEntries() as (PerformanceEntry & { interactionId: number })[])
        if (e.interactionId > 0) all.push(e.duration);
    }).observe({ type: "event", durationThreshold: 16, buffered: false } as PerformanceObserverInit);
  });
  for (let i = 0; i < repeats; i++) {
    await page.keyboard.press("ControlOrMeta+k");
    await expect(page.getByRole("dialog")).toBeVisible();
    await page.keyboard.type("checkout", { delay: 60 });
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toBeHidden();
    await page.keyboard.press("?");
    await expect(page.getByRole("dialog")).toBeVisible();
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toBeHidden();
  }
  const all = await page.evaluate(() => (window as unknown as { interactions: number[] }).interactions);
  expect(all.length).toBeGreaterThan(repeats);
  for (const ms of all)
    add(
      { name: "interaction", what: "a key or a click until the page shows it", unit: "s", goal: 0.2, of: "p75" },
      ms / 1000,
    );
});

// The first application of the seed has a tree of 1,000 objects.
const large = "checkout-prod-00000";

test("tree", async ({ page }) => {
  for (let i = 0; i < repeats; i++) {
    // From a tab that asks the cluster nothing: the agents of the seed have no events to follow.
    // Drawn as it comes, with what is alike grouped, and with every object of its own.
    for (const [name, what, group] of [
      ["tree", "a tree of 1,000 objects", ""],
      ["tree-whole", "a tree of 1,000 objects, none of them grouped", "&group=off"],
    ] as const) {
      await page.goto(`${pathOf("application", large)}?tab=history${group}`);
      await settled(page);
      await page.evaluate(() => new Promise((resolve) => requestIdleCallback(resolve)));
      const done = { path: pathOf("application", large), shows: "main [role=treeitem]" };
      const ms = await untilPainted(page, 'main nav a[href*="tab=tree"]', done);
      add({ name, what, unit: "s", goal: 0.5, of: "median" }, ms / 1000);
    }
  }
});

test("heat map", async ({ browser }) => {
  for (let i = 0; i < repeats; i++) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await logIn(page);
    await page.goto(paths.settings);
    await settled(page);
    const ms = await untilPainted(page, `nav a[href^="${paths.fleet}"]`, {
      path: paths.fleet,
      shows: "main [role=listbox] canvas",
    });
    const what = "the heat map of all clusters, from another page, nothing of it loaded";
    add({ name: "heat-map", what, unit: "s", goal: 1, of: "p75" }, ms / 1000);
    await context.close();
  }
});

test("list filter", async ({ page }) => {
  await page.goto(paths.applications);
  await settled(page);
  for (let i = 0; i < repeats; i++) {
    // Another one each time: nothing is answered from what was asked before. The seed names
    // applications by service, stage and number: this is of one, whatever its service.
    const name = `prod-0000${i}`;
    const ms = await page.evaluate(
      (name) =>
        new Promise<number>((resolve, reject) => {
          const start = performance.now();
          const look = () => {
            const rows = [...document.querySelectorAll("main [role=row]")].slice(1); // without the head
            if (rows.length > 0 && rows.every((r) => r.textContent?.includes(name)))
              requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - start)));
            else if (performance.now() - start > 20_000) reject(new Error(`${name} is not found after 20 s`));
            else requestAnimationFrame(look);
          };
          const box = document.querySelector<HTMLInputElement>("main [role=combobox]");
          if (box === null) throw new Error("there is no filter");
          box.focus();
          // As typed: React looks at the value beside its own record of it.
          Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(box, name);
          box.dispatchEvent(new Event("input", { bubbles: true }));
          requestAnimationFrame(look);
        }),
      name,
    );
    add(
      { name: "filter", what: "the last key in the filter until its rows are shown", unit: "s", goal: 0.25, of: "p75" },
      ms / 1000,
    );
  }
});

test("shell", async () => {
  const { total } = shellSizes(new URL("../../dist/app/", import.meta.url));
  add(
    { name: "shell", what: "JavaScript that every page loads, gzip", unit: "KB", goal: 200, of: "max" },
    total / 1000,
  );
});

test("memory", async ({ page, browser }) => {
  const minutes = Number(process.env.HAWSER_BENCH_MINUTES ?? "10");
  await page.goto(paths.applications);
  await settled(page);
  await page.waitForTimeout(minutes * 60_000); // that it lasts is what is measured
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("HeapProfiler.collectGarbage");
  await devtools.send("Performance.enable");
  const { metrics } = await devtools.send("Performance.getMetrics");
  const heap = metrics.find((m) => m.name === "JSHeapUsedSize")?.value ?? Number.NaN;
  add({ name: "heap", what: `JavaScript's memory after ${minutes} minutes of changes`, unit: "MB" }, heap / 1e6);
  const whole = await browser.newBrowserCDPSession();
  const { processInfo } = await whole.send("SystemInfo.getProcessInfo");
  const tabs = processInfo.filter((p) => p.type === "renderer").map((p) => ownMemory(p.id));
  add(
    { name: "tab", what: `memory of the tab after ${minutes} minutes of changes`, unit: "MB", goal: 250, of: "max" },
    Math.max(...tabs) / 1e6,
  );
});

/** Bytes that a process shares with no other. */
function ownMemory(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  let sum = 0;
  for (const m of rollup.matchAll(/^Private_\w+:\s+(\d+) kB$/gm)) sum += Number(m[1]) * 1024;
  return sum;
}

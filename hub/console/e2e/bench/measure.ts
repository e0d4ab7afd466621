// How samples reach e2e/bench, which has the statistics, the goals and the table.
import { appendFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { given } from "../hub";

interface Measure {
  name: string;
  what: string;
  unit: string;
  /** At most this, of the statistic "of". */
  goal?: number;
  of?: "median" | "p75" | "p99" | "max";
}

export function add(measure: Measure, value: number): void {
  appendFileSync(given("HAWSER_MEASURED"), `${JSON.stringify({ ...measure, value })}\n`);
}

/**
 * Clicks what a selector finds first and returns after how many milliseconds the page
 * has painted what done waits for. The clock runs in the page, without the way there.
 */
export async function untilPainted(page: Page, selector: string, done: Painted): Promise<number> {
  return page.evaluate(
    ([selector, done]) =>
      new Promise<number>((resolve, reject) => {
        const element = document.querySelector<HTMLElement>(selector);
        if (element === null) throw new Error(`there is no ${selector}`);
        const start = performance.now();
        const look = () => {
          const there = location.pathname === done.path && document.querySelector("main h1") !== null;
          const shown = done.shows === undefined || document.querySelector(done.shows) !== null;
          if (there && shown && document.querySelector("main [aria-busy=true]") === null) {
            // The frame after this one has been painted when the next begins.
            requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - start)));
          } else if (performance.now() - start > 20_000) {
            reject(new Error(`${done.path} is not there after 20 s`));
          } else {
            requestAnimationFrame(look);
          }
        };
        element.click();
        requestAnimationFrame(look);
      }),
    [selector, done] as const,
  );
}

interface Painted {
  path: string;
  /** Selector of what is there then, besides the heading. */
  shows?: string;
}

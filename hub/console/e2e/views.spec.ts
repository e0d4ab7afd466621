import { shellFiles } from "../shell";
import { paths } from "../src/routes/urls";
import { accessible, byKeys, expect, fits, hand, settled, test, widths } from "./hub";

const { home: _, login: __, ...rest } = paths;

// Pages about one thing need it; here is none. walk.spec.ts has some.
const views = Object.entries(rest).filter(([, path]) => !path.includes("$"));

for (const [name, path] of views) {
  test(`${name} opens without an error, and keeps nobody out`, async ({ page }) => {
    await page.goto(path);
    await settled(page);
    await expect(page.locator("h1")).toHaveCount(1);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await accessible(page);
    }
    await byKeys(page);
  });
}

for (const [name, path] of views) {
  test(`${name} never scrolls sideways`, async ({ page }) => {
    for (const width of widths) await fits(page, path, width);
  });
}

test("credential templates with long addresses have room, also beside a side sheet", async ({ page }) => {
  await page.goto(paths.repositories);
  await settled(page);
  const said = await page.evaluate(async () => {
    const url = "https://git.example.com/a-department-with-a-long-name/and-a-team-with-another";
    const answer = await fetch("/api/v1/repository-templates", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ url, username: "git", password: "none" }),
    });
    return answer.ok ? "" : await answer.text();
  });
  expect(said).toBe("");
  for (const sheet of ["", "&sheet=add"])
    for (const width of widths) {
      await fits(page, `${paths.repositories}?tab=templates${sheet}`, width);
      const table = page.getByRole("table");
      await expect(table).toBeAttached();
      expect(
        await table.evaluate((e) => (e.parentElement?.scrollWidth ?? 0) - (e.parentElement?.clientWidth ?? 0)),
      ).toBe(0);
      if (sheet === "") await accessible(page);
    }
});

test("a text never becomes markup, whatever a script does with it", async ({ page, problems }) => {
  await page.goto(paths.fleet);
  await settled(page);
  const refused = await page.evaluate(() => {
    const tried: Record<string, () => unknown> = {
      markup: () => {
        document.createElement("div").innerHTML = "<b>x</b>";
      },
      script: () => {
        document.createElement("script").src = "/assets/x.js";
      },
      worker: () => new Worker("/assets/x.js"),
      policy: () =>
        (
          window as unknown as { trustedTypes: { createPolicy(n: string, o: object): unknown } }
        ).trustedTypes.createPolicy("another", {}),
    };
    return Object.entries(tried).map(([what, run]) => {
      try {
        run();
        return `${what} was done`;
      } catch (e) {
        return `${what}: ${(e as Error).name}`;
      }
    });
  });
  expect(refused).toEqual(["markup: TypeError", "script: TypeError", "worker: TypeError", "policy: TypeError"]);
  // Each is reported too: so the steps of all views fail when the console's own code does one of them.
  await expect.poll(() => problems.all().filter((p) => p.startsWith("console: policy: ")).length).toBe(4);
  problems.allow(/policy: |TrustedHTML|TrustedScriptURL|Trusted Types|TrustedTypePolicy/);
});

test("every view is reached from the first without loading the page again", async ({ page }) => {
  await page.goto(paths.fleet);
  await settled(page);
  await page.evaluate(() => Object.assign(window, { same: true }));
  const links = page.getByRole("navigation").first().getByRole("link");
  const count = await links.count();
  expect(count).toBeGreaterThan(4);
  for (let i = 0; i < count; i++) {
    const address = await links.nth(i).getAttribute("href");
    await links.nth(i).click();
    await expect(page).toHaveURL(new RegExp(`${address?.replace(/[?].*/, "")}`));
    await settled(page);
  }
  expect(await page.evaluate(() => "same" in window)).toBe(true);
});

test("an address that is none says so, and loads the shell that is counted, and no more", async ({ page }) => {
  const loaded: string[] = [];
  page.on("request", (r) => {
    if (r.resourceType() === "script") loaded.push(new URL(r.url()).pathname.slice(1));
  });
  await page.goto("/no/such/page");
  await expect(page.locator("main")).toBeVisible();
  await accessible(page);
  expect(loaded.sort()).toEqual(shellFiles(new URL("../dist/app/", import.meta.url), "en").sort());
});

test("a hub that goes away and comes back keeps the page usable", async ({ page, problems }) => {
  problems.allow(/ERR_CONNECTION|ERR_HTTP2|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE/);
  await page.goto(paths.applications);
  await settled(page);
  const live = page.getByRole("status").filter({ hasText: /live/i });
  await expect(live).toBeVisible();
  await hand("stop-hub");
  await expect(live).toBeHidden();
  await expect(page.locator("h1")).toBeVisible();
  await hand("start-hub");
  await expect(live).toBeVisible({ timeout: 30_000 });
});

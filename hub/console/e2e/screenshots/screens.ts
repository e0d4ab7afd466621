// Pictures of every view for people to look at: both themes, wide and narrow, in German,
// and with high contrast. A view that scrolls sideways fails its step.
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { paths } from "../../src/routes/urls";
import { expect, given, settled, test, tooWide } from "../hub";

const wide = { width: 1440, height: 900 };
const narrow = { width: 390, height: 844 };

interface Look {
  size: { width: number; height: number };
  scheme: "light" | "dark";
  locale?: "de";
  contrast?: "more";
}

const looks: Record<string, Look> = {
  "wide-light": { size: wide, scheme: "light" },
  "wide-dark": { size: wide, scheme: "dark" },
  "narrow-light": { size: narrow, scheme: "light" },
  "narrow-dark": { size: narrow, scheme: "dark" },
  "wide-german": { size: wide, scheme: "light", locale: "de" },
  "narrow-german": { size: narrow, scheme: "dark", locale: "de" },
  "wide-contrast-light": { size: wide, scheme: "light", contrast: "more" },
  "wide-contrast-dark": { size: wide, scheme: "dark", contrast: "more" },
};

const { home: _, ...rest } = paths;

// What the seed of e2e/bench has.
const things: Record<string, string> = {
  $application: "checkout-prod-00000",
  $cluster: "busy-000",
  $project: "team-000",
};
const application = `/apps/${things.$application}`;
const project = `/projects/${things.$project}`;

const views: Record<string, string> = {
  ...Object.fromEntries(
    Object.entries(rest)
      .map(([name, path]) => [name, path.replace(/\$\w+/, (thing) => things[thing] ?? thing)] as const)
      .filter(([, path]) => !path.includes("$")),
  ),
  job: "/jobs/$job",
  "not-found": "/no/such/page",
  "fleet-table": "/fleet?view=table",
  "fleet-filtered": "/fleet?q=name:nothing-is-called-so",
  "cluster-labels": `/clusters/${things.$cluster}?edit=labels`,
  "cluster-silent": "/clusters/af-south-1-prod-0086",
  "applications-grouped": "/apps?group=cluster",
  "applications-filtered": "/apps?q=health:degraded name:nothing",
  "applications-new": "/apps?dialog=new",
  ...Object.fromEntries(
    ["tree", "logs", "terminal", "events", "history", "parameters", "manifests"].map((tab) => [
      `application-${tab}`,
      `${application}?tab=${tab}`,
    ]),
  ),
  "application-diff": "/apps/$drifted?tab=diff",
  "application-drifted": "/apps/$drifted",
  "application-list": `${application}?tab=tree&view=list`,
  "application-pods": `${application}?tab=tree&view=pods`,
  "application-sync": `${application}?panel=sync`,
  "application-object": `${application}?tab=tree&sel=apps/Deployment/${things.$project}/web&sheet=summary`,
  "projects-new": "/projects?dialog=new",
  ...Object.fromEntries(
    ["sources", "destinations", "kinds", "roles", "windows", "signing", "simulator"].map((tab) => [
      `project-${tab}`,
      `${project}?tab=${tab}`,
    ]),
  ),
  "repositories-add": "/repositories?sheet=add",
  "repositories-templates": "/repositories?tab=templates",
  "repositories-templates-add": "/repositories?tab=templates&sheet=add",
  ...Object.fromEntries(
    ["tokens", "accounts", "sessions", "providers", "rbac", "customizations", "gpg"].map((tab) => [
      `settings-${tab}`,
      `/settings?tab=${tab}`,
    ]),
  ),
};

/** What a view does that no address says. */
const then: Record<string, (page: Page) => Promise<void>> = {
  "application-parameters": async (page) => {
    const edit = page
      .locator("main")
      .getByRole("button", { name: /^(Edit|.*bearbeiten|.*ändern)/i })
      .first();
    if (await edit.isVisible()) await edit.click();
    await settled(page);
  },
};

test("the hub has repositories, templates and a job", async ({ page }) => {
  await page.goto(paths.fleet);
  await settled(page);
  const said = await page.evaluate(async () => {
    const post = async (path: string, body: object) => {
      const answer = await fetch(`/api/v1${path}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      return answer.ok ? "" : `${path}: ${await answer.text()}`;
    };
    return Promise.all([
      ...["payments", "checkout-with-a-very-long-name-for-a-repository", "search"].map((name) =>
        post("/repositories", { url: `https://git.example.com/platform/${name}.git`, skipTest: true }),
      ),
      ...["platform", "a-department-with-a-long-name/and-a-team-with-another"].map((name) =>
        post("/repository-templates", { url: `https://git.example.com/${name}`, username: "git", password: "none" }),
      ),
      post("/saved-views", { things: "applications", name: "What is wrong", search: { q: "health:degraded" } }),
    ]);
  });
  const answer = await page.request.post("/api/v1/jobs", { data: { kind: "refresh", filter: "project:team-000" } });
  expect(answer.status(), await answer.text()).toBeLessThan(300);
  expect(said.filter((s) => s !== "" && !/exists|already/.test(s))).toEqual([]);
});

/** An address with the things in it that only the hub knows. */
async function found(page: Page, address: string): Promise<string> {
  const first = async (path: string, query: Record<string, string>) => {
    const answer = await page.request.get(`/api/v1/${path}?${new URLSearchParams({ ...query, limit: "1" })}`);
    return ((await answer.json()) as { items: Record<string, string>[] }).items[0];
  };
  if (address.includes("$job")) return address.replace("$job", (await first("jobs", {}))?.id ?? "");
  if (!address.includes("$drifted")) return address;
  // One whose agent does not change it while pictures are taken.
  const filter = "sync:outofsync freshness:live -cluster:busy-*";
  return address.replace(
    "$drifted",
    (await first("applications", { filter, sort: "name", fields: "name" }))?.name ?? "",
  );
}

for (const [name, address] of Object.entries(views)) {
  test(name, async ({ page, problems }) => {
    problems.allow(/ (409|503) /); // the seeded agents answer no questions
    for (const [called, look] of Object.entries(looks)) {
      await page.addInitScript(({ locale, contrast }: Look) => {
        localStorage.setItem("hawser.locale", locale ?? "en");
        localStorage.setItem("hawser.look", JSON.stringify({ contrast: contrast ?? "auto" }));
      }, look);
      await page.setViewportSize(look.size);
      await page.emulateMedia({ colorScheme: look.scheme });
      await page.goto(await found(page, address));
      await settled(page).catch(() => undefined); // a view that never is settled is worth a picture, too
      await then[name]?.(page);
      expect.soft(await tooWide(page), `${address} ${called}`).toEqual([]);
      await page.screenshot({ path: join(given("HAWSER_SCREENSHOTS"), `${name}-${called}.png`) });
    }
  });
}

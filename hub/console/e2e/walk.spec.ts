// The whole way with keys alone, over a real cluster and a real Git server.
import type { Locator, Page } from "@playwright/test";
import { pathOf, paths } from "../src/routes/urls";
import { accessible, byKeys, expect, hand, settled, test, tooWide, widths } from "./hub";

/** Goes to a control as somebody without a mouse does: with Tab, until it has the focus. */
async function reach(page: Page, control: Locator): Promise<void> {
  await expect(control).toBeVisible();
  for (let i = 0; i < 200; i++) {
    if (await control.evaluate((e) => e === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`no Tab leads to ${control}`);
}

async function press(page: Page, control: Locator): Promise<void> {
  await expect(control).toBeEnabled();
  await reach(page, control);
  await page.keyboard.press("Enter");
}

async function fill(page: Page, field: Locator, text: string): Promise<void> {
  await reach(page, field);
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type(text);
}

/** Presses the keys of a chord as fast typists do: the next before the page has done with the one before. */
async function chord(page: Page, keys: string): Promise<void> {
  await Promise.all(keys.split(" ").map((key) => page.keyboard.press(key)));
}

test("enrol, project, application, commit, drift, rollback and logs, without a mouse", async ({
  page,
  context,
  problems,
}) => {
  problems.allow(/ 404 .*\/clusters\/eu$/); // that is how the checklist learns that it is not there yet
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.addInitScript(() => {
    addEventListener("pointerdown", (e) => e.isTrusted && console.error("a mouse was used"), true);
  });
  const button = (name: string | RegExp) => page.getByRole("button", { name });
  const repository = await hand<string>("repository");

  await test.step("a cluster is enrolled with the command that the console gives", async () => {
    await page.goto(paths.fleet);
    await settled(page);
    await chord(page, "g c");
    await expect(page).toHaveURL(new RegExp(`${paths.clusters}$`));
    await settled(page);
    await press(page, page.locator(`main a[href^="${paths.enrol}"]`).first());
    await expect(page).toHaveURL(new RegExp(paths.enrol));
    await settled(page); // Enter sends nothing while it is not known what may be sent
    await fill(page, page.locator("main input").first(), "eu");
    await page.keyboard.press("Enter");
    await press(page, button("Copy the command"));
    const command = await expect
      .poll(() => page.evaluate(() => navigator.clipboard.readText()))
      .toContain("helm upgrade --install")
      .then(() => page.evaluate(() => navigator.clipboard.readText()));
    await hand("enrol", command);
    await expect(page.locator("main li[data-state=done]")).toHaveCount(3);
    await accessible(page);
  });

  await test.step("a project is made", async () => {
    await chord(page, "g p");
    await expect(page).toHaveURL(new RegExp(`${paths.projects}$`));
    await settled(page);
    await press(page, button("New project").first());
    const dialog = page.getByRole("dialog");
    await fill(page, dialog.getByLabel("Name", { exact: false }).first(), "team");
    await fill(page, dialog.getByLabel("First source"), repository);
    await fill(page, dialog.getByLabel("First destination: clusters"), "eu");
    await fill(page, dialog.getByLabel("Namespaces"), "shop");
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(new RegExp(`${pathOf("project", "team")}$`));
    await settled(page);
    await accessible(page);
  });

  await test.step("an application is made", async () => {
    await chord(page, "g a");
    await expect(page).toHaveURL(new RegExp(`${paths.applications}$`));
    await settled(page);
    await press(page, button("New application").first());
    const dialog = page.getByRole("dialog");
    await fill(page, dialog.getByLabel("Name", { exact: false }).first(), "shop");
    await fill(page, dialog.getByLabel("Project"), "team");
    await fill(page, dialog.getByLabel("Repository"), repository);
    await fill(page, dialog.getByLabel("Path in it"), "deploy");
    await fill(page, dialog.getByLabel("Cluster"), "eu");
    await fill(page, dialog.getByLabel("Namespace", { exact: true }), "shop");
    await press(page, dialog.getByRole("button", { name: "Check" }));
    await expect(dialog.getByText("The hub would take it")).toBeVisible();
    await accessible(page);
    await press(page, dialog.getByRole("button", { name: "Make application" }));
    await expect(page).toHaveURL(new RegExp(`${pathOf("application", "shop")}$`));
    await expect(page.locator("main header").getByText("In sync")).toBeVisible();
    await expect(page.locator("main header").getByText("Healthy")).toBeVisible();
    await accessible(page);
  });

  const deployments = page.getByRole("list", { name: "Deployments" }).locator("> li");

  await test.step("a commit is deployed, and seen", async () => {
    await chord(page, "h");
    await expect(deployments).toHaveCount(1);
    await hand("commit", { message: "Shop 2", image: "registry.example/shop:2" });
    await expect(deployments).toHaveCount(2);
    await expect(deployments.first()).toContainText("Shop 2");
    await accessible(page);
  });

  await test.step("drift is seen, with the field and who set it", async () => {
    await chord(page, "o");
    await expect(page.locator("main header").getByText("In sync")).toBeVisible();
    await hand("drift");
    await expect(page.locator("main header").getByText("Drifted")).toBeVisible();
    const drift = page.getByRole("region", { name: "What differs from the sources" });
    await expect(drift).toContainText("replicas");
    await expect(drift).toContainText("somebody");
    await accessible(page);
  });

  await test.step("the deployment before comes back, and stays", async () => {
    await chord(page, "h");
    await press(page, button("Go back to deployment 1"));
    await fill(page, page.getByLabel("Reason"), "shop 2 is slow");
    await accessible(page);
    await press(page, button("Go back to #1"));
    await expect(page.getByText("It is rolled back.")).toBeVisible();
    await expect(deployments).toHaveCount(3);
    await expect(deployments.first()).toContainText("shop 2 is slow");
    await page.keyboard.press("Escape");
    await expect(page.locator("main header").getByText("In sync")).toBeVisible();
  });

  await test.step("logs are followed", async () => {
    await chord(page, "l");
    await hand("say", "the shop is open");
    await expect(page.getByText("the shop is open")).toBeVisible();
    await hand("say", "<b>somebody</b> came in");
    await expect(page.getByText("<b>somebody</b> came in")).toBeVisible();
    await accessible(page);
  });

  await test.step("a shell is opened in the pod, left by its chord, and says how it ended", async () => {
    await page.keyboard.press("Tab"); // out of whatever took the keys
    await press(page, page.locator("main nav a").filter({ hasText: /^Terminal$/ }));
    const terminal = page.getByRole("textbox", { name: /^Terminal of web in / });
    await expect(terminal).toBeFocused();
    const shown = page.locator(".xterm-rows");
    await expect(shown).toContainText(/welcome [0-9]+x[0-9]+/);
    await page.keyboard.type("hello");
    await page.keyboard.press("Enter");
    await expect(shown).toContainText("you said <b>hello</b>");
    await expect(page).not.toHaveTitle(/owned/);
    // Keys are the container's, also those that are chords elsewhere.
    await page.keyboard.press("Escape");
    await page.keyboard.press("Tab");
    await expect(terminal).toBeFocused();
    await page.keyboard.press("Control+Shift+X");
    await expect(button("New session")).toBeFocused();
    await accessible(page);
    await terminal.focus();
    await page.keyboard.press("Enter");
    await page.keyboard.type("exit");
    await page.keyboard.press("Enter");
    await expect(page.getByText("exit code 7")).toBeVisible();
    await press(page, button("New session"));
    await expect(page.locator(".xterm-rows")).toContainText("welcome");
    await page.keyboard.press("Control+Shift+X");
  });

  await test.step("the side sheet of a pod has a shell of 80 columns", async () => {
    const name = (await page.getByRole("textbox", { name: /^Terminal of web in / }).getAttribute("aria-label")) ?? "";
    const pod = name.replace(/^.* in /, "");
    await page.goto(`${pathOf("application", "shop")}?sel=%2FPod%2Fshop%2F${pod}&sheet=terminal`);
    const sheet = page.getByRole("complementary").filter({ hasText: pod });
    await expect(sheet.getByRole("textbox", { name })).toBeFocused();
    await expect(sheet.locator(".xterm-rows")).toContainText(/welcome [89][0-9]x[0-9]+/);
    await page.keyboard.press("Escape");
    await expect(sheet).toBeVisible();
    await accessible(page);
    await page.keyboard.press("Control+Shift+X");
    await page.keyboard.press("Escape");
    await expect(sheet).toBeHidden();
  });

  await test.step("one object is deleted, by its name typed", async () => {
    await page.goto(`${pathOf("application", "shop")}?sel=apps%2FDeployment%2Fshop%2Fweb&sheet=summary`);
    await settled(page);
    const sheet = page.getByRole("complementary").filter({ hasText: "web" });
    await press(page, sheet.getByRole("button", { name: "Actions" }));
    await page.getByRole("menuitem", { name: "Delete…" }).press("Enter");
    const dialog = page.getByRole("dialog");
    await expect(dialog).toContainText(
      "hawser app delete-resource shop --kind Deployment --group apps --namespace shop",
    );
    await fill(page, dialog.getByLabel(/web/), "web");
    await accessible(page);
    await press(page, dialog.getByRole("button", { name: "Delete" }));
    await expect(page.locator("main header").getByText("Action succeeded")).toBeVisible();
  });

  await test.step("parameters of the source are changed, with what is wrong beside its field", async () => {
    await page.goto(pathOf("application", "shop"));
    await settled(page);
    await chord(page, "p");
    const source = page.getByRole("region", { name: "Source" });
    await expect(source.getByText("No parameters")).toBeVisible();
    await press(page, source.getByRole("button", { name: /^Edit/ }));
    await reach(page, source.getByRole("combobox", { name: "Tool" }));
    await page.keyboard.type("Dir");
    await expect(page.getByRole("option")).toHaveCount(1);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await fill(page, source.getByLabel("Files to leave out"), "{notes.yaml,tests/*}");
    await press(page, button("Add to Jsonnet libraries"));
    await expect(source.getByRole("textbox", { name: "Jsonnet libraries 1" })).toBeFocused();
    await page.keyboard.type("vendor");
    await expect(source).toContainText(
      "hawser app set shop --directory-exclude '{notes.yaml,tests/*}' --jsonnet-libs vendor",
    );
    await accessible(page);
    await press(page, button("Save"));
    await expect(source.getByText("{notes.yaml,tests/*}")).toBeVisible();
    await expect(source.getByText("vendor")).toBeVisible();
    await accessible(page);
  });
});

/** The tabs and sheets of pages about one thing, as their addresses say them. */
const parts: Record<string, string[]> = {
  application: [
    ...["tree", "diff", "logs", "terminal", "events", "history", "parameters", "manifests"].map((tab) => `?tab=${tab}`),
    "?tab=tree&view=list",
    "?tab=tree&view=pods",
    "?panel=sync",
    ...["summary", "yaml", "events"].map((sheet) => `?tab=tree&sel=apps/Deployment/shop/web&sheet=${sheet}`),
  ],
  cluster: ["?edit=labels", "?edit=aliases"],
  project: ["sources", "destinations", "kinds", "roles", "windows", "signing", "simulator"].map((tab) => `?tab=${tab}`),
  job: [],
};

// Over what the walk has left.
test("pages about one thing open without an error, keep nobody out, and never scroll sideways", async ({ page }) => {
  await page.goto(paths.fleet);
  await settled(page);
  const job = await page.evaluate(async () => {
    const answer = await fetch("/api/v1/jobs", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ kind: "refresh", filter: "name:shop" }),
    });
    return ((await answer.json()) as { id: string }).id;
  });
  // What the walk has deleted comes back, and then drifts.
  await page.goto(pathOf("application", "shop"));
  const synced = await page.request.post("/api/v1/applications/shop/sync", { data: {} });
  expect(synced.status(), await synced.text()).toBeLessThan(300);
  await expect(page.locator("main header").getByText("Healthy")).toBeVisible();
  await hand("drift");
  await expect(page.locator("main header").getByText("Drifted")).toBeVisible();
  const things: Record<string, string> = { application: "shop", cluster: "eu", project: "team", job };
  const about = Object.entries(paths).filter(([, path]) => path.includes("$"));
  expect(about.map(([noun]) => noun).sort()).toEqual(Object.keys(parts).sort());
  for (const [noun] of about)
    for (const part of ["", ...(parts[noun] ?? [])]) {
      const address = `${pathOf(noun as "application", things[noun] ?? "")}${part}`;
      await test.step(address, async () => {
        await page.goto(address);
        await settled(page);
        await expect(page.locator("h1")).toHaveCount(1);
        for (const width of widths) {
          await page.setViewportSize({ width, height: 900 });
          await settled(page);
          expect.soft(await tooWide(page), `${address} at ${width}`).toEqual([]);
        }
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme });
          await accessible(page);
        }
        // A shell has the keys, Tab too; its chord leads out.
        if (!part.includes("terminal")) await byKeys(page);
      });
    }
});

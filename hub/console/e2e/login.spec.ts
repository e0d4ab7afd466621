import { paths } from "../src/routes/urls";
import { accessible, expect, hand, person, settled, test } from "./hub";

test.use({ loggedIn: false });

test("who is not logged in logs in and comes to the page that was asked for", async ({ page, problems }) => {
  problems.allow(/401/); // that is how the console learns of it
  await page.goto(paths.audit);
  await expect(page).toHaveURL(new RegExp(`${paths.login}\\?return=`));
  await accessible(page);
  await page.locator("input[name=username]").fill(person.name);
  await page.locator("input[name=password]").fill("not the password");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toBeVisible();
  await page.locator("input[name=password]").fill(person.password);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`${paths.audit}$`));
  await settled(page);
});

test("a session that ended asks for the login, and keeps the address", async ({ page, problems }) => {
  problems.allow(/401/);
  await page.goto(paths.projects);
  await page.locator("input[name=username]").fill(person.name);
  await page.locator("input[name=password]").fill(person.password);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`${paths.projects}$`));
  await settled(page);
  await page.context().clearCookies();
  await page.goto(`${paths.applications}?q=health:degraded`);
  await expect(page).toHaveURL(new RegExp(`${paths.login}\\?return=`));
});

test("a link of a first login logs in once", async ({ page, problems }) => {
  const link = await hand<string>("first-login");
  await page.goto(link);
  await expect(page).toHaveURL(new RegExp(`${paths.fleet}$`));
  await settled(page);
  expect(page.url()).not.toContain("code");
  await page.context().clearCookies();
  problems.allow(/401/);
  await page.goto(`${new URL(link).origin}/first-login`);
  await page.goto(link);
  await expect(page.getByRole("alert")).toContainText("This link was used already");
  await expect(page.getByRole("textbox")).toHaveCount(0);
  await accessible(page);
  await page.getByRole("link", { name: "Log in with them" }).click();
  await expect(page).toHaveURL(new RegExp(`${paths.login}$`));
});

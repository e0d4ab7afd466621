// Pictures of every view for people to look at: both themes, wide and narrow.
import { join } from "node:path";
import { paths } from "../../src/routes/urls";
import { given, settled, test } from "../hub";

const sizes = { wide: { width: 1440, height: 900 }, narrow: { width: 390, height: 844 } };
const { home: _, login: __, ...rest } = paths;

// What the seed of e2e/bench has.
const things: Record<string, string> = {
  $application: "checkout-prod-00000",
  $cluster: "busy-000",
  $project: "team-000",
};

for (const [name, path] of Object.entries(rest)) {
  const address = path.replace(/\$\w+/, (thing) => things[thing] ?? thing);
  if (address.includes("$")) continue;
  test(name, async ({ page }) => {
    for (const [size, viewport] of Object.entries(sizes)) {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        await page.goto(address);
        await settled(page);
        await page.screenshot({ path: join(given("HAWSER_SCREENSHOTS"), `${name}-${size}-${colorScheme}.png`) });
      }
    }
  });
}

import { defineConfig } from "@playwright/test";

// e2e/console starts a hub and runs this; what it needs is in the environment.
export default defineConfig({
  testDir: "e2e",
  outputDir: process.env.HAWSER_OUTPUT ?? "e2e/.results",
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [["list"]],
  use: {
    baseURL: process.env.HAWSER_HUB,
    // The hub's certificate is of its own authority.
    ignoreHTTPSErrors: true,
    locale: "en-GB",
    viewport: { width: 1440, height: 900 },
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.HAWSER_CHROMIUM,
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"],
    },
  },
  projects: [
    { name: "console", testMatch: "*.spec.ts", testIgnore: "walk.spec.ts" },
    { name: "walk", testMatch: "walk.spec.ts", timeout: 8 * 60_000, expect: { timeout: 60_000 } },
    { name: "bench", testMatch: "bench/*.bench.ts", timeout: 15 * 60_000 },
    { name: "screenshots", testMatch: "screenshots/*.ts", timeout: 5 * 60_000 },
  ],
});

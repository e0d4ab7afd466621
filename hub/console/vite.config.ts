import { readFileSync } from "node:fs";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";
import { mantineTheme } from "./mantine.ts";
import { shellBudget, shellSizes } from "./shell.ts";

// Where `npm run dev` finds a hub; its certificate is its own, so it is not checked.
const hub = process.env.HAWSER_HUB ?? "https://127.0.0.1:8443";
const { HAWSER_DEV_CERT: certificate, HAWSER_DEV_KEY: key } = process.env;
const toHub = { target: hub, secure: false, changeOrigin: false, ws: true };

/** Fails the build when the shell has become too much. Views, menus, editor, terminal and graph load when asked for. */
function budget(): Plugin {
  return {
    name: "hawser-budget",
    apply: "build",
    writeBundle() {
      const { total, files } = shellSizes(new URL("dist/app/", import.meta.url));
      const lines = files.map(([file, size]) => `${String(size).padStart(8)} ${file}`);
      if (total > shellBudget)
        this.error(`the shell is ${total} bytes of gzipped JavaScript, more than ${shellBudget}:\n${lines.join("\n")}`);
      this.info(`the shell is ${(total / 1000).toFixed(1)} of ${shellBudget / 1000} KB of gzipped JavaScript`);
    },
  };
}

export default defineConfig({
  plugins: [react(), mantineTheme(), budget()],
  build: {
    outDir: "dist/app",
    emptyOutDir: true,
    target: "es2022",
    manifest: true,
    // Each file has its hash in its name and is served from /assets.
    assetsDir: "assets",
    assetsInlineLimit: 0,
    sourcemap: false,
  },
  server: {
    // Browsers take the cookie of a session over TLS only; e2e/console makes a certificate.
    https: certificate && key ? { cert: readFileSync(certificate), key: readFileSync(key) } : undefined,
    proxy: { "/api": toHub, "/auth": toHub, "/first-login": toHub },
  },
  test: {
    environment: "jsdom",
    setupFiles: ["src/test/setup.ts"],
    include: ["src/**/*.test.{ts,tsx}"],
    css: false,
    restoreMocks: true,
    maxWorkers: 2,
    testTimeout: 30_000,
  },
});

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

// Where `npm run dev` finds a hub; its certificate is its own, so it is not checked.
const hub = process.env.HAWSER_HUB ?? "https://127.0.0.1:8443";
const { HAWSER_DEV_CERT: certificate, HAWSER_DEV_KEY: key } = process.env;
const toHub = { target: hub, secure: false, changeOrigin: false, ws: true };

/** What a first load may bring before anything is seen, gzipped. */
const shellBudget = 200 * 1024;

/**
 * Fails the build when the shell has become too much: the entry, all that it imports,
 * and the messages of one language. Views, editor, terminal and graph load when asked for.
 */
function budget(): Plugin {
  return {
    name: "hawser-budget",
    generateBundle(_, bundle) {
      const seen = new Map<string, number>();
      const walk = (file: string) => {
        const chunk = bundle[file];
        if (chunk?.type !== "chunk" || seen.has(file)) return;
        seen.set(file, gzipSync(chunk.code).length);
        for (const next of chunk.imports) walk(next);
      };
      for (const chunk of Object.values(bundle))
        if (chunk.type === "chunk" && (chunk.isEntry || chunk.facadeModuleId?.endsWith("/messages/en/index.ts")))
          walk(chunk.fileName);
      const total = [...seen.values()].reduce((a, b) => a + b, 0);
      const lines = [...seen].sort((a, b) => b[1] - a[1]).map(([file, size]) => `${String(size).padStart(8)} ${file}`);
      if (total > shellBudget)
        this.error(`the shell is ${total} bytes of gzipped JavaScript, more than ${shellBudget}:\n${lines.join("\n")}`);
      this.info(`the shell is ${Math.round(total / 1024)} of ${shellBudget / 1024} KiB of gzipped JavaScript`);
    },
  };
}

export default defineConfig({
  plugins: [react(), budget()],
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

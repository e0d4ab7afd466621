import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// Where `npm run dev` finds a hub; its certificate is its own, so it is not checked.
const hub = process.env.HAWSER_HUB ?? "https://127.0.0.1:8443";
const toHub = { target: hub, secure: false, changeOrigin: false, ws: true };

export default defineConfig({
  plugins: [react()],
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

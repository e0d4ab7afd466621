import { expect, test } from "vitest";
import { workerAddress } from "./trusted";

test("a worker's address is a script of this page's own build", () => {
  expect(workerAddress("/assets/tree.worker-a1b2.js")).toBe(`${location.origin}/assets/tree.worker-a1b2.js`);
  for (const bad of [
    "https://evil.example/assets/x.js",
    "//evil.example/assets/x.js",
    "/api/v1/applications",
    "/assets/../api/v1/applications",
    "data:text/javascript,alert(1)",
    "blob:https://hub.example/1",
    "javascript:alert(1)",
  ])
    expect(() => workerAddress(bad), bad).toThrow("no worker");
});

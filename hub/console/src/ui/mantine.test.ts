import { expect, test } from "vitest";
import { themeStyles } from "../../mantine";

test("what the provider would write into pages is a style sheet of the build, below our own styles", async () => {
  const css = await themeStyles();
  expect(css).toMatch(/^@layer mantine \{/);
  expect(css).toContain("--mantine-primary-color-filled: var(--mantine-color-accent-filled)");
  expect(css).toContain("--mantine-color-accent-7: #1a5fb4");
  expect(css).toMatch(/:root\[data-mantine-color-scheme="dark"\][^{]*\{[^}]*--mantine-color-accent-filled/);
  expect(css).toContain(".mantine-hidden-from-sm");
  expect(css).not.toMatch(/[<>]style/);
});

// What Mantine's provider writes into every page (the variables of our theme, and the
// classes of its breakpoints) as a style sheet of the build. In the page it would be set
// as markup, which require-trusted-types-for 'script' refuses.
import type { Plugin } from "vite";

/** The module that main.tsx imports. */
const id = "virtual:mantine-theme.css";

/** The text of the style elements that the provider renders. */
export async function themeStyles(): Promise<string> {
  const [{ createElement }, { renderToStaticMarkup }, { MantineProvider }, { theme }] = await Promise.all([
    import("react"),
    import("react-dom/server"),
    import("@mantine/core"),
    import("./src/ui/theme.ts"),
  ]);
  const page = renderToStaticMarkup(createElement(MantineProvider, { theme, env: "test" }));
  const styles = [...page.matchAll(/<style[^>]*>([^<]*)<\/style>/g)].map((m) => m[1]);
  if (styles.length !== 2)
    throw new Error(`the provider of Mantine renders ${styles.length} style elements, not 2:\n${page}`);
  // In Mantine's own layer: theme.css says the last word.
  return `@layer mantine {\n${styles.join("\n")}\n}\n`;
}

export function mantineTheme(): Plugin {
  const resolved = `/${id}`;
  return {
    name: "hawser-mantine-theme",
    resolveId: (source) => (source === id ? resolved : undefined),
    load: (source) => (source === resolved ? themeStyles() : undefined),
  };
}

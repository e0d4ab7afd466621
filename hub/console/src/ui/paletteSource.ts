import type { Right } from "./chords";
import type { IconName } from "./Icon";

/** One line of the command palette. */
export interface PaletteEntry {
  /** Stable: recents are kept by it. */
  id: string;
  /** A stranger's text is fine: it is shown as text. */
  title: string;
  hint?: string;
  icon?: IconName;
  /** Words by which it is found besides its title. */
  keywords?: string;
  /** A page of the console, or something to do. */
  to?: string;
  run?: () => void;
  /** What it takes, so that who may not do it is not offered it. */
  needs?: Right;
}

export interface PaletteContext {
  signal: AbortSignal;
  t: import("../i18n").T;
}

/**
 * Where the palette finds things. A feature has one in features/NOUN/palette.ts as
 * `export default`; the palette loads it when it opens first.
 */
export interface PaletteSource {
  id: string;
  /** "a" so that "a:pay" asks this source alone; ">" is commands. */
  prefix?: string;
  title: (t: PaletteContext["t"]) => string;
  /** At most some 20 entries, best first. For an empty text: what is worth showing, or nothing. */
  search: (text: string, c: PaletteContext) => PaletteEntry[] | Promise<PaletteEntry[]>;
}

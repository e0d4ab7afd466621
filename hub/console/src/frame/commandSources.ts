import type { Locale, T } from "../i18n";
import { locales } from "../i18n";
import { commands, printed } from "../ui/chords";
import type { PaletteEntry, PaletteSource } from "../ui/paletteSource";
import { clocks, contrasts, densities, schemes, type usePreferences } from "../ui/preferences";
import { fits } from "./frameSource";

/** How many commands of a page are offered to whoever has typed nothing. */
const few = 6;

/** What the page behind the palette can do: all that has a key there, and what has none. */
export const pageCommands: PaletteSource = {
  id: "commands",
  prefix: ">",
  title: (t) => t("frame.palette.commands"),
  search: (text, { t }) => {
    // Pages are listed as such; the keys within tables, and the one that opened this, are no commands.
    const besides = [t("frame.chords.go"), t("ui.table.keys")];
    const found = new Map<string, PaletteEntry>();
    for (const c of commands()) {
      if (besides.includes(c.group) || c.keys === "mod+k" || !fits(`${c.label} ${c.group}`, text)) continue;
      found.set(`${c.group} ${c.label}`, {
        id: `command ${c.group} ${c.label}`,
        title: c.label,
        hint: [c.group, printed(c.keys).join(" ")].filter((s) => s !== "").join(" · "),
        icon: "play",
        run: () => c.run(new KeyboardEvent("keydown")),
        needs: c.needs,
      });
    }
    return text === "" ? [...found.values()].slice(0, few) : [...found.values()];
  },
};

/** How the console looks and speaks. */
export function lookCommands(
  look: ReturnType<typeof usePreferences>,
  locale: Locale,
  setLocale: (l: Locale) => void,
): PaletteSource {
  const all = (t: T): (PaletteEntry & { chosen: boolean })[] => {
    const entry = (what: string, word: string, chosen: boolean, run: () => void) => ({
      id: `look ${what} ${word}`,
      title: `${what}: ${word}`,
      icon: chosen ? ("check" as const) : ("theme" as const),
      chosen,
      run,
    });
    return [
      ...schemes.map((s) =>
        entry(t("frame.look.scheme"), t(`frame.look.scheme.${s}`), look.scheme === s, () => look.setScheme(s)),
      ),
      ...contrasts.map((c) =>
        entry(t("frame.look.contrast"), t(`frame.look.contrast.${c}`), look.contrast === c, () =>
          look.set({ contrast: c }),
        ),
      ),
      ...densities.map((d) =>
        entry(t("frame.look.density"), t(`frame.look.density.${d}`), look.density === d, () =>
          look.set({ density: d }),
        ),
      ),
      ...clocks.map((c) =>
        entry(t("frame.look.times"), t(`frame.look.times.${c}`), look.times === c, () => look.set({ times: c })),
      ),
      ...locales.map((l) =>
        entry(t("frame.look.language"), t(`frame.language.${l}`), locale === l, () => setLocale(l)),
      ),
    ];
  };
  return {
    id: "look",
    prefix: ">",
    title: (t) => t("frame.look"),
    search: (text, { t }) => (text === "" ? [] : all(t).filter((e) => fits(e.title, text))),
  };
}

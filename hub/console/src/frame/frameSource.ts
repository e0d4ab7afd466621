import type { PaletteEntry, PaletteSource } from "../ui/paletteSource";
import { nav } from "./nav";

/** Whether all words are in a text. */
export function fits(text: string, words: string): boolean {
  const where = text.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((w) => where.includes(w));
}

/** Pages of the console, by name. */
export const frameSource: PaletteSource = {
  id: "frame",
  prefix: ">",
  title: (t) => t("frame.palette.pages"),
  search: (text, { t }) =>
    nav
      .flat()
      .map((i): PaletteEntry => ({ id: i.to, title: t(i.label), hint: i.keys, icon: i.icon, to: i.to, needs: i.needs }))
      .filter((e) => fits(e.title, text)),
};

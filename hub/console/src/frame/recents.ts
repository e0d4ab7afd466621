import type { PaletteEntry } from "../ui/paletteSource";

const storageKey = "hawser.recent";
const most = 8;

/** What was opened last from the palette, newest first. */
export function recents(): PaletteEntry[] {
  try {
    const list = JSON.parse(localStorage.getItem(storageKey) ?? "[]") as unknown;
    if (!Array.isArray(list)) return [];
    return list
      .filter(
        (e): e is PaletteEntry =>
          typeof e?.id === "string" &&
          typeof e?.title === "string" &&
          typeof e?.to === "string" &&
          e.to.startsWith("/"),
      )
      .slice(0, most)
      .map((e) => ({ ...e, id: `recent ${e.id}` }));
  } catch {
    return [];
  }
}

export function remember(e: PaletteEntry): void {
  const id = e.id.replace(/^recent /, "");
  const { title, hint, icon, to, needs } = e;
  const list = recents()
    .map((r) => ({ ...r, id: r.id.replace(/^recent /, "") }))
    .filter((r) => r.id !== id);
  localStorage.setItem(storageKey, JSON.stringify([{ id, title, hint, icon, to, needs }, ...list].slice(0, most)));
}

export function forget(): void {
  localStorage.removeItem(storageKey);
}

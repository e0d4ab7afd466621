import { api } from "../../client";
import { paths, stringifySearch } from "../../routes/urls";
import type { PaletteEntry, PaletteSource } from "../../ui/paletteSource";

/** Repositories by a part of their address, and how one is added. */
export default {
  id: "repositories",
  prefix: "r",
  title: (t) => t("repositories.title"),
  search: async (text, { signal, t }) => {
    const add: PaletteEntry = {
      id: "add repository",
      title: t("repositories.add"),
      icon: "plus",
      to: `${paths.repositories}${stringifySearch({ sheet: "add" })}`,
      needs: { verb: "create", resource: "repositories" },
    };
    if (text === "") return [add];
    // As text that the address contains; what would end the quotes is no part of one.
    const filter = `url:~"${text.replace(/["\\]/g, "")}"`;
    const page = await api.listRepositories({ filter, limit: 8, facets: "none" }, { signal });
    const found = page.items.map(
      (r): PaletteEntry => ({
        id: `repository ${r.id}`,
        title: r.url,
        hint: r.project,
        icon: "repositories",
        to: `${paths.repositories}${stringifySearch({ sel: r.id })}`,
      }),
    );
    return add.title.toLowerCase().includes(text.toLowerCase()) ? [...found, add] : found;
  },
} satisfies PaletteSource;

import { api } from "../../client";
import { pathOf } from "../../routes/urls";
import type { PaletteSource } from "../../ui/paletteSource";

/** Applications by a part of their name. */
export default {
  id: "applications",
  prefix: "a",
  title: (t) => t("applications.title"),
  search: async (text, { signal }) => {
    if (text === "") return [];
    // As free text of the language of filters; what would end the quotes is no part of a name.
    const filter = `"${text.replace(/["\\]/g, "")}"`;
    const page = await api.listApplications(
      { filter, limit: 8, facets: "", fields: "name,project,cluster" },
      { signal },
    );
    return page.items.map((a) => ({
      id: `application ${a.name}`,
      title: a.name,
      hint: `${a.project} · ${a.cluster}`,
      icon: "applications" as const,
      to: pathOf("application", a.name),
    }));
  },
} satisfies PaletteSource;

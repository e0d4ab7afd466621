import { api } from "../../client";
import { pathOf } from "../../routes/urls";
import type { PaletteSource } from "../../ui/paletteSource";

/** Projects by a part of their name. */
export default {
  id: "projects",
  prefix: "p",
  title: (t) => t("projects.title"),
  search: async (text, { signal }) => {
    if (text === "") return [];
    // As free text of the language of filters; what would end the quotes is no part of a name.
    const filter = `"${text.replace(/["\\]/g, "")}"`;
    const page = await api.listProjects({ filter, limit: 8, facets: "none" }, { signal });
    return page.items.map((p) => ({
      id: `project ${p.metadata.name}`,
      title: p.metadata.name,
      hint: p.spec.description,
      icon: "projects" as const,
      to: pathOf("project", p.metadata.name),
    }));
  },
} satisfies PaletteSource;

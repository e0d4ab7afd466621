import { api } from "../../client";
import { pathOf, paths } from "../../routes/urls";
import type { PaletteEntry, PaletteSource } from "../../ui/paletteSource";

/** Clusters by a part of their name, and how a new one comes in. */
export default {
  id: "clusters",
  prefix: "c",
  title: (t) => t("clusters.title"),
  search: async (text, { signal, t }) => {
    const enrol: PaletteEntry = {
      ...{ id: "enrol", title: t("clusters.enrol"), icon: "plus", to: paths.enrol },
      needs: { verb: "create", resource: "enrolment-tokens" },
    };
    if (text === "") return [enrol];
    // As free text of the language of filters; what would end the quotes is no part of a name.
    const filter = `"${text.replace(/["\\]/g, "")}"`;
    const page = await api.listClusters({ filter, limit: 8, facets: "none", fields: "name,kubeVersion" }, { signal });
    const found = page.items.map(
      (c): PaletteEntry => ({
        id: `cluster ${c.name}`,
        title: c.name,
        hint: c.kubeVersion,
        icon: "clusters",
        to: pathOf("cluster", c.name),
      }),
    );
    return enrol.title.toLowerCase().includes(text.toLowerCase()) ? [...found, enrol] : found;
  },
} satisfies PaletteSource;

import { api } from "../../client";
import { pathOf, paths, stringifySearch } from "../../routes/urls";
import type { PaletteContext, PaletteEntry, PaletteSource } from "../../ui/paletteSource";
import { keptOf } from "./views";

/** How many saved views are offered to whoever has typed nothing. */
const fewViews = 5;

/** Applications by a part of their name, and saved views of their list. */
export default {
  id: "applications",
  prefix: "a",
  title: (t) => t("applications.title"),
  search: async (text, context) => {
    const [found, saved] = await Promise.allSettled([applications(text, context), views(text, context)]);
    // Views are an addition: the applications are what was asked for.
    if (found.status === "rejected") throw found.reason;
    return [...found.value, ...(saved.status === "fulfilled" ? saved.value : [])];
  },
} satisfies PaletteSource;

async function applications(text: string, { signal }: PaletteContext): Promise<PaletteEntry[]> {
  if (text === "") return [];
  // As free text of the language of filters; what would end the quotes is no part of a name.
  const filter = `"${text.replace(/["\\]/g, "")}"`;
  const page = await api.listApplications({ filter, limit: 8, facets: "", fields: "name,project,cluster" }, { signal });
  return page.items.map((a) => ({
    id: `application ${a.name}`,
    title: a.name,
    hint: `${a.project} · ${a.cluster}`,
    icon: "applications",
    to: pathOf("application", a.name),
  }));
}

async function views(text: string, { signal, t }: PaletteContext): Promise<PaletteEntry[]> {
  const all = (await api.listSavedViews({ signal })).items.filter(
    (v) => v.things === "applications" && v.name.toLowerCase().includes(text.toLowerCase()),
  );
  return (text === "" ? all.slice(0, fewViews) : all.slice(0, 8)).map((v) => ({
    id: `view ${v.id}`,
    title: v.name,
    hint: v.project === undefined ? t("applications.views.mine") : `${t("applications.views.projects")} · ${v.project}`,
    icon: "star",
    to: `${paths.applications}${stringifySearch({ project: v.project, ...keptOf(v.search) })}`,
  }));
}

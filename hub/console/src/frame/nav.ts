import type { MessageKey } from "../i18n";
import { paths } from "../routes/urls";
import type { Right } from "../ui/chords";
import type { IconName } from "../ui/Icon";

export interface NavItem {
  to: Exclude<(typeof paths)[keyof typeof paths], `${string}$${string}` | typeof paths.enrol>;
  label: MessageKey;
  icon: IconName;
  /** Keys that lead there. */
  keys: string;
  /** What the page takes: the palette leaves it out for who may not. */
  needs?: Right;
}

/** The navigation in groups, as it is drawn and as the keys and the palette know it. */
export const nav: readonly (readonly NavItem[])[] = [
  [
    { to: paths.fleet, label: "frame.nav.fleet", icon: "fleet", keys: "g f" },
    { to: paths.clusters, label: "frame.nav.clusters", icon: "clusters", keys: "g c" },
    { to: paths.applications, label: "frame.nav.applications", icon: "applications", keys: "g a" },
    { to: paths.jobs, label: "frame.nav.jobs", icon: "jobs", keys: "g j" },
  ],
  [
    { to: paths.projects, label: "frame.nav.projects", icon: "projects", keys: "g p" },
    { to: paths.repositories, label: "frame.nav.repositories", icon: "repositories", keys: "g r" },
    {
      ...{ to: paths.audit, label: "frame.nav.audit", icon: "audit", keys: "g u" },
      needs: { verb: "get", resource: "audit" },
    },
    { to: paths.settings, label: "frame.nav.settings", icon: "settings", keys: "g s" },
  ],
];

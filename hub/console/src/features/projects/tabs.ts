import type { MessageKey } from "../../i18n";
import {
  destinations,
  integrity,
  kinds,
  type RuleTable,
  roles,
  serviceAccounts,
  signatureKeys,
  sourceNamespaces,
  sources,
  windows,
} from "./rules";

export interface ProjectTab {
  id: string;
  title: MessageKey;
  /** Tables of rules that the tab has; overview and simulator have none. */
  tables: readonly RuleTable[];
}

export const projectTabs: readonly ProjectTab[] = [
  { id: "overview", title: "projects.overview", tables: [] },
  { id: "sources", title: "projects.sources", tables: [sources, sourceNamespaces] },
  { id: "destinations", title: "projects.destinations", tables: [destinations, serviceAccounts] },
  { id: "kinds", title: "projects.kinds", tables: [kinds] },
  { id: "roles", title: "projects.roles", tables: [roles] },
  { id: "windows", title: "projects.windows", tables: [windows] },
  { id: "signing", title: "projects.signing.tab", tables: [signatureKeys, integrity] },
  { id: "simulator", title: "projects.simulator", tables: [] },
];

import { type ComponentType, type LazyExoticComponent, lazy } from "react";
import type { AppView, ObjectKey } from "../../api/types";
import type { MessageKey } from "../../i18n";
import type { Right } from "../../ui/chords";
import type { IconName } from "../../ui/Icon";

/** A tab of an application's page. */
export interface ApplicationTab {
  /** Its word in the URL. */
  id: string;
  title: MessageKey;
  /** What is shown; loaded when somebody opens it. Reads the application with applicationQuery(name). */
  component: LazyExoticComponent<ComponentType<{ name: string }>>;
  /** A single key that opens it. */
  chord?: string;
  /** A number beside the title; 0 and undefined show none. */
  count?: (app: AppView) => number | undefined;
  /** It scrolls by itself, and has the rest of the window. */
  fill?: boolean;
  /** Also a button of the header, with these words. */
  button?: { title: MessageKey; icon: IconName; primary?: boolean };
  /** What it takes beside seeing the application. */
  needs?: Pick<Right, "verb" | "resource">;
}

// Most people go there next: it is fetched while they read the first tab.
const loadResources = () => import("./resources/Resources");

/** All tabs in their order; the first is the one without a word in the URL. */
export const tabs: readonly ApplicationTab[] = [
  {
    id: "overview",
    title: "application.tab.overview",
    chord: "o",
    component: lazy(() => import("./overview/Overview")),
  },
  {
    id: "tree",
    title: "application.tab.tree",
    chord: "r",
    fill: true,
    component: lazy(loadResources),
  },
  {
    id: "diff",
    title: "diff.tab",
    chord: "d",
    count: (app) =>
      app.resources?.filter((r) => !r.hook && (r.sync.status === "OutOfSync" || r.requiresPruning)).length,
    component: lazy(() => import("./diff/Diff")),
  },
  {
    id: "logs",
    title: "logs.tab",
    chord: "l",
    fill: true,
    needs: { verb: "get", resource: "logs" },
    component: lazy(() => import("./logs/Logs")),
  },
  {
    id: "terminal",
    title: "terminal.tab",
    fill: true,
    needs: { verb: "create", resource: "exec" },
    component: lazy(() => import("./terminal/TerminalTab")),
  },
  {
    id: "events",
    title: "application.tab.events",
    chord: "e",
    fill: true,
    component: lazy(() => import("./events/Events")),
  },
  {
    id: "history",
    title: "history.tab",
    chord: "h",
    component: lazy(() => import("./history/History")),
  },
  {
    id: "parameters",
    title: "parameters.tab",
    chord: "p",
    component: lazy(() => import("./parameters/Parameters")),
  },
  {
    id: "manifests",
    title: "manifests.tab",
    chord: "m",
    fill: true,
    component: lazy(() => import("./manifests/Manifests")),
  },
];

/** A sheet in which something is done with the whole application. */
export interface ApplicationPanel {
  /** Its word in the URL. */
  id: "sync" | "rollback";
  component: LazyExoticComponent<ComponentType<{ name: string }>>;
  chord?: string;
  /** A button of the header opens it. */
  button?: { title: MessageKey; icon: IconName; primary?: boolean };
}

export const panels: readonly ApplicationPanel[] = [
  {
    id: "sync",
    chord: "s",
    button: { title: "sync.title", icon: "play", primary: true },
    component: lazy(() => import("./sync/SyncPanel")),
  },
  { id: "rollback", component: lazy(() => import("./history/RollbackPanel")) },
];

/** The tab that a word of the URL means. */
export function tabOf(id: string | undefined): ApplicationTab {
  return tabs.find((x) => x.id === id) ?? (tabs[0] as ApplicationTab);
}

/** What the side sheet of one object can show. */
export interface ObjectTab {
  id: string;
  title: MessageKey;
  component: LazyExoticComponent<ComponentType<{ name: string; object: ObjectKey }>>;
  /** Objects that have it; left out: all. */
  of?: (object: ObjectKey) => boolean;
  /** How wide the sheet is with it, where that is not the usual. */
  width?: number;
}

export const objectTabs: readonly ObjectTab[] = [
  { id: "summary", title: "application.sheet.summary", width: 480, component: lazy(() => import("./sheet/Summary")) },
  { id: "yaml", title: "application.sheet.yaml", component: lazy(() => import("./sheet/LiveYAML")) },
  { id: "events", title: "application.tab.events", component: lazy(() => import("./sheet/ObjectEvents")) },
  {
    id: "terminal",
    title: "terminal.tab",
    component: lazy(() => import("./sheet/PodShell")),
    width: 720, // programs expect 80 columns
    of: (object) => object.kind === "Pod" && object.group === undefined,
  },
];

/** Fetches what is likely to be opened next, once the page has nothing else to do. */
export function preloadTabs(): () => void {
  const run = () => void loadResources().catch(() => {}); // when it is opened, it is tried again
  if (typeof requestIdleCallback === "undefined") {
    const timer = setTimeout(run, 500);
    return () => clearTimeout(timer);
  }
  const id = requestIdleCallback(run, { timeout: 3000 });
  return () => cancelIdleCallback(id);
}

import type { QueryClient } from "@tanstack/react-query";
import { createRoute, createRouter, type RouterHistory, redirect } from "@tanstack/react-router";
import { applicationRoute } from "./application";
import { applicationsRoute } from "./applications";
import { auditRoute } from "./audit";
import { clusterRoute } from "./cluster";
import { clustersRoute } from "./clusters";
import { enrolRoute } from "./enrol";
import { fleetRoute } from "./fleet";
import { jobRoute, jobsRoute } from "./jobs";
import { loginRoute } from "./login";
import { projectRoute } from "./project";
import { projectsRoute } from "./projects";
import { repositoriesRoute } from "./repositories";
import { rootRoute } from "./root";
import { settingsRoute } from "./settings";
import { parseSearch, paths, stringifySearch } from "./urls";

const homeRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.home,
  beforeLoad: () => {
    throw redirect({ to: paths.fleet, replace: true });
  },
});

// One line per route; each is in a file of its own.
const tree = rootRoute.addChildren([
  homeRoute,
  loginRoute,
  fleetRoute,
  clustersRoute,
  enrolRoute,
  clusterRoute,
  applicationsRoute,
  applicationRoute,
  projectsRoute,
  projectRoute,
  repositoriesRoute,
  jobsRoute,
  jobRoute,
  auditRoute,
  settingsRoute,
]);

/** The router of all pages; a history is given by tests. */
export function newRouter(client: QueryClient, history?: RouterHistory) {
  return createRouter({
    history,
    routeTree: tree,
    parseSearch,
    stringifySearch,
    context: { client },
    defaultPreload: "intent",
    defaultPreloadStaleTime: 0,
    defaultPendingMs: 100,
    scrollRestoration: true,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof newRouter>;
  }
}

import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { clustersSearch, paths } from "./urls";

export const clustersRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.clusters,
  validateSearch: clustersSearch,
  component: lazyRouteComponent(() => import("../features/clusters/ClustersPage"), "ClustersPage"),
});

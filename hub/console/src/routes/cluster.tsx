import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { clusterSearch, paths } from "./urls";

export const clusterRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.cluster,
  validateSearch: clusterSearch,
  component: lazyRouteComponent(() => import("../features/clusters/ClusterPage"), "ClusterPage"),
});

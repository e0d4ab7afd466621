import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { clusterSearch, paths } from "./urls";
import { view } from "./view";

export const clusterRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.cluster,
  validateSearch: clusterSearch,
  component: view(["clusters"], () => import("../features/clusters/ClusterPage"), "ClusterPage"),
});

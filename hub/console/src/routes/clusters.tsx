import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { clustersSearch, paths } from "./urls";
import { view } from "./view";

export const clustersRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.clusters,
  validateSearch: clustersSearch,
  component: view(["clusters"], () => import("../features/clusters/ClustersPage"), "ClustersPage"),
});

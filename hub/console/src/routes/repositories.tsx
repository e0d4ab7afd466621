import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { paths, repositoriesSearch } from "./urls";

export const repositoriesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.repositories,
  validateSearch: repositoriesSearch,
  component: lazyRouteComponent(() => import("../features/repositories/RepositoriesPage"), "RepositoriesPage"),
});

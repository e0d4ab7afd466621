import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { paths, repositoriesSearch } from "./urls";
import { view } from "./view";

export const repositoriesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.repositories,
  validateSearch: repositoriesSearch,
  component: view(["repositories"], () => import("../features/repositories/RepositoriesPage"), "RepositoriesPage"),
});

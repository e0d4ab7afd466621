import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { paths, projectSearch } from "./urls";

export const projectRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.project,
  validateSearch: projectSearch,
  component: lazyRouteComponent(() => import("../features/projects/ProjectPage"), "ProjectPage"),
});

import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { paths, projectsSearch } from "./urls";

export const projectsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.projects,
  validateSearch: projectsSearch,
  component: lazyRouteComponent(() => import("../features/projects/ProjectsPage"), "ProjectsPage"),
});

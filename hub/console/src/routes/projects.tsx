import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { paths, projectsSearch } from "./urls";
import { view } from "./view";

export const projectsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.projects,
  validateSearch: projectsSearch,
  component: view(["projects"], () => import("../features/projects/ProjectsPage"), "ProjectsPage"),
});

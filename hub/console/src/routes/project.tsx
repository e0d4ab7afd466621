import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { paths, projectSearch } from "./urls";
import { view } from "./view";

export const projectRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.project,
  validateSearch: projectSearch,
  component: view(["projects"], () => import("../features/projects/ProjectPage"), "ProjectPage"),
});

import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { applicationsSearch, paths } from "./urls";
import { view } from "./view";

export const applicationsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.applications,
  validateSearch: applicationsSearch,
  component: view(["applications"], () => import("../features/applications/ApplicationsPage"), "ApplicationsPage"),
});

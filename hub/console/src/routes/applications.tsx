import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { applicationsSearch, paths } from "./urls";

export const applicationsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.applications,
  validateSearch: applicationsSearch,
  component: lazyRouteComponent(() => import("../features/applications/ApplicationsPage"), "ApplicationsPage"),
});

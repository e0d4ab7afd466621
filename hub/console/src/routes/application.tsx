import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { applicationSearch, paths } from "./urls";

export const applicationRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.application,
  validateSearch: applicationSearch,
  component: lazyRouteComponent(() => import("../features/application/page"), "ApplicationPage"),
});

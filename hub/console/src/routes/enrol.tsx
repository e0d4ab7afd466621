import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { enrolSearch, paths } from "./urls";

export const enrolRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.enrol,
  validateSearch: enrolSearch,
  component: lazyRouteComponent(() => import("../features/enrol/EnrolPage"), "EnrolPage"),
});

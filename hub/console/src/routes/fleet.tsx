import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { fleetSearch, paths } from "./urls";

export const fleetRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.fleet,
  validateSearch: fleetSearch,
  component: lazyRouteComponent(() => import("../features/fleet/FleetPage"), "FleetPage"),
});

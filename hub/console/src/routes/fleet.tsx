import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { fleetSearch, paths } from "./urls";
import { view } from "./view";

export const fleetRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.fleet,
  validateSearch: fleetSearch,
  component: view(["fleet"], () => import("../features/fleet/FleetPage"), "FleetPage"),
});

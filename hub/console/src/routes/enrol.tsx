import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { enrolSearch, paths } from "./urls";
import { view } from "./view";

export const enrolRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.enrol,
  validateSearch: enrolSearch,
  component: view(["enrol", "clusters"], () => import("../features/enrol/EnrolPage"), "EnrolPage"),
});

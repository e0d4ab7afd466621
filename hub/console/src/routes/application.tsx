import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { applicationSearch, paths } from "./urls";
import { view } from "./view";

export const applicationRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.application,
  validateSearch: applicationSearch,
  component: view(
    ["application", "applications", "diff", "history", "logs", "manifests", "parameters", "sync", "terminal"],
    () => import("../features/application/page"),
    "ApplicationPage",
  ),
});

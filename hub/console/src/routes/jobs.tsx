import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { jobSearch, jobsSearch, paths } from "./urls";

export const jobsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.jobs,
  validateSearch: jobsSearch,
  component: lazyRouteComponent(() => import("../features/jobs/JobsPage"), "JobsPage"),
});

export const jobRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.job,
  validateSearch: jobSearch,
  component: lazyRouteComponent(() => import("../features/jobs/JobPage"), "JobPage"),
});

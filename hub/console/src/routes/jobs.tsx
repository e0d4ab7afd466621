import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { jobSearch, jobsSearch, paths } from "./urls";
import { view } from "./view";

export const jobsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.jobs,
  validateSearch: jobsSearch,
  component: view(["jobs"], () => import("../features/jobs/JobsPage"), "JobsPage"),
});

export const jobRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.job,
  validateSearch: jobSearch,
  component: view(["jobs"], () => import("../features/jobs/JobPage"), "JobPage"),
});

import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { loginSearch, paths } from "./urls";

export const loginRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.login,
  validateSearch: loginSearch,
  component: lazyRouteComponent(() => import("../features/login/LoginPage"), "LoginPage"),
  staticData: { bare: true },
});

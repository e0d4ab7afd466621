import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { loginSearch, paths } from "./urls";
import { view } from "./view";

export const loginRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.login,
  validateSearch: loginSearch,
  component: view(["login"], () => import("../features/login/LoginPage"), "LoginPage"),
  staticData: { bare: true },
});

import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { paths, settingsSearch } from "./urls";

export const settingsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.settings,
  validateSearch: settingsSearch,
  component: lazyRouteComponent(() => import("../features/settings/SettingsPage"), "SettingsPage"),
});

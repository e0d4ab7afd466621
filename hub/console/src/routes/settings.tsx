import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { paths, settingsSearch } from "./urls";
import { view } from "./view";

export const settingsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.settings,
  validateSearch: settingsSearch,
  component: view(["settings"], () => import("../features/settings/SettingsPage"), "SettingsPage"),
});

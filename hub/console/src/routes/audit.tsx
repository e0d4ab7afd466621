import { createRoute } from "@tanstack/react-router";
import { rootRoute } from "./root";
import { auditSearch, paths } from "./urls";
import { view } from "./view";

export const auditRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: paths.audit,
  validateSearch: auditSearch,
  component: view(["audit"], () => import("../features/audit/AuditPage"), "AuditPage"),
});

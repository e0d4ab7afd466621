import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, Outlet } from "@tanstack/react-router";
import { Frame } from "../frame/Frame";
import { NotFound } from "../frame/NotFound";
import { ErrorView } from "../ui/states";

export interface RouterContext {
  client: QueryClient;
}

declare module "@tanstack/react-router" {
  interface StaticDataRouteOption {
    /** Without the frame, as the login is. */
    bare?: boolean;
  }
}

export const rootRoute = createRootRouteWithContext<RouterContext>()({
  component: () => (
    <Frame>
      <Outlet />
    </Frame>
  ),
  notFoundComponent: NotFound,
  errorComponent: ({ error, reset }) => <ErrorView error={error} onRetry={reset} />,
});

// Draws components as the console does, for tests: with theme, messages and queries,
// and with a hub that answers what the test says.
import { MantineProvider } from "@mantine/core";
import { type QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { render } from "@testing-library/react";
import axe from "axe-core";
import type { ReactNode } from "react";
import { expect, vi } from "vitest";
import { I18nProvider, type Locale } from "../i18n";
import { newQueryClient } from "../query";
import { newRouter } from "../routes/router";
import { PreferencesProvider } from "../ui/preferences";
import { theme } from "../ui/theme";
import { allMessages } from "./messages";

function testClient(): QueryClient {
  const client = newQueryClient();
  client.setDefaultOptions({
    ...client.getDefaultOptions(),
    queries: { ...client.getDefaultOptions().queries, retry: false },
  });
  return client;
}

function Around({ children, locale, client }: { children: ReactNode; locale: Locale; client: QueryClient }) {
  return (
    <MantineProvider theme={theme} env="test">
      <PreferencesProvider>
        <I18nProvider initial={{ locale, messages: allMessages[locale] }}>
          <QueryClientProvider client={client}>{children}</QueryClientProvider>
        </I18nProvider>
      </PreferencesProvider>
    </MantineProvider>
  );
}

/** Draws a component that needs no route. */
export function draw(node: ReactNode, { locale = "en" as Locale, client = testClient() } = {}) {
  return {
    client,
    ...render(
      <Around locale={locale} client={client}>
        {node}
      </Around>,
    ),
  };
}

/** Draws the whole console at an address, over the hub of `hubAnswers`. */
export function drawAt(address: string, { locale = "en" as Locale, client = testClient() } = {}) {
  const router = newRouter(client, createMemoryHistory({ initialEntries: [address] }));
  return {
    client,
    router,
    ...render(
      <Around locale={locale} client={client}>
        <RouterProvider router={router} />
      </Around>,
    ),
  };
}

/** One request to the hub of a test. */
export interface Asked {
  method: string;
  /** Below /api/v1. */
  path: string;
  query: URLSearchParams;
  body: unknown;
  headers: Headers;
}

type Answer = Response | object | undefined;

/** A problem document as the hub sends it. */
export function problemAnswer(status: number, code: string, detail: string, more: object = {}): Response {
  return new Response(JSON.stringify({ type: "about:blank", title: code, status, code, detail, ...more }), {
    status,
    headers: { "Content-Type": "application/problem+json" },
  });
}

const nobody: Record<string, (a: Asked) => Answer> = {
  "GET /whoami": () => ({
    name: "ana@acme.io",
    admin: true,
    createdAt: "2026-01-01T00:00:00Z",
    expiresAt: "2027-01-01T00:00:00Z",
    session: { provider: "local", authenticatedAt: "2026-01-01T00:00:00Z", idleMinutes: 60 },
  }),
  // A stream that says hello and then nothing.
  "GET /events": () =>
    new Response(
      new ReadableStream({
        start: (c) => c.enqueue(new TextEncoder().encode('id: 1\nevent: hello\ndata: {"version":"test"}\n\n')),
      }),
    ),
};

/**
 * Answers requests in place of a hub. Keys are "GET /clusters/:name"; what is not
 * named is 404. Returns what was asked, in order.
 */
export function hubAnswers(routes: Record<string, (a: Asked) => Answer | Promise<Answer>>): Asked[] {
  const asked: Asked[] = [];
  const all = { ...nobody, ...routes };
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const url = new URL(String(input), "https://hub.test");
    const path = url.pathname.replace(/^\/api\/v1/, "");
    const method = init?.method ?? "GET";
    const text = init?.body as string | undefined;
    const a: Asked = {
      method,
      path,
      query: url.searchParams,
      body:
        text === undefined || new Headers(init?.headers).get("Content-Type") === "application/yaml"
          ? text
          : JSON.parse(text),
      headers: new Headers(init?.headers),
    };
    asked.push(a);
    const key = Object.keys(all).find((k) => {
      const [m, pattern] = k.split(" ") as [string, string];
      return m === method && new RegExp(`^${pattern.replace(/:[a-zA-Z]+/g, "[^/]+")}$`).test(path);
    });
    if (key === undefined) return problemAnswer(404, "route_unknown", `no ${method} ${path} in this test`);
    const answer = await all[key]?.(a);
    if (answer instanceof Response) return answer;
    return answer === undefined
      ? new Response(null, { status: 204 })
      : new Response(JSON.stringify(answer), { status: 200, headers: { "Content-Type": "application/json" } });
  });
  return asked;
}

/** Fails with what axe finds against an element; colours are measured elsewhere, jsdom has none. */
export async function expectAccessible(element: Element = document.body): Promise<void> {
  const found = await axe.run(element, {
    rules: {
      "color-contrast": { enabled: false },
      region: { enabled: false },
      // The heading of a dialog is a <header> too; what is behind it is hidden meanwhile.
      "landmark-no-duplicate-banner": { enabled: false },
      "landmark-unique": { enabled: false },
    },
    resultTypes: ["violations"],
  });
  expect(found.violations.map((v) => `${v.id}: ${v.help}\n${v.nodes.map((n) => n.html).join("\n")}`)).toEqual([]);
}

import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useState } from "react";
import { I18nProvider, type Locale } from "./i18n";
import type { Messages } from "./i18n/catalogue";
import { newQueryClient } from "./query";
import { newRouter } from "./routes/router";
import { styleNonce } from "./ui/nonce";
import { PreferencesProvider } from "./ui/preferences";
import { Toasts } from "./ui/Toasts";
import { theme } from "./ui/theme";

/** App is the whole console: what all pages stand on, and the pages. */
export function App({ initial }: { initial: { locale: Locale; messages: Messages } }) {
  const [client] = useState(newQueryClient);
  const [router] = useState(() => newRouter(client));
  return (
    // The provider's own styles are in mantine.ts: nothing is written into the page as markup.
    <MantineProvider
      theme={theme}
      defaultColorScheme="auto"
      getStyleNonce={styleNonce}
      withCssVariables={false}
      withGlobalClasses={false}
      deduplicateInlineStyles
    >
      <PreferencesProvider>
        <I18nProvider initial={initial}>
          <QueryClientProvider client={client}>
            <Toasts />
            <RouterProvider router={router} />
          </QueryClientProvider>
        </I18nProvider>
      </PreferencesProvider>
    </MantineProvider>
  );
}

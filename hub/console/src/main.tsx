import "@fontsource-variable/inter/wght.css";
import "@fontsource-variable/jetbrains-mono/wght.css";
import "./ui/mantine.css";
import "virtual:mantine-theme.css";
import "./ui/theme.css";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { preferredLocale } from "./i18n";
import { speak } from "./i18n/catalogue";
import { installStyleNonce } from "./ui/nonce";

installStyleNonce();
const root = document.getElementById("root");
if (root !== null) {
  const initial = await speak(preferredLocale());
  createRoot(root).render(<App initial={initial} />);
}

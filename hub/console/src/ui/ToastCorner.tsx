import { MantineThemeProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { useT } from "../i18n";
import classes from "./ToastCorner.module.css";

export default function ToastCorner() {
  const t = useT();
  const toast = { closeButtonProps: { "aria-label": t("ui.close") }, classNames: { description: classes.message } };
  return (
    <MantineThemeProvider theme={{ components: { Notification: { defaultProps: toast } } }}>
      <Notifications position="bottom-right" limit={4} />
    </MantineThemeProvider>
  );
}

import { Link } from "@tanstack/react-router";
import { useT } from "../i18n";
import { paths } from "../routes/urls";
import { EmptyView } from "../ui/states";

export function NotFound() {
  const t = useT();
  return (
    <EmptyView title={t("frame.notFound.title")} actions={<Link to={paths.fleet}>{t("frame.notFound.home")}</Link>}>
      {t("frame.notFound.text")}
    </EmptyView>
  );
}

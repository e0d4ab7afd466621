import type { Repository } from "../../api/types";
import { useT } from "../../i18n";
import { PlainText } from "../../ui/PlainText";
import { StatusText } from "../../ui/StatusIcon";

/** How a repository answered the last time, with the cause when it did not. */
export function RepositoryState({ repository: r }: { repository: Repository }) {
  const t = useT();
  if (r.state === "error")
    return (
      <StatusText state="degraded">
        <PlainText text={r.error ?? t("repositories.failed")} />
      </StatusText>
    );
  if (r.state === "ok") return <StatusText state="healthy">{t("repositories.ok")}</StatusText>;
  return <StatusText state="unknown">{t("repositories.untried")}</StatusText>;
}

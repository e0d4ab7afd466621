import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { Page } from "../../ui/Page";
import { PlainTable } from "../../ui/PlainTable";
import { MiddleTruncate } from "../../ui/PlainText";
import type { State } from "../../ui/palette";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusText } from "../../ui/StatusIcon";
import { EmptyView, ErrorView, LoadingView } from "../../ui/states";
import { auditQuery } from "./queries";

const route = getRouteApi(paths.audit);

const outcomeState = {
  done: "healthy",
  denied: "suspended",
  rejected: "degraded",
  failed: "degraded",
  unknown: "unknown",
} as const satisfies Record<string, State>;

export function AuditPage() {
  const t = useT();
  const { project } = route.useSearch();
  const list = useQuery(auditQuery(project));
  return (
    <Page title={t("audit.title")}>
      {list.isPending ? (
        <LoadingView />
      ) : list.isError ? (
        <ErrorView error={list.error} onRetry={() => void list.refetch()} />
      ) : list.data.items.length === 0 ? (
        <EmptyView title={t("audit.empty")} />
      ) : (
        <PlainTable
          label={t("audit.title")}
          rows={list.data.items}
          rowKey={(r) => String(r.seq)}
          columns={[
            { key: "at", title: t("audit.at"), cell: (r) => <RelativeTime at={r.at} /> },
            { key: "actor", title: t("audit.actor"), cell: (r) => <MiddleTruncate text={r.actor ?? "–"} /> },
            { key: "action", title: t("audit.action"), cell: (r) => r.action },
            { key: "name", title: t("audit.name"), cell: (r) => <MiddleTruncate text={r.name ?? ""} /> },
            {
              key: "outcome",
              title: t("audit.outcome"),
              cell: (r) => <StatusText state={outcomeState[r.outcome]}>{t(`audit.outcome.${r.outcome}`)}</StatusText>,
            },
          ]}
        />
      )}
    </Page>
  );
}

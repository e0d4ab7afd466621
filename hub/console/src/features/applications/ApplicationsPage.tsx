import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { healthState, syncState } from "../../ui/applicationState";
import { Page } from "../../ui/Page";
import { PlainTable } from "../../ui/PlainTable";
import { MiddleTruncate } from "../../ui/PlainText";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusText } from "../../ui/StatusIcon";
import { EmptyView, ErrorView, LoadingView } from "../../ui/states";
import { applicationsQuery } from "./queries";

const route = getRouteApi(paths.applications);

export function ApplicationsPage() {
  const t = useT();
  const { project } = route.useSearch();
  const list = useQuery(applicationsQuery(project));
  return (
    <Page title={t("applications.title")}>
      {list.isPending ? (
        <LoadingView />
      ) : list.isError ? (
        <ErrorView error={list.error} onRetry={() => void list.refetch()} />
      ) : list.data.items.length === 0 ? (
        <EmptyView title={t("applications.empty")} />
      ) : (
        <PlainTable
          label={t("applications.title")}
          rows={list.data.items}
          rowKey={(r) => r.uid}
          columns={[
            { key: "name", title: t("applications.name"), cell: (r) => <MiddleTruncate text={r.name} /> },
            { key: "project", title: t("applications.project"), cell: (r) => <MiddleTruncate text={r.project} /> },
            { key: "cluster", title: t("applications.cluster"), cell: (r) => <MiddleTruncate text={r.cluster} /> },
            {
              key: "health",
              title: t("applications.health"),
              cell: (r) => (
                <StatusText
                  state={healthState(r.health.status)}
                  asOf={
                    (r.freshness === "stale" || r.freshness === "never") &&
                    (r.observedAt === undefined ? t("ui.never") : <RelativeTime at={r.observedAt} />)
                  }
                />
              ),
            },
            {
              key: "sync",
              title: t("applications.sync"),
              cell: (r) => (
                <StatusText state={syncState(r.sync.status, r.sync.reason)}>
                  {r.sync.status === "Synced" ? t("applications.synced") : undefined}
                </StatusText>
              ),
            },
          ]}
        />
      )}
    </Page>
  );
}

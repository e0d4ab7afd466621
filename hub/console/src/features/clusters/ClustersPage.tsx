import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { Page } from "../../ui/Page";
import { PlainTable } from "../../ui/PlainTable";
import { MiddleTruncate } from "../../ui/PlainText";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusText } from "../../ui/StatusIcon";
import { EmptyView, ErrorView, LoadingView } from "../../ui/states";
import { clustersQuery } from "./queries";

const route = getRouteApi(paths.clusters);

export function ClustersPage() {
  const t = useT();
  const { project } = route.useSearch();
  const list = useQuery(clustersQuery(project));
  return (
    <Page title={t("clusters.title")}>
      {list.isPending ? (
        <LoadingView />
      ) : list.isError ? (
        <ErrorView error={list.error} onRetry={() => void list.refetch()} />
      ) : list.data.items.length === 0 ? (
        <EmptyView title={t("clusters.empty")} />
      ) : (
        <PlainTable
          label={t("clusters.title")}
          rows={list.data.items}
          rowKey={(r) => r.id}
          columns={[
            { key: "name", title: t("clusters.name"), cell: (r) => <MiddleTruncate text={r.name} /> },
            {
              key: "state",
              title: t("clusters.state"),
              cell: (r) =>
                r.freshness === "live" ? (
                  <StatusText state="healthy">{t("clusters.reporting")}</StatusText>
                ) : (
                  <StatusText state="unknown" asOf={r.lastSeen !== undefined && <RelativeTime at={r.lastSeen} />}>
                    {t("clusters.silent")}
                  </StatusText>
                ),
            },
            { key: "version", title: t("clusters.version"), cell: (r) => r.kubeVersion },
            { key: "applications", title: t("clusters.applications"), number: true, cell: (r) => r.applications },
          ]}
        />
      )}
    </Page>
  );
}

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
import { jobsQuery } from "./queries";

const route = getRouteApi(paths.jobs);

export function JobsPage() {
  const t = useT();
  const { project } = route.useSearch();
  const list = useQuery(jobsQuery(project));
  return (
    <Page title={t("jobs.title")}>
      {list.isPending ? (
        <LoadingView />
      ) : list.isError ? (
        <ErrorView error={list.error} onRetry={() => void list.refetch()} />
      ) : list.data.items.length === 0 ? (
        <EmptyView title={t("jobs.empty")} />
      ) : (
        <PlainTable
          label={t("jobs.title")}
          rows={list.data.items}
          rowKey={(r) => r.id}
          columns={[
            { key: "kind", title: t("jobs.kind"), cell: (r) => t(`jobs.kind.${r.kind}`) },
            { key: "by", title: t("jobs.by"), cell: (r) => <MiddleTruncate text={r.initiatedBy} /> },
            { key: "at", title: t("jobs.at"), cell: (r) => <RelativeTime at={r.createdAt} /> },
            {
              key: "phase",
              title: t("jobs.phase"),
              cell: (r) => (
                <StatusText
                  state={
                    r.phase === "Running"
                      ? "progressing"
                      : r.failed > 0
                        ? "degraded"
                        : r.phase === "Cancelled"
                          ? "suspended"
                          : "healthy"
                  }
                >
                  {t("jobs.progress", { done: r.total - r.pending, total: r.total, failed: r.failed })}
                </StatusText>
              ),
            },
          ]}
        />
      )}
    </Page>
  );
}

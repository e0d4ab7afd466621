import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { Page } from "../../ui/Page";
import { PlainTable } from "../../ui/PlainTable";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { StatusText } from "../../ui/StatusIcon";
import { EmptyView, ErrorView, LoadingView } from "../../ui/states";
import { repositoriesQuery } from "./queries";

const route = getRouteApi(paths.repositories);

export function RepositoriesPage() {
  const t = useT();
  const { project } = route.useSearch();
  const list = useQuery(repositoriesQuery(project));
  return (
    <Page title={t("repositories.title")}>
      {list.isPending ? (
        <LoadingView />
      ) : list.isError ? (
        <ErrorView error={list.error} onRetry={() => void list.refetch()} />
      ) : list.data.items.length === 0 ? (
        <EmptyView title={t("repositories.empty")} />
      ) : (
        <PlainTable
          label={t("repositories.title")}
          rows={list.data.items}
          rowKey={(r) => r.id}
          columns={[
            { key: "url", title: t("repositories.url"), cell: (r) => <MiddleTruncate text={r.url} most={70} /> },
            { key: "type", title: t("repositories.type"), cell: (r) => r.type },
            {
              key: "state",
              title: t("repositories.state"),
              cell: (r) =>
                r.state === "error" ? (
                  <StatusText state="degraded">
                    <PlainText text={r.error ?? t("repositories.failed")} />
                  </StatusText>
                ) : r.state === "ok" ? (
                  <StatusText state="healthy">{t("repositories.ok")}</StatusText>
                ) : (
                  <StatusText state="unknown">{t("repositories.untried")}</StatusText>
                ),
            },
          ]}
        />
      )}
    </Page>
  );
}

import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { Page } from "../../ui/Page";
import { PlainTable } from "../../ui/PlainTable";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { EmptyView, ErrorView, LoadingView } from "../../ui/states";
import { projectsQuery } from "./queries";

const route = getRouteApi(paths.projects);

export function ProjectsPage() {
  const t = useT();
  const { project } = route.useSearch();
  const list = useQuery(projectsQuery(project));
  return (
    <Page title={t("projects.title")}>
      {list.isPending ? (
        <LoadingView />
      ) : list.isError ? (
        <ErrorView error={list.error} onRetry={() => void list.refetch()} />
      ) : list.data.items.length === 0 ? (
        <EmptyView title={t("projects.empty")} />
      ) : (
        <PlainTable
          label={t("projects.title")}
          rows={list.data.items}
          rowKey={(r) => r.metadata.name ?? ""}
          columns={[
            {
              key: "name",
              title: t("projects.name"),
              cell: (r) => <MiddleTruncate text={r.metadata.name ?? ""} />,
            },
            {
              key: "description",
              title: t("projects.description"),
              cell: (r) => <PlainText text={r.spec.description ?? ""} />,
            },
            {
              key: "sources",
              title: t("projects.sources"),
              number: true,
              cell: (r) => r.spec.sourceRepos?.length ?? 0,
            },
            {
              key: "destinations",
              title: t("projects.destinations"),
              number: true,
              cell: (r) => r.spec.destinations?.length ?? 0,
            },
          ]}
        />
      )}
    </Page>
  );
}

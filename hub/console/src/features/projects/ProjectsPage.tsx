import { Button } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";
import type { AppProject } from "../../api/types";
import { Problem } from "../../client";
import { useFormat, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { type Column, DataTable } from "../../ui/DataTable";
import { FilterInput } from "../../ui/FilterInput";
import layout from "../../ui/layout.module.css";
import { Page } from "../../ui/Page";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { EmptyView, ErrorView, FilteredEmpty, LoadingView, PartialBanner } from "../../ui/states";
import { without } from "../../ui/terms";
import { NewProject } from "./NewProject";
import { applicationsPerProject, emptinessQuery, projectsQuery } from "./queries";

const route = getRouteApi(paths.projects);

/** All projects as rows. */
export function ProjectsPage() {
  const t = useT();
  const format = useFormat();
  const search = route.useSearch();
  const { project, q = "", sort } = search;
  const navigate = route.useNavigate();
  const go = useNavigate();
  const list = useInfiniteQuery(projectsQuery({ filter: q, project, sort }));
  const apps = useQuery(applicationsPerProject);
  const change = useCallback(
    (next: { q?: string; sort?: string; dialog?: "new" }) =>
      void navigate({ search: (old) => ({ ...old, ...next }), replace: !("dialog" in next) }),
    [navigate],
  );
  const rows = useMemo(() => list.data?.pages.flatMap((p) => p.items) ?? [], [list.data]);
  const last = list.data?.pages.at(-1);
  const problem = list.isError ? Problem.of(list.error) : undefined;
  const mistaken = problem?.status === 400 && q !== "";
  const nothing = !list.isPending && rows.length === 0 && problem === undefined;
  const empty = useQuery({ ...emptinessQuery(q, project), enabled: nothing && q !== "" });
  const columns = useMemo(
    (): Column<AppProject>[] => [
      {
        id: "name",
        title: t("projects.name"),
        sort: "name",
        width: 160,
        grow: 2,
        always: true,
        cell: (r) => (
          <Link to={paths.project} params={{ project: r.metadata.name }} search={{ project }}>
            <MiddleTruncate text={r.metadata.name} />
          </Link>
        ),
      },
      {
        id: "description",
        title: t("projects.description"),
        width: 160,
        grow: 3,
        cell: (r) => <PlainText text={r.spec.description ?? ""} />,
      },
      {
        id: "apps",
        title: t("projects.applications"),
        sort: "apps",
        width: 120,
        number: true,
        cell: (r) => {
          const n = apps.data?.[r.metadata.name];
          return n === undefined ? "–" : format.number(n);
        },
      },
      ...(["sources", "destinations", "roles", "windows"] as const).map((id) => ({
        id,
        title: t(`projects.${id}`),
        width: id === "destinations" ? 120 : 100,
        number: true,
        cell: (r: AppProject) =>
          format.number(
            {
              sources: [...(r.spec.sourceRepos ?? []), ...(r.spec.sourceRepoBlacklist ?? [])],
              destinations: [...(r.spec.destinations ?? []), ...(r.spec.destinationBlacklist ?? [])],
              roles: r.spec.roles ?? [],
              windows: r.spec.syncWindows ?? [],
            }[id].length,
          ),
      })),
    ],
    [t, format, project, apps.data],
  );
  const more = useCallback(() => {
    if (list.hasNextPage && !list.isFetchingNextPage) void list.fetchNextPage();
  }, [list]);
  const create = <Button onClick={() => change({ dialog: "new" })}>{t("projects.new")}</Button>;
  return (
    <Page title={t("projects.title")} actions={create}>
      {last?.partial !== undefined && (
        <PartialBanner>{t("projects.partial", { time: format.time(last.asOf) })}</PartialBanner>
      )}
      <div className={layout.bar}>
        <FilterInput
          className={layout.filter}
          value={q}
          onChange={(v) => change({ q: v })}
          label={t("projects.filter")}
          placeholder={t("projects.filter.example")}
          problem={mistaken ? problem?.message : undefined}
        />
        {last !== undefined && <span className={layout.end}>{t("projects.total", { n: last.total })}</span>}
      </div>
      {list.isPending ? (
        <LoadingView />
      ) : problem !== undefined && rows.length === 0 ? (
        !mistaken && <ErrorView error={problem} onRetry={() => void list.refetch()} />
      ) : nothing ? (
        q === "" ? (
          <EmptyView title={t("projects.empty")} actions={create}>
            <p>{t("projects.empty.what")}</p>
            <CliLine command="hawser project create team-pay --src 'https://git.example.com/team-pay/*' --dest 'eu-*,team-pay-*'" />
          </EmptyView>
        ) : (
          <FilteredEmpty
            total={empty.data?.total ?? 0}
            drop={empty.data?.drop}
            onDrop={(term) => change({ q: without(q, term) || undefined })}
            onClear={() => change({ q: undefined })}
          />
        )
      ) : (
        <div className={layout.table}>
          <DataTable
            label={t("projects.title")}
            columns={columns}
            rows={rows}
            rowKey={(r) => r.metadata.name}
            total={last?.total}
            onMore={more}
            loadingMore={list.isFetchingNextPage}
            sort={sort ?? "name"}
            onSort={(s) => change({ sort: s })}
            onOpen={(r) => void go({ to: paths.project, params: { project: r.metadata.name }, search: { project } })}
          />
        </div>
      )}
      {search.dialog === "new" && <NewProject project={project} onClose={() => change({ dialog: undefined })} />}
    </Page>
  );
}

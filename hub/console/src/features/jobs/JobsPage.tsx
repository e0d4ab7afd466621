import { SegmentedControl } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";
import type { Job } from "../../api/types";
import { useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { type Column, DataTable } from "../../ui/DataTable";
import { Page } from "../../ui/Page";
import { MiddleTruncate } from "../../ui/PlainText";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusText } from "../../ui/StatusIcon";
import { EmptyView, ErrorView, LoadingView } from "../../ui/states";
import classes from "./jobs.module.css";
import { Progress } from "./Progress";
import { jobsQuery } from "./queries";
import { jobState } from "./state";

const route = getRouteApi(paths.jobs);

/** Commands to many applications at once, the newest first. */
export function JobsPage() {
  const t = useT();
  const { show, project } = route.useSearch();
  const navigate = route.useNavigate();
  const list = useInfiniteQuery(jobsQuery(show));
  const { fetchNextPage, isFetchingNextPage } = list;
  const jobs = useMemo(() => list.data?.pages.flatMap((p) => p.items) ?? [], [list.data]);
  const more = useCallback(() => {
    if (!isFetchingNextPage) void fetchNextPage();
  }, [fetchNextPage, isFetchingNextPage]);
  const columns: Column<Job>[] = [
    {
      id: "kind",
      title: t("jobs.kind"),
      width: 150,
      grow: 1,
      always: true,
      cell: (j) => (
        <Link to={paths.job} params={{ job: j.id }} search={{ project }} tabIndex={-1} className={classes.link}>
          {t(`jobs.kind.${j.kind}`)}
          {j.dryRun && ` · ${t("jobs.dryRun")}`}
        </Link>
      ),
    },
    {
      id: "total",
      title: t("jobs.total"),
      width: 150,
      number: true,
      cell: (j) => t("jobs.applications", { n: j.total }),
    },
    {
      id: "phase",
      title: t("jobs.phase"),
      width: 220,
      grow: 2,
      cell: (j) => (
        <StatusText state={jobState(j)}>
          {t(`jobs.phase.${j.phase}`)} ·{" "}
          {t("jobs.progress", { done: j.total - j.pending, total: j.total, failed: j.failed })}
        </StatusText>
      ),
    },
    { id: "bar", title: t("jobs.bar"), width: 140, cell: (j) => <Progress job={j} /> },
    { id: "by", title: t("jobs.by"), width: 130, grow: 1, cell: (j) => <MiddleTruncate text={j.initiatedBy} /> },
    { id: "at", title: t("jobs.at"), width: 110, cell: (j) => <RelativeTime at={j.createdAt} /> },
  ];
  return (
    <Page fill title={t("jobs.title")}>
      <div className={classes.bar}>
        <SegmentedControl
          size="xs"
          aria-label={t("jobs.show")}
          value={show ?? "all"}
          onChange={(v) =>
            void navigate({
              to: paths.jobs,
              search: (old) => ({ ...old, show: v === "all" ? undefined : (v as typeof show) }),
              replace: true,
            })
          }
          data={(["all", "open", "failing", "ended"] as const).map((v) => ({ value: v, label: t(`jobs.show.${v}`) }))}
        />
      </div>
      {list.isPending ? (
        <LoadingView />
      ) : list.isError ? (
        <ErrorView error={list.error} onRetry={() => void list.refetch()} />
      ) : jobs.length === 0 && !list.hasNextPage ? (
        show === undefined ? (
          <EmptyView title={t("jobs.empty")}>
            <p>
              {t("jobs.empty.what")}{" "}
              <Link to={paths.applications} search={{ project }}>
                {t("jobs.empty.applications")}
              </Link>
            </p>
            <CliLine command="hawser app sync --filter 'sync:outofsync' --async --yes" />
          </EmptyView>
        ) : (
          <EmptyView
            title={t("jobs.emptyFiltered", { show: t(`jobs.show.${show}`) })}
            actions={
              <Link to={paths.jobs} search={{ project }}>
                {t("jobs.show.allLink")}
              </Link>
            }
          />
        )
      ) : (
        <DataTable
          label={t("jobs.title")}
          columns={columns}
          rows={jobs}
          rowKey={(j) => j.id}
          total={list.hasNextPage ? jobs.length + 1 : jobs.length}
          onMore={more}
          loadingMore={isFetchingNextPage}
          onOpen={(j) => void navigate({ to: paths.job, params: { job: j.id }, search: { project } })}
        />
      )}
    </Page>
  );
}

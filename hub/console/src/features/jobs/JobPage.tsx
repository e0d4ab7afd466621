import { Button } from "@mantine/core";
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState } from "react";
import type { JobItem } from "../../api/types";
import { api, idempotencyKey } from "../../client";
import { type MessageKey, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { type Column, DataTable } from "../../ui/DataTable";
import { Page } from "../../ui/Page";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusText } from "../../ui/StatusIcon";
import { cli } from "../../ui/shell";
import { EmptyView, ErrorView, LoadingView } from "../../ui/states";
import classes from "./jobs.module.css";
import { Progress } from "./Progress";
import { jobItemsQuery, jobQuery } from "./queries";
import { itemState, jobState } from "./state";

const route = getRouteApi(paths.job);
const phases = ["Failed", "Pending", "Accepted", "Cancelled"] as const;
const countOf = { Failed: "failed", Pending: "pending", Accepted: "accepted", Cancelled: "cancelled" } as const;

/** One job: how far it is, what became of each application, and a way to stop it. */
export function JobPage() {
  const t = useT();
  const client = useQueryClient();
  const { job: id } = route.useParams();
  const { show, project } = route.useSearch();
  const navigate = route.useNavigate();
  const job = useQuery(jobQuery(id));
  const items = useInfiniteQuery(jobItemsQuery(id));
  const [cancelling, setCancelling] = useState(false);
  const { fetchNextPage, isFetchingNextPage, hasNextPage, isError: itemsFailed } = items;
  const loaded = useMemo(() => items.data?.pages.flatMap((p) => p.items) ?? [], [items.data]);
  const rows = show === undefined ? loaded : loaded.filter((i) => i.phase === show);
  const more = useCallback(() => {
    if (!isFetchingNextPage) void fetchNextPage();
  }, [fetchNextPage, isFetchingNextPage]);
  // Those of one phase may be anywhere: all items are read then, of which there are 10,000 at most.
  useEffect(() => {
    if (show !== undefined && hasNextPage && !isFetchingNextPage && !itemsFailed) void fetchNextPage();
  }, [show, hasNextPage, isFetchingNextPage, itemsFailed, fetchNextPage]);
  const columns: Column<JobItem>[] = [
    { id: "number", title: t("jobs.number"), width: 64, number: true, cell: (i) => i.number },
    {
      id: "application",
      title: t("jobs.application"),
      width: 180,
      grow: 2,
      always: true,
      cell: (i) => (
        <Link
          to={paths.application}
          params={{ application: i.application }}
          search={{ project }}
          tabIndex={-1}
          className={classes.link}
        >
          <MiddleTruncate text={i.application} />
        </Link>
      ),
    },
    {
      id: "result",
      title: t("jobs.result"),
      width: 150,
      cell: (i) => (
        <StatusText state={itemState(i)}>
          {i.phase === "Accepted" && i.operationPhase !== undefined
            ? t(`jobs.operation.${i.operationPhase}`)
            : t(`jobs.item.${i.phase}`)}
        </StatusText>
      ),
    },
    {
      id: "message",
      title: t("jobs.message"),
      width: 240,
      grow: 4,
      cell: (i) =>
        i.message !== undefined && i.message !== "" ? (
          <span className={classes.message}>
            <span className={classes.code}>{i.id || i.code}</span>
            <PlainText text={i.message} />
          </span>
        ) : (
          <span className={classes.message}>
            {Object.entries(i.changes ?? {})
              .filter(([, n]) => n > 0)
              .map(([what, n]) => `${n} ${changeWord(t, what)}`)
              .join(" · ")}
          </span>
        ),
    },
    {
      id: "at",
      title: t("jobs.finished"),
      width: 110,
      cell: (i) => (i.finishedAt === undefined ? "" : <RelativeTime at={i.finishedAt} />),
    },
  ];
  const j = job.data;
  const title =
    j === undefined ? t("jobs.job") : `${t(`jobs.kind.${j.kind}`)}${j.dryRun ? ` · ${t("jobs.dryRun")}` : ""}`;
  return (
    <Page
      fill
      title={title}
      crumbs={
        <Link to={paths.jobs} search={{ project }}>
          {t("jobs.title")}
        </Link>
      }
      status={j !== undefined && <StatusText state={jobState(j)}>{t(`jobs.phase.${j.phase}`)}</StatusText>}
      actions={
        j?.phase === "Running" && (
          <Button color="red" variant="default" onClick={() => setCancelling(true)}>
            {t("jobs.cancel")}
          </Button>
        )
      }
    >
      {job.isPending ? (
        <LoadingView />
      ) : job.isError ? (
        <ErrorView error={job.error} onRetry={() => void job.refetch()} />
      ) : (
        <>
          <div className={classes.summary}>
            <div className={classes.facts}>
              <span>{t("jobs.applications", { n: job.data.total })}</span>
              <span>
                {t("jobs.by")} <PlainText text={job.data.initiatedBy} />
              </span>
              <span>
                {t("jobs.at")} <RelativeTime at={job.data.createdAt} />
              </span>
              {job.data.finishedAt !== undefined && (
                <span>
                  {t("jobs.finished")} <RelativeTime at={job.data.finishedAt} />
                </span>
              )}
              {job.data.cancelledBy !== undefined && (
                <span>
                  {t("jobs.cancelledBy")} <PlainText text={job.data.cancelledBy} />
                </span>
              )}
            </div>
            <Progress job={job.data} />
            <nav className={classes.counts} aria-label={t("jobs.show")}>
              <Link
                to={paths.job}
                params={{ job: id }}
                search={{ project }}
                replace
                data-current={show === undefined || undefined}
              >
                {t("jobs.show.all")} <b>{job.data.total}</b>
              </Link>
              {phases.map((p) => (
                <Link
                  key={p}
                  to={paths.job}
                  params={{ job: id }}
                  search={{ project, show: p }}
                  replace
                  data-current={show === p || undefined}
                >
                  {t(`jobs.item.${p}`)} <b>{job.data[countOf[p]]}</b>
                </Link>
              ))}
            </nav>
            <CliLine command={cli("hawser", "job", "get", id)} />
          </div>
          {items.isPending ? (
            <LoadingView />
          ) : items.isError ? (
            <ErrorView error={items.error} onRetry={() => void items.refetch()} />
          ) : rows.length === 0 && !hasNextPage ? (
            <EmptyView title={t("jobs.noneOfPhase", { phase: show === undefined ? "" : t(`jobs.item.${show}`) })} />
          ) : (
            <DataTable
              label={t("jobs.items")}
              columns={columns}
              rows={rows}
              rowKey={(i) => String(i.number)}
              total={show === undefined ? job.data.total : rows.length}
              onMore={hasNextPage ? more : undefined}
              loadingMore={isFetchingNextPage}
              onOpen={(i) =>
                void navigate({ to: paths.application, params: { application: i.application }, search: { project } })
              }
            />
          )}
        </>
      )}
      {cancelling && j !== undefined && (
        <ConfirmDialog
          title={t("jobs.cancel.title")}
          action={t("jobs.cancel")}
          cli={cli("hawser", "job", "cancel", id)}
          onClose={() => setCancelling(false)}
          onConfirm={async () => {
            await api.cancelJob(id, { idempotencyKey: idempotencyKey() });
            await client.invalidateQueries({ queryKey: ["jobs"] });
          }}
        >
          {t("jobs.cancel.what", { pending: j.pending, accepted: j.accepted })}
        </ConfirmDialog>
      )}
    </Page>
  );
}

const changeWords = [
  "created",
  "configured",
  "changed",
  "replaced",
  "pruned",
  "deleted",
  "unchanged",
  "skipped",
  "failed",
];

/** What became of objects, in words of the language where there is one. */
function changeWord(t: ReturnType<typeof useT>, what: string): string {
  const word = what.toLowerCase();
  return changeWords.includes(word) ? t(`jobs.change.${word}` as MessageKey) : what;
}

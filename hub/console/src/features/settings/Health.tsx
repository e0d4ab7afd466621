import { Button } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { api, Problem } from "../../client";
import { useFormat, useT } from "../../i18n";
import { apiDocs, paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { CopyButton } from "../../ui/CopyButton";
import { Facts } from "../../ui/Facts";
import layout from "../../ui/layout.module.css";
import { PlainTable } from "../../ui/PlainTable";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import type { State } from "../../ui/palette";
import { plainLine } from "../../ui/plain";
import { StatusText } from "../../ui/StatusIcon";
import { ErrorView, LoadingView } from "../../ui/states";
import { quotedTerm } from "../../ui/terms";
import { agentVersionsQuery, failingRepositoriesQuery, hubQuery, summaryQuery } from "./queries";

interface Finding {
  key: string;
  state: State;
  what: ReactNode;
  detail?: ReactNode;
  /** Of what is not well: its code, and what to do. */
  code?: string;
  fix?: ReactNode;
  action?: ReactNode;
}

/** Numbers of hawser doctor, which finds the same. */
const codes = { database: "HW-8043", restore: "HW-8042", silent: "HW-8041" };

/** How the hub is: what is not well, with its code and where to look, and which versions there are. */
export function Health({ project }: { project: string | undefined }) {
  const t = useT();
  const format = useFormat();
  const client = useQueryClient();
  const hub = useQuery(hubQuery);
  const summary = useQuery(summaryQuery);
  const agents = useQuery(agentVersionsQuery);
  const repositories = useQuery(failingRepositoriesQuery);
  const [acknowledging, setAcknowledging] = useState(false);
  if (hub.isPending) return <LoadingView rows={8} />;
  if (hub.isError) return <ErrorView error={hub.error} onRetry={() => void hub.refetch()} />;
  const away = summary.data?.away === true;
  const silent = summary.data?.clusters.silent ?? 0;
  const failing = repositories.data?.items ?? [];
  const asked = (q: { isPending: boolean; isError: boolean; error: unknown }, key: string, what: string) =>
    q.isError
      ? [
          {
            key,
            state: "unknown" as const,
            what,
            detail: <PlainText text={Problem.of(q.error).message} lines={2} />,
            code: Problem.of(q.error).id || Problem.of(q.error).code,
            fix: <PlainText text={Problem.of(q.error).fix ?? t("settings.health.unasked.fix")} lines={2} />,
          },
        ]
      : q.isPending
        ? [{ key, state: "progressing" as const, what, detail: t("ui.loading") }]
        : undefined;
  const findings: Finding[] = [
    ...(asked(summary, "database", t("settings.health.database")) ?? [
      {
        key: "database",
        state: away ? ("degraded" as const) : ("healthy" as const),
        what: t("settings.health.database"),
        detail: away
          ? t("settings.health.database.away", { time: format.time(summary.data?.asOf ?? "") })
          : t("settings.health.database.ok"),
        ...(away && { code: codes.database, fix: t("settings.health.database.fix") }),
      },
    ]),
    {
      key: "restore",
      state: hub.data.holdDeletes ? "degraded" : "healthy",
      what: t("settings.health.restore"),
      detail: t(hub.data.holdDeletes ? "settings.health.restore.held" : "settings.health.restore.ok"),
      ...(hub.data.holdDeletes && { code: codes.restore, fix: t("settings.health.restore.fix") }),
      action: hub.data.holdDeletes && (
        <Button onClick={() => setAcknowledging(true)}>{t("settings.health.restore.acknowledge")}</Button>
      ),
    },
    ...(asked(summary, "clusters", t("settings.health.clusters")) ?? [
      {
        key: "clusters",
        state: silent > 0 ? ("degraded" as const) : ("healthy" as const),
        what: t("settings.health.clusters"),
        detail: t("settings.health.clusters.reporting", {
          n: summary.data?.clusters.reporting ?? 0,
          total: summary.data?.clusters.total ?? 0,
        }),
        ...(silent > 0 && { code: codes.silent, fix: t("settings.health.clusters.fix") }),
        action: silent > 0 && (
          <Link to={paths.clusters} search={{ project, q: "-freshness:live" }}>
            {t("settings.health.look")}
          </Link>
        ),
      },
    ]),
    ...(asked(repositories, "repositories", t("settings.health.repositories")) ??
      (failing.length === 0
        ? [
            {
              key: "repositories",
              state: "healthy" as const,
              what: t("settings.health.repositories"),
              detail: t("settings.health.repositories.ok"),
            },
          ]
        : failing.map((r) => ({
            key: r.id,
            state: "degraded" as const,
            what: <MiddleTruncate text={r.url} most={50} />,
            detail: <PlainText text={r.error ?? ""} lines={2} />,
            code: r.errorCode,
            fix: t("settings.health.repositories.fix"),
            action: (
              <Link to={paths.repositories} search={{ project, sel: r.id }}>
                {t("settings.health.look")}
              </Link>
            ),
          })))),
  ];
  const versions = Object.entries(agents.data ?? {}).sort((a, b) => b[1] - a[1]);
  return (
    <>
      <section aria-label={t("settings.health")}>
        <div className={layout.head}>
          <div>
            <h2>{t("settings.health")}</h2>
            <p>{t("settings.health.help")}</p>
          </div>
        </div>
        <PlainTable
          label={t("settings.health")}
          rows={findings}
          rowKey={(f) => f.key}
          columns={[
            {
              key: "what",
              title: t("settings.health.what"),
              cell: (f) => <StatusText state={f.state}>{f.what}</StatusText>,
            },
            {
              key: "detail",
              title: t("settings.health.detail"),
              cell: (f) => (
                <>
                  {f.detail}
                  {f.fix !== undefined && (
                    <div className={layout.dim} data-fix>
                      {f.fix}
                    </div>
                  )}
                </>
              ),
            },
            {
              key: "code",
              title: t("settings.health.code"),
              cell: (f) => (f.code ? <code>{plainLine(f.code)}</code> : "–"),
            },
            { key: "do", title: "", cell: (f) => f.action },
          ]}
        />
      </section>
      <div className={layout.cards}>
        <section className={layout.card} aria-label={t("settings.hub")}>
          <h2>{t("settings.hub")}</h2>
          <Facts
            facts={[
              { name: t("settings.version"), value: <PlainText text={hub.data.version} /> },
              {
                name: t("settings.hubID"),
                value: (
                  <>
                    <PlainText text={hub.data.hubID} mono />{" "}
                    <CopyButton value={hub.data.hubID} name={t("settings.hubID")} />
                  </>
                ),
              },
              { name: t("settings.incarnation"), value: format.number(hub.data.incarnation) },
              { name: t("settings.api"), value: <a href={apiDocs}>{t("settings.api.reference")}</a> },
            ]}
          />
          <div className={layout.cardBody}>
            <CliLine command="hawser doctor" />
          </div>
        </section>
        <section className={layout.card} aria-label={t("settings.agents")}>
          <h2>{t("settings.agents")}</h2>
          {agents.isPending ? (
            <LoadingView rows={3} />
          ) : agents.isError ? (
            <ErrorView error={agents.error} onRetry={() => void agents.refetch()} />
          ) : versions.length === 0 ? (
            <p className={layout.cardBody}>{t("settings.agents.none")}</p>
          ) : (
            <PlainTable
              label={t("settings.agents")}
              rows={versions}
              rowKey={([v]) => v}
              columns={[
                { key: "version", title: t("settings.version"), cell: ([v]) => <PlainText text={v || "–"} /> },
                {
                  key: "skew",
                  title: t("settings.agents.skew"),
                  cell: ([v]) =>
                    v === hub.data.version ? (
                      <StatusText state="healthy">{t("settings.agents.same")}</StatusText>
                    ) : (
                      <StatusText state="pending">{t("settings.agents.other")}</StatusText>
                    ),
                },
                {
                  key: "clusters",
                  title: t("settings.agents.clusters"),
                  number: true,
                  cell: ([v, n]) => (
                    <Link to={paths.clusters} search={{ project, q: quotedTerm("agent", v) }}>
                      {format.number(n)}
                    </Link>
                  ),
                },
              ]}
            />
          )}
        </section>
      </div>
      {acknowledging && (
        <ConfirmDialog
          title={t("settings.health.restore.acknowledge")}
          action={t("settings.health.restore.acknowledge")}
          cli="hawser hub acknowledge-restore"
          onConfirm={async () => {
            await api.acknowledgeRestore();
            await client.invalidateQueries({ queryKey: hubQuery.queryKey });
          }}
          onClose={() => setAcknowledging(false)}
        >
          {t("settings.health.restore.what")}
        </ConfirmDialog>
      )}
    </>
  );
}

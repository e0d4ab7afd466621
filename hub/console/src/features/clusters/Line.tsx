import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Cluster, Happened } from "../../api/types";
import { useFormat, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { connectionOf } from "../../ui/Connection";
import { Facts } from "../../ui/Facts";
import { PlainTable } from "../../ui/PlainTable";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import type { State } from "../../ui/palette";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusText } from "../../ui/StatusIcon";
import { ErrorView, LoadingView } from "../../ui/states";
import classes from "./Clusters.module.css";
import { connectionLogQuery, diagnosisQuery } from "./queries";

/** Milliseconds as people read them: without a fraction from ten on. */
export function millis(ms: number): number {
  return ms >= 10 ? Math.round(ms) : ms;
}

/** The line to a cluster: its round trip, how often it broke, and a log of when it came and went, with reasons. */
export function Line({ cluster }: { cluster: Cluster }) {
  const t = useT();
  const format = useFormat();
  const log = useQuery(connectionLogQuery(cluster.name));
  const diagnosis = useQuery(diagnosisQuery(cluster.name));
  const stale = connectionOf(cluster) !== "connected" || undefined;
  const skew = diagnosis.data?.clockAheadMs ?? 0;
  const reconnects = log.data?.reconnects ?? diagnosis.data?.reconnects;
  return (
    <section className={classes.section} aria-labelledby="cluster-line">
      <h2 id="cluster-line">
        {t("clusters.line")}
        <span>{t("clusters.line.hour")}</span>
      </h2>
      <div className={classes.card} data-stale={stale}>
        <Facts
          facts={[
            {
              name: t("clusters.roundTrip"),
              value:
                cluster.roundTripMs === undefined
                  ? "–"
                  : t("clusters.roundTrip.ms", { ms: format.number(millis(cluster.roundTripMs)) }),
            },
            { name: t("clusters.reconnects"), value: reconnects === undefined ? "–" : format.number(reconnects) },
            {
              name: t("clusters.clock"),
              value:
                diagnosis.data === undefined || cluster.lastSeen === undefined
                  ? "–"
                  : Math.abs(skew) < 2000
                    ? t("clusters.clock.same")
                    : t(skew > 0 ? "clusters.clock.ahead" : "clusters.clock.behind", {
                        s: Math.round(Math.abs(skew) / 1000),
                      }),
            },
          ]}
        />
      </div>
      {log.isPending ? (
        <LoadingView rows={3} />
      ) : log.isError ? (
        <ErrorView error={log.error} onRetry={() => void log.refetch()} />
      ) : log.data.newest.length === 0 ? (
        <p className={classes.quiet}>{t("clusters.line.quiet")}</p>
      ) : (
        <>
          <PlainTable
            label={t("clusters.line")}
            rows={log.data.newest.map((h, n) => ({ ...h, n }))}
            rowKey={(h) => String(h.n)}
            columns={[
              { key: "at", title: t("clusters.when"), cell: (h) => <RelativeTime at={h.at} /> },
              { key: "what", title: t("clusters.what"), cell: (h) => <What of={h} /> },
              {
                key: "why",
                title: t("clusters.reason"),
                cell: (h) => <PlainText text={h.message ?? ""} lines={3} />,
              },
              {
                key: "code",
                title: t("clusters.code"),
                cell: (h) => (h.code === undefined ? "" : <code>{plainLine(h.id ?? h.code)}</code>),
              },
            ]}
          />
          {log.data.more !== undefined && log.data.more > 0 && (
            <p className={classes.quiet}>{t("clusters.line.more", { n: log.data.more })}</p>
          )}
        </>
      )}
    </section>
  );
}

const looks: Record<string, State> = { connected: "healthy", lost: "degraded", refused: "suspended" };

function What({ of: h }: { of: Happened }) {
  const t = useT();
  const word =
    h.kind === "connected" || h.kind === "lost" || h.kind === "refused"
      ? t(`clusters.line.${h.kind}`)
      : plainLine(h.kind);
  return <StatusText state={looks[h.kind] ?? "unknown"}>{word}</StatusText>;
}

/** What the agent has not taken yet: desired states and deletions that wait on the line. */
export function Queued({ cluster, project }: { cluster: Cluster; project: string | undefined }) {
  const t = useT();
  const diagnosis = useQuery(diagnosisQuery(cluster.name));
  const queued = diagnosis.data?.queued;
  if (queued === undefined || queued.total === 0) return null;
  return (
    <section className={classes.section} aria-labelledby="cluster-queued">
      <h2 id="cluster-queued">
        {t("clusters.queued", { n: queued.total })}
        <span>{cluster.connected ? t("clusters.queued.now") : t("clusters.queued.text")}</span>
      </h2>
      <PlainTable
        label={t("clusters.queued", { n: queued.total })}
        rows={queued.items}
        rowKey={(q) => q.uid}
        columns={[
          {
            key: "app",
            title: t("clusters.application"),
            cell: (q) => (
              <Link to={paths.application} params={{ application: q.name }} search={{ project }}>
                <MiddleTruncate text={q.name} />
              </Link>
            ),
          },
          { key: "project", title: t("clusters.project"), cell: (q) => <PlainText text={q.project} /> },
          {
            key: "what",
            title: t("clusters.what"),
            cell: (q) =>
              q.what === "update" || q.what === "delete" ? t(`clusters.queued.${q.what}`) : plainLine(q.what),
          },
          { key: "since", title: t("clusters.since"), cell: (q) => <RelativeTime at={q.since} /> },
        ]}
      />
      {queued.total > queued.items.length && (
        <p className={classes.quiet}>{t("clusters.line.more", { n: queued.total - queued.items.length })}</p>
      )}
    </section>
  );
}

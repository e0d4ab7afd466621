import { Link } from "@tanstack/react-router";
import { type MessageKey, type T, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { healthState, syncState } from "../../ui/applicationState";
import { CompactCell } from "../../ui/CompactCell";
import type { Column } from "../../ui/DataTable";
import { Icon } from "../../ui/Icon";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusIcon, StatusText, useStateWord } from "../../ui/StatusIcon";
import classes from "./ApplicationsPage.module.css";
import type { Row } from "./queries";

/** Fields of a row that every column may rest on. */
const always = ["name", "project", "cluster", "freshness", "observedAt", "deleting", "pin"];

/** What of the hub's row each column needs. */
const fieldsOf: Record<string, string[]> = {
  name: [],
  project: [],
  cluster: [],
  namespace: ["namespace"],
  sync: ["sync"],
  health: ["health"],
  operation: ["operation"],
  freshness: [],
  revision: ["revision", "desired"],
  target: ["targetRevision"],
  repo: ["repoURL"],
  path: ["path"],
  auto: ["autoSync"],
  changed: ["changedAt"],
  created: ["createdAt"],
};

const shownAtFirst = ["project", "cluster", "sync", "health", "operation", "revision", "changed"];

/** Ids of the columns that a search parameter asks for; what it does not know is left out. */
export function columnsShown(cols: string | undefined): string[] {
  if (cols === undefined) return shownAtFirst;
  return cols.split(",").filter((c) => c !== "name" && c in fieldsOf);
}

/** The search parameter for columns; left out when they are those of the beginning. */
export function columnsParameter(shown: readonly string[]): string | undefined {
  const text = Object.keys(fieldsOf)
    .filter((c) => shown.includes(c))
    .join(",");
  if (
    text ===
    Object.keys(fieldsOf)
      .filter((c) => shownAtFirst.includes(c))
      .join(",")
  )
    return undefined;
  return text === "" ? "name" : text;
}

/** Fields to ask for, with the states, which live changes are told by. */
export function fieldsFor(shown: readonly string[]): string {
  return [...new Set([...always, "sync", "health", "operation", ...shown.flatMap((c) => fieldsOf[c] ?? [])])].join(",");
}

/** What is shown of it is of an earlier time. */
export function isStale(r: Row): boolean {
  return r.freshness === "stale" || r.freshness === "never";
}

const operationStates = {
  Queued: "pending",
  Sent: "pending",
  Running: "progressing",
  Succeeded: "healthy",
  Failed: "degraded",
  Superseded: "suspended",
  Expired: "degraded",
  Terminated: "suspended",
} as const;

const freshnessStates = { live: "healthy", lagging: "pending", stale: "unknown", never: "unknown" } as const;

/** Columns of the table. Whoever comes from a row can go on to the next of the same list. */
export function applicationColumns(t: T, list: { project?: string; filter?: string; sort?: string }): Column<Row>[] {
  const asOf = (r: Row) =>
    isStale(r) && (r.observedAt === undefined ? t("ui.never") : <RelativeTime at={r.observedAt} short />);
  return [
    {
      id: "name",
      title: t("applications.name"),
      width: 168,
      grow: 3,
      sort: "name",
      always: true,
      cell: (r) => (
        <span className={classes.name}>
          <Link
            to={paths.application}
            params={{ application: r.name }}
            search={{ project: list.project, in: list.filter, order: list.sort }}
            tabIndex={-1}
          >
            <MiddleTruncate text={r.name} />
          </Link>
          {r.pin !== undefined && (
            <span className={classes.mark} title={t("applications.pinned")}>
              <Icon name="pin" size={12} />
              <span className="visually-hidden">{t("applications.pinned")}</span>
            </span>
          )}
          {r.deleting && <span className={classes.mark}>{t("applications.deleting")}</span>}
        </span>
      ),
    },
    {
      id: "project",
      title: t("applications.project"),
      width: 84,
      grow: 1,
      sort: "project",
      cell: (r) => <MiddleTruncate text={r.project} most={24} />,
    },
    {
      id: "cluster",
      title: t("applications.cluster"),
      width: 150,
      grow: 1,
      sort: "cluster",
      cell: (r) => <MiddleTruncate text={r.cluster} most={16} />,
    },
    {
      id: "namespace",
      title: t("applications.namespace"),
      width: 110,
      grow: 1,
      sort: "namespace",
      cell: (r) => <MiddleTruncate text={r.namespace ?? ""} most={24} />,
    },
    {
      id: "sync",
      title: t("applications.sync"),
      width: 118,
      sort: "sync",
      cell: (r) => (
        <StatusText state={syncState(r.sync.status, r.sync.reason)} asOf={asOf(r)}>
          {r.sync.status === "Synced" ? t("applications.sync.synced") : undefined}
        </StatusText>
      ),
    },
    {
      id: "health",
      title: t("applications.health"),
      width: 150,
      grow: 2,
      sort: "health",
      cell: (r) => (
        <StatusText state={healthState(r.health.status)} asOf={asOf(r)}>
          {r.health.message !== undefined && r.health.message !== "" && r.health.status !== "Healthy" ? (
            <PlainText text={r.health.message.slice(0, 200)} />
          ) : undefined}
        </StatusText>
      ),
    },
    {
      id: "operation",
      title: t("applications.operation"),
      width: 112,
      sort: "operation",
      cell: (r) =>
        r.operation === undefined ? (
          <span className={classes.dim}>—</span>
        ) : (
          <StatusText state={operationStates[r.operation.phase] ?? "unknown"}>
            {t(`applications.operation.${phaseWord(r.operation.phase)}` as MessageKey)}
          </StatusText>
        ),
    },
    {
      id: "freshness",
      title: t("applications.freshness"),
      width: 120,
      sort: "freshness",
      cell: (r) => (
        <StatusText state={freshnessStates[r.freshness]} asOf={asOf(r)}>
          {t(`applications.freshness.${r.freshness}`)}
        </StatusText>
      ),
    },
    {
      id: "revision",
      title: t("applications.revision"),
      width: 82,
      sort: "revision",
      cell: (r) =>
        r.revision === undefined ? (
          <span className={classes.dim}>—</span>
        ) : (
          <span className="mono" title={r.desired?.message}>
            <MiddleTruncate text={/^[0-9a-f]{40}$/.test(r.revision) ? r.revision.slice(0, 8) : r.revision} most={12} />
          </span>
        ),
    },
    {
      id: "target",
      title: t("applications.target"),
      width: 100,
      cell: (r) => <MiddleTruncate text={r.targetRevision ?? ""} most={18} />,
    },
    {
      id: "repo",
      title: t("applications.repo"),
      width: 160,
      grow: 2,
      sort: "repo",
      cell: (r) => <MiddleTruncate text={r.repoURL ?? ""} most={44} />,
    },
    {
      id: "path",
      title: t("applications.path"),
      width: 120,
      grow: 1,
      sort: "path",
      cell: (r) => <MiddleTruncate text={r.path ?? ""} most={30} />,
    },
    {
      id: "auto",
      title: t("applications.auto"),
      width: 84,
      cell: (r) => t(r.autoSync ? "applications.auto.on" : "applications.auto.off"),
    },
    {
      id: "changed",
      title: t("applications.changed"),
      width: 104,
      sort: "changed",
      cell: (r) => (r.changedAt === undefined ? "" : <RelativeTime at={r.changedAt} short />),
    },
    {
      id: "created",
      title: t("applications.created"),
      width: 100,
      sort: "created",
      cell: (r) => (r.createdAt === undefined ? "" : <RelativeTime at={r.createdAt} short />),
    },
  ];
}

/** All of a row in two lines: its name and states, and what is wrong with it or where it is. */
export function CompactRow({ row: r, list }: { row: Row; list: { project?: string; filter?: string; sort?: string } }) {
  const t = useT();
  const word = useStateWord();
  const stale = isStale(r);
  const sync = syncState(r.sync.status, r.sync.reason);
  const health = healthState(r.health.status);
  const operation = r.operation === undefined ? undefined : (operationStates[r.operation.phase] ?? "unknown");
  const reason = r.health.status === "Healthy" ? "" : (r.health.message ?? "");
  const label = (what: string, state: string) =>
    `${what}: ${state}${stale ? ` (${t("applications.freshness.stale")})` : ""}`;
  return (
    <CompactCell
      name={
        <Link
          to={paths.application}
          params={{ application: r.name }}
          search={{ project: list.project, in: list.filter, order: list.sort }}
          tabIndex={-1}
        >
          <MiddleTruncate text={r.name} most={32} />
        </Link>
      }
      signs={
        <>
          {operation !== undefined && operation !== "healthy" && r.operation !== undefined && (
            <StatusIcon
              state={operation}
              label={`${t("applications.operation")}: ${t(`applications.operation.${phaseWord(r.operation.phase)}` as MessageKey)}`}
            />
          )}
          <StatusIcon
            state={sync}
            stale={stale}
            label={label(t("applications.sync"), sync === "healthy" ? t("applications.sync.synced") : word(sync))}
          />
          <StatusIcon state={health} stale={stale} label={label(t("applications.health"), word(health))} />
        </>
      }
      more={
        reason === "" ? (
          <>
            <MiddleTruncate text={r.project} most={18} /> · <MiddleTruncate text={r.cluster} most={22} />
          </>
        ) : (
          <PlainText text={reason.slice(0, 200)} />
        )
      }
    />
  );
}

/** A phase as the filter language has it. */
function phaseWord(phase: string): string {
  return phase === "Sent" ? "queued" : phase.toLowerCase();
}

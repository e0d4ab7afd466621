import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { ApplicationCounts, ClusterCounts } from "../../api/types";
import { useFormat, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { StatusIcon } from "../../ui/StatusIcon";
import classes from "./FleetPage.module.css";

/** Applications of which something is known now: what does not report is in no share. */
export function reporting(a: ApplicationCounts): number {
  return a.total - a.stale - a.never;
}

/** Six numbers, each a link to what it counts. */
export function Numbers({
  clusters,
  applications,
  project,
}: {
  clusters: ClusterCounts;
  applications: ApplicationCounts;
  project: string | undefined;
}) {
  const t = useT();
  const format = useFormat();
  const known = reporting(applications);
  const healthy = applications.health.healthy ?? 0;
  const silent = applications.stale + applications.never;
  const apps = (q: string, name: string, value: ReactNode) => (
    <Link to={paths.applications} search={{ project, q }} className={classes.number}>
      <span className={classes.value}>{value}</span> <span className={classes.name}>{name}</span>
    </Link>
  );
  return (
    <nav className={classes.numbers} aria-label={t("fleet.numbers")}>
      <Link
        to={paths.clusters}
        search={{ project, q: clusters.silent > 0 ? "-state:connected" : undefined }}
        className={classes.number}
      >
        <span className={classes.value}>
          <StatusIcon state={clusters.silent > 0 ? "degraded" : "healthy"} />
          {format.number(clusters.reporting)}
          <small> {t("fleet.of", { total: clusters.total })}</small>
        </span>{" "}
        <span className={classes.name}>{t("fleet.clustersReporting", { silent: clusters.silent })}</span>
      </Link>
      {apps(
        "health:healthy",
        t("fleet.healthyOf", { reporting: known }),
        <>
          <StatusIcon state="healthy" />
          {known === 0 ? "–" : format.percent(healthy / known)}
          <small> {format.number(healthy)}</small>
        </>,
      )}
      {apps(
        "health:degraded is:live,lagging",
        t("fleet.degraded"),
        <>
          <StatusIcon state="degraded" />
          {format.number(applications.health.degraded ?? 0)}
        </>,
      )}
      {apps(
        "reason:drifted is:live,lagging",
        t("fleet.drifted"),
        <>
          <StatusIcon state="drifted" />
          {format.number(applications.sync.drifted ?? 0)}
        </>,
      )}
      {apps(
        "reason:pending is:live,lagging",
        t("fleet.pending"),
        <>
          <StatusIcon state="pending" />
          {format.number(applications.sync.pending ?? 0)}
        </>,
      )}
      {apps(
        "is:stale,never",
        t("fleet.notReporting"),
        <>
          <StatusIcon state="unknown" stale={silent > 0} />
          {format.number(silent)}
        </>,
      )}
    </nav>
  );
}

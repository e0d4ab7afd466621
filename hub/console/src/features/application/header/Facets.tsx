import type { ReactNode } from "react";
import type { AppView } from "../../../api/types";
import { useT } from "../../../i18n";
import { healthState, syncState } from "../../../ui/applicationState";
import { RelativeTime } from "../../../ui/RelativeTime";
import { StatusText } from "../../../ui/StatusIcon";
import { freshnessState, isStale, operationKind, operationState } from "../facets";
import classes from "./Facets.module.css";

/** The four facets of an application, each with its name for readers, never merged into one. */
export function Facets({ app }: { app: AppView }) {
  const t = useT();
  const asOf =
    isStale(app.freshness) && (app.observedAt === undefined ? "" : <RelativeTime at={app.observedAt} short />);
  const outOfSync = app.resources?.filter((r) => r.sync.status === "OutOfSync").length ?? 0;
  const sync = syncState(app.sync.status, app.sync.reason);
  const op = app.operation;
  const ended = op?.finishedAt ?? op?.startedAt ?? op?.createdAt;
  return (
    <>
      <Facet name={t("application.facet.sync")}>
        <StatusText state={sync} asOf={asOf}>
          {sync === "healthy"
            ? t("application.sync.synced")
            : sync === "drifted"
              ? t("application.sync.drifted", { n: outOfSync })
              : sync === "pending"
                ? t("application.sync.pending", { n: outOfSync })
                : t("application.sync.unknown")}
        </StatusText>
      </Facet>
      <Facet name={t("application.facet.health")}>
        <StatusText state={healthState(app.health.status)} asOf={asOf} />
      </Facet>
      <Facet name={t("application.facet.operation")}>
        {op === undefined ? (
          <span className={classes.none}>{t("application.operation.none")}</span>
        ) : (
          <StatusText state={operationState(op.phase)}>
            {t("application.operation", {
              kind: operationKind(op),
              phase: op.terminating && op.phase === "Running" ? "Terminating" : op.phase,
            })}{" "}
            {ended !== undefined && <RelativeTime at={ended} short />}
          </StatusText>
        )}
      </Facet>
      <Facet name={t("application.facet.freshness")}>
        <StatusText state={freshnessState(app.freshness)} asOf={asOf}>
          {t("application.freshness", { freshness: app.freshness })}
        </StatusText>
      </Facet>
    </>
  );
}

function Facet({ name, children }: { name: string; children: ReactNode }) {
  return (
    <span className={classes.facet}>
      <span className={classes.name}>{name}</span>
      {children}
    </span>
  );
}

import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import type { AppView, ObjectKey, TreeNode } from "../../../api/types";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { healthState } from "../../../ui/applicationState";
import { Icon } from "../../../ui/Icon";
import { MiddleTruncate, PlainText } from "../../../ui/PlainText";
import { RelativeTime } from "../../../ui/RelativeTime";
import { StatusText } from "../../../ui/StatusIcon";
import { isStale } from "../facets";
import { objectText } from "../object";
import { tabs } from "../tabs";
import classes from "./Overview.module.css";
import { whyNotHealthy } from "./why";

const route = getRouteApi(paths.application);

/** Why the application is not healthy: the worst leaf first, with what one does next. */
export function WhyList({ app, nodes }: { app: AppView; nodes: readonly TreeNode[] }) {
  const t = useT();
  const reasons = useMemo(() => whyNotHealthy(app, nodes), [app, nodes]);
  const stale = isStale(app.freshness);
  if (app.health.status === "Healthy")
    return (
      <section className={classes.well}>
        <StatusText
          state="healthy"
          asOf={stale && (app.observedAt === undefined ? t("ui.never") : <RelativeTime at={app.observedAt} short />)}
        >
          {stale ? t("application.why.wasHealthy") : t("application.why.healthy")}
        </StatusText>
        {app.health.since !== undefined && (
          <span className={classes.dim}>
            <RelativeTime at={app.health.since} />
          </span>
        )}
      </section>
    );
  return (
    <section aria-label={t("application.why")}>
      <h2>{t("application.why")}</h2>
      {reasons.length === 0 ? (
        <p className={classes.dim}>
          {app.health.message !== undefined && app.health.message !== "" ? (
            <PlainText text={app.health.message} lines={4} />
          ) : (
            t("application.why.unknown")
          )}
        </p>
      ) : (
        <ol className={classes.list}>
          {reasons.map((w) => {
            const leaf = w.chain[w.chain.length - 1] as ObjectKey;
            return (
              <li key={objectText(leaf)} className={classes.item} data-state={healthState(w.status)}>
                <div className={classes.line}>
                  <StatusText state={healthState(w.status)} asOf={stale && ""} />
                  <span className={classes.chain}>
                    {w.chain.length > 1 && (
                      <>
                        <ObjectName object={w.chain[0] as ObjectKey} name={app.name} />
                        <Icon name="right" size={12} />
                        {w.chain.length > 2 && (
                          <>
                            <span
                              className={classes.dim}
                              title={w.chain
                                .slice(1, -1)
                                .map((k) => k.name)
                                .join(" › ")}
                            >
                              …
                            </span>
                            <Icon name="right" size={12} />
                          </>
                        )}
                      </>
                    )}
                    <ObjectName object={leaf} name={app.name} />
                  </span>
                  {w.alike > 0 && <span className={classes.dim}>{t("application.why.alike", { n: w.alike })}</span>}
                  {w.since !== undefined && (
                    <span className={classes.dim}>
                      <RelativeTime at={w.since} />
                    </span>
                  )}
                </div>
                {w.message !== "" && (
                  <div className={classes.message}>
                    <PlainText text={w.message} lines={4} />
                  </div>
                )}
                <NextSteps name={app.name} object={leaf} />
              </li>
            );
          })}
        </ol>
      )}
    </section>
  );
}

/** An object; opens its side sheet. */
export function ObjectName({ object, name }: { object: ObjectKey; name: string }) {
  return (
    <Link
      to={paths.application}
      params={{ application: name }}
      search={(old) => ({ ...old, sel: objectText(object), sheet: "summary" })}
      from={paths.application}
    >
      <MiddleTruncate text={`${object.kind}/${object.name}`} most={44} />
    </Link>
  );
}

/** Tabs that tell more about one object; logs of what has some only. */
export function NextSteps({
  name,
  object,
  of = ["tree", "events", "logs"],
}: {
  name: string;
  object: ObjectKey;
  of?: readonly string[];
}) {
  const t = useT();
  const search = route.useSearch();
  const more = tabs.filter((x) => of.includes(x.id) && (x.id !== "logs" || hasLogs(object)));
  if (more.length === 0) return null;
  return (
    <div className={classes.next}>
      {more.map((x) => (
        <Link
          key={x.id}
          to={paths.application}
          params={{ application: name }}
          search={{ project: search.project, in: search.in, order: search.order, tab: x.id, sel: objectText(object) }}
        >
          {t(x.title)}
        </Link>
      ))}
    </div>
  );
}

const hasLogs = (k: ObjectKey): boolean =>
  ["Pod", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job"].includes(k.kind);

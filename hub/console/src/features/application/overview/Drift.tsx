import type { AppView } from "../../../api/types";
import { useT } from "../../../i18n";
import { syncState } from "../../../ui/applicationState";
import { PlainText } from "../../../ui/PlainText";
import { RelativeTime } from "../../../ui/RelativeTime";
import { StatusText } from "../../../ui/StatusIcon";
import { isStale } from "../facets";
import classes from "./Overview.module.css";
import { ObjectName } from "./WhyList";

const most = 8;

/** Objects that are not as the sources say, with the first field that differs and who set it. */
export function Drift({ app }: { app: AppView }) {
  const t = useT();
  const differ = (app.resources ?? []).filter((r) => r.sync.status === "OutOfSync" || r.requiresPruning);
  if (differ.length === 0) return null;
  const stale = isStale(app.freshness);
  return (
    <section aria-label={t("application.drift")}>
      <h2>{t("application.drift")}</h2>
      <ul className={classes.list}>
        {differ.slice(0, most).map((r) => {
          const first = r.differences?.[0];
          const more = (r.differences?.length ?? 0) - 1;
          return (
            <li key={`${r.group}/${r.kind}/${r.namespace}/${r.name}`} className={classes.item} data-state="drifted">
              <div className={classes.line}>
                <StatusText state={syncState(r.sync.status, r.sync.reason)} asOf={stale && ""}>
                  {r.requiresPruning ? t("application.drift.prune") : undefined}
                </StatusText>
                <span className={classes.chain}>
                  <ObjectName object={r} name={app.name} />
                </span>
              </div>
              {first !== undefined && (
                <div className={classes.difference}>
                  <code>
                    <PlainText text={first.path} lines={2} />
                  </code>
                  <span className={classes.pair}>
                    <span className={classes.of}>{t("diff.desired")}</span>
                    <del>
                      <PlainText text={first.desired ?? t("application.none")} lines={2} mono />
                    </del>
                    <span className={classes.of}>{t("diff.live")}</span>
                    <ins>
                      <PlainText text={first.live ?? t("application.none")} lines={2} mono />
                    </ins>
                  </span>
                  <span className={classes.dim}>
                    {first.manager !== undefined && first.manager !== "" && (
                      <>
                        {t("application.drift.by")} <PlainText text={first.manager} />{" "}
                      </>
                    )}
                    {first.changedAt !== undefined && <RelativeTime at={first.changedAt} />}
                    {more > 0 && ` ${t("application.drift.more", { n: more })}`}
                  </span>
                </div>
              )}
            </li>
          );
        })}
      </ul>
      {differ.length > most && <p className={classes.dim}>{t("application.andMore", { n: differ.length - most })}</p>}
    </section>
  );
}

import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { healthState } from "../../../ui/applicationState";
import { MiddleTruncate } from "../../../ui/PlainText";
import { plainLine } from "../../../ui/plain";
import { StatusIcon, useStateWord } from "../../../ui/StatusIcon";
import { EmptyView } from "../../../ui/states";
import type { Forest, Item } from "./items";
import { fact, podGroups } from "./pods";
import classes from "./Resources.module.css";

const route = getRouteApi(paths.application);

/** Pods by workload, each as a cell with the sign of its state, the worst first. */
export function PodsView({ forest, items, asOf }: { forest: Forest; items: readonly Item[]; asOf?: string }) {
  const t = useT();
  const word = useStateWord();
  const { application } = route.useParams();
  const { sel, sheet } = route.useSearch();
  const groups = useMemo(() => podGroups(forest, items), [forest, items]);
  if (groups.length === 0) return <EmptyView title={t("application.resources.noPods")} />;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className={classes.pods} tabIndex={0} aria-label={t("application.resources.pods")}>
      {groups.map((g) => (
        <section key={g.owner?.key ?? ""} className={classes.podGroup}>
          <h2>
            {g.owner === undefined ? (
              t("application.resources.podsOfNobody")
            ) : (
              <MiddleTruncate text={`${g.owner.object.kind}/${g.owner.object.name}`} most={60} />
            )}{" "}
            <span className={classes.dim}>{t("application.resources.podCount", { n: g.pods.length })}</span>
          </h2>
          <ul>
            {g.pods.map((p) => {
              const state = healthState(p.health);
              const restarts = fact(p, "Restarts");
              const ready = fact(p, "Ready");
              return (
                <li key={p.key}>
                  <Link
                    to={paths.application}
                    params={{ application }}
                    search={(old) => ({ ...old, sel: p.key, sheet: "summary" })}
                    from={paths.application}
                    className={classes.pod}
                    data-state={state}
                    data-stale={asOf !== undefined || undefined}
                    aria-current={sheet !== undefined && sel === p.key ? "true" : undefined}
                    title={plainLine([p.object.name, p.message].filter(Boolean).join("\n").slice(0, 500))}
                  >
                    <StatusIcon state={state} stale={asOf !== undefined} label={word(state)} />
                    <span className={classes.podName}>
                      <MiddleTruncate text={p.object.name} most={24} />
                    </span>
                    <span className={classes.dim}>
                      {[
                        fact(p, "Status"),
                        ready,
                        restarts !== undefined && restarts !== "0"
                          ? t("application.resources.restarts", { n: Number(restarts) })
                          : undefined,
                      ]
                        .filter(Boolean)
                        .map((x) => plainLine(String(x)))
                        .join(" · ")}
                    </span>
                  </Link>
                </li>
              );
            })}
          </ul>
        </section>
      ))}
    </section>
  );
}

import type { AppView, Health } from "../../../api/types";
import { useT } from "../../../i18n";
import { healthState } from "../../../ui/applicationState";
import { StatusIcon, useStateWord } from "../../../ui/StatusIcon";
import { isStale, worstFirst } from "../facets";
import classes from "./Overview.module.css";

/** How many of its objects are how. */
export function Counts({ app }: { app: AppView }) {
  const t = useT();
  const word = useStateWord();
  const all = (app.resources ?? []).filter((r) => r.hook === undefined || r.hook === "");
  const by = new Map<Health, number>();
  for (const r of all) {
    const health = r.health.status || "Unknown";
    by.set(health, (by.get(health) ?? 0) + 1);
  }
  if (all.length === 0) return <p className={classes.dim}>{t("application.counts.none")}</p>;
  return (
    <section aria-label={t("application.counts")}>
      <h2>{t("application.counts.title", { n: all.length })}</h2>
      <ul className={classes.counts}>
        {worstFirst
          .filter((h) => by.has(h))
          .map((h) => (
            <li key={h} data-state={healthState(h)}>
              <StatusIcon state={healthState(h)} stale={isStale(app.freshness)} />
              <strong>{by.get(h)}</strong> {word(healthState(h))}
            </li>
          ))}
      </ul>
    </section>
  );
}

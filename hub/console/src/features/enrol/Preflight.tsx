import type { EnrolmentPreflight } from "../../api/types";
import { useT } from "../../i18n";
import { Icon } from "../../ui/Icon";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import classes from "./Enrol.module.css";
import { checkNames, outcomes } from "./steps";

/** What an agent found before it enrolled. Every text is the agent's. */
export function Preflight({ found }: { found: EnrolmentPreflight }) {
  const t = useT();
  const made = found.checks.filter((c) => c.outcome !== "skipped");
  const good = made.filter((c) => c.outcome === "ok");
  return (
    <section className={classes.box} aria-labelledby="enrol-preflight">
      <div className={classes.boxHead}>
        <strong id="enrol-preflight">{t("enrol.preflight", { good: good.length, made: made.length })}</strong>
        <RelativeTime at={found.at} />
      </div>
      <ul className={classes.steps}>
        {found.checks.map((c) => {
          const name = checkNames.find((n) => n === c.check);
          const outcome = outcomes.find((o) => o === c.outcome) ?? "skipped";
          return (
            <li key={c.check} className={classes.step} data-outcome={outcome}>
              <span className={classes.mark} aria-hidden="true">
                {outcome === "ok" && <Icon name="check" size={12} />}
                {(outcome === "failed" || outcome === "warning") && "!"}
              </span>
              <span>
                {name === undefined ? plainLine(c.check) : t(`enrol.check.${name}`)}
                <span className="visually-hidden"> {t(`enrol.outcome.${outcome}`)}</span>
                {c.code !== undefined && (
                  <>
                    {" "}
                    <code>{c.id === undefined || c.id === "" ? plainLine(c.code) : c.id}</code>
                  </>
                )}
              </span>
              <span className={classes.under}>
                <PlainText text={c.message} lines={4} />
              </span>
              {c.fix !== undefined && (
                <span className={classes.under}>
                  {t("enrol.fix")} <PlainText text={c.fix} lines={4} />
                </span>
              )}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

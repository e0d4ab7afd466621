import type { MessageKey } from "../i18n";
import { useT } from "../i18n";
import classes from "./Explanation.module.css";
import type { Explained } from "./explained";
import { Icon } from "./Icon";
import { PlainText } from "./PlainText";
import { plainLine } from "./plain";
import { RelativeTime } from "./RelativeTime";

const rules: Record<string, MessageKey> = {
  project: "ui.explain.rule.project",
  role: "ui.explain.rule.role",
  source: "ui.explain.rule.source",
  "source namespace": "ui.explain.rule.sourceNamespace",
  signature: "ui.explain.rule.signature",
  destination: "ui.explain.rule.destination",
  "service account": "ui.explain.rule.serviceAccount",
  kinds: "ui.explain.rule.kinds",
  limits: "ui.explain.rule.limits",
  window: "ui.explain.rule.window",
};

const results: Record<string, MessageKey> = {
  passed: "ui.explain.passed",
  failed: "ui.explain.failed",
  "not evaluated": "ui.explain.skipped",
};

/** Why something is allowed or not: every check in order, the nearest rule, and who decides. */
export function Explanation({ of: e }: { of: Explained }) {
  const t = useT();
  const label = t(e.allowed ? "ui.explain.allowed" : "ui.explain.denied");
  return (
    <section className={classes.explanation} aria-label={t("ui.explain.title")}>
      <div className={classes.verdict}>
        <span className={classes.mark} data-allowed={e.allowed}>
          <Icon name={e.allowed ? "check" : "close"} size={14} />
        </span>
        <span>
          {label}
          {e.question !== undefined && e.question !== "" && (
            <>
              : <PlainText text={e.question} lines={3} />
            </>
          )}
        </span>
        {e.id !== undefined && e.id !== "" && <code>{plainLine(e.id)}</code>}
      </div>
      <ol className={classes.checks} aria-label={t("ui.explain.checks")}>
        {e.checks.map((c, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the checks are in order, and some are alike
          <li key={i} className={classes.check} data-result={c.result}>
            <span className={classes.mark}>
              {c.result === "not evaluated" ? (
                <span aria-hidden="true">–</span>
              ) : (
                <Icon name={c.result === "passed" ? "check" : "close"} size={14} />
              )}
              <span className="visually-hidden">{t(results[c.result] ?? "ui.explain.skipped")}</span>
            </span>
            <span className={classes.rule}>
              {rules[c.rule] === undefined ? plainLine(c.rule) : t(rules[c.rule] as MessageKey)}
            </span>
            <span className={classes.said}>
              <PlainText text={c.message} lines={4} />
              {c.matched !== undefined && c.matched !== "" && c.matched !== c.message && (
                <span>{t("ui.explain.matched", { rule: plainLine(c.matched) })}</span>
              )}
              {c.nearest !== undefined && c.nearest !== "" && c.nearest !== c.message && (
                <span>{t("ui.explain.nearest", { rule: plainLine(c.nearest) })}</span>
              )}
              {c.differs !== undefined && c.differs !== "" && (
                <span>{t("ui.explain.differs", { how: plainLine(c.differs) })}</span>
              )}
            </span>
          </li>
        ))}
      </ol>
      <Foot of={e} />
    </section>
  );
}

function Foot({ of: e }: { of: Explained }) {
  const t = useT();
  const fixes = [...new Set((e.refusals ?? []).map((r) => r.fix).filter((f) => f !== undefined && f !== ""))];
  const decided = e.project !== undefined && e.project !== "";
  const changes = e.canChange !== undefined && e.canChange !== "" && !e.allowed;
  if (fixes.length === 0 && !decided && !changes) return null;
  return (
    <div className={classes.foot}>
      {fixes.length > 0 && (
        <ul aria-label={t("ui.explain.fixes")}>
          {fixes.map((f) => (
            <li key={f}>
              <PlainText text={f ?? ""} lines={3} />
            </li>
          ))}
        </ul>
      )}
      {decided && (
        <div>
          {t("ui.explain.project", { project: plainLine(e.project ?? "") })}
          {e.projectVersion !== undefined && e.projectVersion > 0 && (
            <> · {t("ui.explain.version", { version: e.projectVersion })}</>
          )}
          {e.changedAt !== undefined && e.changedAt !== "" && !e.changedAt.startsWith("0001") && (
            <>
              {" "}
              · {t("ui.explain.changed")} <RelativeTime at={e.changedAt} />
              {e.changedBy !== undefined && e.changedBy !== "" && (
                <> {t("ui.explain.by", { name: plainLine(e.changedBy) })}</>
              )}
            </>
          )}
        </div>
      )}
      {changes && <div>{t("ui.explain.canChange", { who: plainLine(e.canChange ?? "") })}</div>}
    </div>
  );
}

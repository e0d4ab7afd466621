import { type MessageKey, useFormat, useT } from "../../i18n";
import layout from "../../ui/layout.module.css";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { StatusIcon } from "../../ui/StatusIcon";
import classes from "./Trial.module.css";
import type { Trial } from "./tryRepository";

const names: Record<string, MessageKey> = {
  dns: "repositories.step.dns",
  tcp: "repositories.step.tcp",
  tls: "repositories.step.tls",
  ssh: "repositories.step.ssh",
  auth: "repositories.step.auth",
  "ls-remote": "repositories.step.lsRemote",
  index: "repositories.step.index",
  tags: "repositories.step.tags",
};

const credentials: Record<string, MessageKey> = {
  given: "repositories.credential.given",
  repository: "repositories.credential.repository",
  template: "repositories.credential.template",
  none: "repositories.credential.none",
};

/** The steps of a test, as they come; the failed one with its cause and what to do. */
export function TrialSteps({ trial }: { trial: Trial }) {
  const t = useT();
  const format = useFormat();
  const problem = trial.problem;
  return (
    <section aria-label={t("repositories.test")} aria-live="polite" aria-busy={trial.ok === undefined}>
      <ol className={classes.steps}>
        {trial.steps.map((s, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: steps are in order, and some come twice
          <li key={i}>
            <StatusIcon
              state={s.ok ? "healthy" : "degraded"}
              label={t(s.ok ? "repositories.step.ok" : "repositories.step.failed")}
            />
            <span className={classes.name}>
              {names[s.name] === undefined ? plainLine(s.name) : t(names[s.name] as MessageKey)}
            </span>
            <span className={classes.detail}>
              <PlainText text={s.problem?.detail ?? s.detail ?? ""} lines={4} />
            </span>
            <span className={layout.dim}>{t("repositories.ms", { n: format.number(s.milliseconds) })}</span>
          </li>
        ))}
        {trial.ok === undefined && (
          <li>
            <StatusIcon state="progressing" />
            <span className={classes.name}>{t("repositories.testing")}</span>
          </li>
        )}
      </ol>
      {trial.ok !== undefined && (
        <div className={classes.verdict} data-ok={trial.ok}>
          <strong>{t(trial.ok ? "repositories.test.ok" : "repositories.test.failed")}</strong>
          {problem !== undefined && (
            <>
              {trial.steps.every((s) => s.ok) && <PlainText text={problem.detail} lines={6} />}
              {problem.fix !== undefined && <PlainText text={problem.fix} lines={6} />}
              <code>{plainLine(problem.code)}</code>
            </>
          )}
          {trial.credential !== undefined && (
            <span className={layout.dim}>
              {t(credentials[trial.credential] ?? "repositories.credential.none", {
                url: plainLine(trial.template ?? ""),
              })}
            </span>
          )}
        </div>
      )}
    </section>
  );
}

import { Button } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { api, idempotencyKey } from "../../../client";
import { useT } from "../../../i18n";
import { CliLine } from "../../../ui/CliLine";
import { CopyButton } from "../../../ui/CopyButton";
import { MiddleTruncate, PlainText } from "../../../ui/PlainText";
import { RelativeTime } from "../../../ui/RelativeTime";
import { StatusText } from "../../../ui/StatusIcon";
import { cli } from "../../../ui/shell";
import { ErrorView, LoadingView } from "../../../ui/states";
import { toastProblem } from "../../../ui/toast";
import { isOpen, operationKind, operationState } from "../facets";
import { countSteps, stepKinds, stepSigns, stepsOf } from "./plan";
import { operationQuery } from "./queries";
import { stepWords } from "./Steps";
import classes from "./Sync.module.css";

/** A sync or rollback under way: how far it is, and what became of each object. */
export function OperationView({
  name,
  id,
  onAgain,
  onClose,
}: {
  name: string;
  id: string;
  onAgain?: () => void;
  onClose: () => void;
}) {
  const t = useT();
  const query = useQuery(operationQuery(name, id));
  const end = useMutation({
    mutationFn: () => api.terminateOperation(id, { idempotencyKey: idempotencyKey() }),
    onSuccess: () => void query.refetch(),
    onError: (e) => toastProblem(t, e),
  });
  const op = query.data;
  if (query.isPending) return <LoadingView rows={6} />;
  if (op === undefined) return <ErrorView error={query.error} onRetry={() => void query.refetch()} />;
  const open = isOpen(op);
  const { steps, same } = stepsOf(op.result?.resources ?? [], op.spec.syncOptions?.includes("Replace=true") ?? false);
  const counts = countSteps(steps);
  return (
    <div className={classes.panel}>
      <div className={classes.running} role="status">
        <StatusText state={operationState(op.phase)}>
          {t("application.operation", {
            kind: operationKind(op),
            phase: op.terminating && op.phase === "Running" ? "Terminating" : op.phase,
          })}
        </StatusText>{" "}
        <span className={classes.dim}>
          {(op.finishedAt ?? op.startedAt ?? op.createdAt) !== undefined && (
            <RelativeTime at={op.finishedAt ?? op.startedAt ?? op.createdAt ?? ""} />
          )}
        </span>
        {op.message !== undefined && op.message !== "" && (
          <div className={classes.message}>
            <PlainText text={op.message} lines={6} />
          </div>
        )}
      </div>
      <div className={classes.counts}>
        {stepKinds.map(
          (k) =>
            (counts[k] ?? 0) > 0 && (
              <span key={k} className={classes.count} data-kind={k}>
                <span aria-hidden="true">{stepSigns[k]}</span> {t(stepWords[k], { n: counts[k] })}
              </span>
            ),
        )}
        {same > 0 && <span className={classes.same}>{t("sync.step.same", { n: same })}</span>}
      </div>
      <ul className={classes.results} aria-label={t("sync.results")}>
        {steps.slice(0, 500).map((s) => (
          <li key={`${s.id} ${s.phase ?? ""}`} className={classes.result} data-kind={s.kind}>
            <span className={classes.sign} aria-hidden="true">
              {stepSigns[s.kind]}
            </span>
            <span className={classes.object}>
              <span className="visually-hidden">{t("sync.kind", { kind: s.kind })} </span>
              <span className={classes.kindName}>{s.object.kind}</span>{" "}
              <MiddleTruncate text={s.object.name} most={52} />
              {s.message !== undefined && (
                <span className={classes.message}>
                  <PlainText text={s.message} lines={3} />
                </span>
              )}
            </span>
          </li>
        ))}
        {steps.length > 500 && <li className={classes.dim}>{t("application.andMore", { n: steps.length - 500 })}</li>}
      </ul>
      <div className={classes.foot}>
        <div className={classes.dim}>
          {t("sync.operation")} <code>{op.id}</code> <CopyButton value={op.id} name={t("sync.operation")} />
        </div>
        <CliLine
          command={open ? cli("hawser", "app", "wait", name, "--operation") : cli("hawser", "operation", "get", op.id)}
        />
        <div className={classes.buttons}>
          {open ? (
            <Button variant="default" loading={end.isPending} disabled={op.terminating} onClick={() => end.mutate()}>
              {t("sync.end")}
            </Button>
          ) : (
            onAgain !== undefined && (
              <Button variant="default" onClick={onAgain}>
                {t("sync.again")}
              </Button>
            )
          )}
          <Button onClick={onClose}>{t("ui.close")}</Button>
        </div>
      </div>
    </div>
  );
}

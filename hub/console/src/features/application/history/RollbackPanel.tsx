import { Button, Checkbox, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import type { AppView } from "../../../api/types";
import { api, idempotencyKey, Problem } from "../../../client";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { CliLine } from "../../../ui/CliLine";
import { MiddleTruncate, PlainText } from "../../../ui/PlainText";
import { RelativeTime } from "../../../ui/RelativeTime";
import { SideSheet } from "../../../ui/SideSheet";
import { cli } from "../../../ui/shell";
import { EmptyView, ErrorView, LoadingView } from "../../../ui/states";
import { applicationQuery } from "../queries";
import { OperationView } from "../sync/OperationView";
import { countSteps, stepKinds, stepSigns, stepsOf } from "../sync/plan";
import { stepWords } from "../sync/Steps";
import sync from "../sync/Sync.module.css";
import { rollbackPlanQuery } from "./queries";

const route = getRouteApi(paths.application);

/** The sheet in which one goes back to a deployment: what that changes, why, and what follows from it. */
export default function RollbackPanel({ name }: { name: string }) {
  const t = useT();
  const navigate = route.useNavigate();
  const search = route.useSearch();
  const app = useQuery(applicationQuery(name)).data;
  const close = () => void navigate({ search: (old) => ({ ...old, panel: undefined, to: undefined, op: undefined }) });
  const id = Number(search.to);
  return (
    <SideSheet
      title={Number.isInteger(id) && id > 0 ? t("history.rollback.title", { id }) : t("history.rollback")}
      onClose={close}
      width={600}
    >
      {search.op !== undefined ? (
        <OperationView name={name} id={search.op} onClose={close} />
      ) : app === undefined ? null : !Number.isInteger(id) || id < 1 ? (
        <EmptyView title={t("history.rollback.choose")} />
      ) : (
        <Plan key={`${name} ${id}`} app={app} id={id} />
      )}
    </SideSheet>
  );
}

function Plan({ app, id }: { app: AppView; id: number }) {
  const t = useT();
  const navigate = route.useNavigate();
  const client = useQueryClient();
  const [reason, setReason] = useState("");
  const [prune, setPrune] = useState(false);
  const plan = useQuery(rollbackPlanQuery(app.name, id, app.generation));
  const go = useMutation({
    mutationFn: () =>
      api.rollbackApplication(
        app.name,
        {
          historyID: id,
          reason: reason.trim() || undefined,
          prune: prune || undefined,
          // What the plan was made of; when it is another by now the plan is looked at anew.
          expectedGeneration: app.generation,
        },
        { idempotencyKey: idempotencyKey() },
      ),
    onSuccess: (op) => {
      void client.invalidateQueries({ queryKey: applicationQuery(app.name).queryKey });
      void navigate({ search: (old) => ({ ...old, op: op.id }), replace: true });
    },
  });
  if (plan.isPending) return <LoadingView rows={8} />;
  if (plan.isError) return <ErrorView error={plan.error} onRetry={() => void plan.refetch()} />;
  const { deployment, setAside } = plan.data;
  const { steps, same } = stepsOf(plan.data.resources, false);
  const counts = countSteps(steps);
  const problem = go.error === null ? undefined : Problem.of(go.error);
  return (
    <div className={sync.panel}>
      <div className={sync.running}>
        <div>
          <code>{deployment.revision.slice(0, 7)}</code>{" "}
          {deployment.message !== undefined && <PlainText text={deployment.message} lines={2} />}
        </div>
        <div className={sync.dim}>
          {t("history.rollback.deployed")} <RelativeTime at={deployment.deployedAt} />
        </div>
      </div>
      <div className={sync.counts}>
        {stepKinds.map(
          (k) =>
            (counts[k] ?? 0) > 0 && (
              <span key={k} className={sync.count} data-kind={k}>
                <span aria-hidden="true">{stepSigns[k]}</span> {t(stepWords[k], { n: counts[k] })}
              </span>
            ),
        )}
        {same > 0 && <span className={sync.same}>{t("sync.step.same", { n: same })}</span>}
      </div>
      <ul className={sync.results} aria-label={t("sync.steps")}>
        {steps.slice(0, 500).map((s) => (
          <li key={s.id} className={sync.result} data-kind={s.kind}>
            <span className={sync.sign} aria-hidden="true">
              {stepSigns[s.kind]}
            </span>
            <span className={sync.object}>
              <span className="visually-hidden">{t("sync.kind", { kind: s.kind })} </span>
              <span className={sync.kindName}>{s.object.kind}</span> <MiddleTruncate text={s.object.name} most={52} />
            </span>
          </li>
        ))}
        {steps.length > 500 && <li className={sync.dim}>{t("application.andMore", { n: steps.length - 500 })}</li>}
      </ul>
      <div className={sync.foot}>
        <p className={sync.note}>{t("history.rollback.compared")}</p>
        <p>
          {setAside === undefined
            ? t("history.rollback.noPin")
            : t("history.rollback.pin", { aside: setAside.commit.slice(0, 7), auto: app.autoSync ? "yes" : "no" })}
        </p>
        <TextInput
          label={t("sync.reason")}
          value={reason}
          maxLength={500}
          onChange={(e) => setReason(e.currentTarget.value)}
          data-autofocus
        />
        <Checkbox
          label={t("sync.option.prune")}
          description={t("history.rollback.prune")}
          checked={prune}
          onChange={(e) => setPrune(e.currentTarget.checked)}
        />
        <CliLine
          command={cli(
            "hawser",
            "app",
            "rollback",
            app.name,
            String(id),
            prune && "--prune",
            reason.trim() !== "" && "--reason",
            reason.trim() !== "" && reason.trim(),
          )}
        />
        {problem !== undefined && (
          <div role="alert" className={sync.problem}>
            <PlainText text={[problem.message, problem.fix].filter(Boolean).join(" ")} lines={5} />{" "}
            <code>{problem.id || problem.code}</code>
          </div>
        )}
        <div className={sync.buttons}>
          <Button loading={go.isPending} onClick={() => go.mutate()}>
            {t("history.rollback.go", { id })}
          </Button>
        </div>
      </div>
    </div>
  );
}

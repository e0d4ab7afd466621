import { Button, Checkbox, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import type { AppView } from "../../../api/types";
import { api, idempotencyKey, Problem } from "../../../client";
import { type MessageKey, useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { CliLine } from "../../../ui/CliLine";
import { ConfirmDialog } from "../../../ui/ConfirmDialog";
import { PlainText } from "../../../ui/PlainText";
import { plainLine } from "../../../ui/plain";
import { SideSheet } from "../../../ui/SideSheet";
import { cli } from "../../../ui/shell";
import { EmptyView, ErrorView, LoadingView, PartialBanner } from "../../../ui/states";
import { isStale } from "../facets";
import { applicationQuery } from "../queries";
import { OperationView } from "./OperationView";
import {
  onlyOf,
  onlyText,
  optionsOf,
  optionsText,
  type Plan,
  type SyncOption,
  specOf,
  syncCommand,
  syncOf,
  syncOptions,
} from "./plan";
import { usePlan } from "./queries";
import { Steps } from "./Steps";
import classes from "./Sync.module.css";

const route = getRouteApi(paths.application);

const optionWords: Record<SyncOption, [MessageKey, MessageKey]> = {
  prune: ["sync.option.prune", "sync.option.prune.says"],
  replace: ["sync.option.replace", "sync.option.replace.says"],
  force: ["sync.option.force", "sync.option.force.says"],
  nohooks: ["sync.option.nohooks", "sync.option.nohooks.says"],
  approve: ["sync.option.approve", "sync.option.approve.says"],
};

/** The sheet in which a sync is planned with the cluster's own answer, chosen, and begun. */
export default function SyncPanel({ name }: { name: string }) {
  const t = useT();
  const navigate = route.useNavigate();
  const search = route.useSearch();
  const app = useQuery(applicationQuery(name)).data;
  const close = () =>
    void navigate({ search: (old) => ({ ...old, panel: undefined, opt: undefined, only: undefined, op: undefined }) });
  return (
    <SideSheet title={t("sync.title")} onClose={close} width={640}>
      {search.op !== undefined ? (
        <OperationView
          name={name}
          id={search.op}
          onAgain={() => void navigate({ search: (old) => ({ ...old, op: undefined, only: undefined }) })}
          onClose={close}
        />
      ) : (
        app !== undefined && <Planned key={name} app={app} />
      )}
    </SideSheet>
  );
}

function Planned({ app }: { app: AppView }) {
  const t = useT();
  const navigate = route.useNavigate();
  const search = route.useSearch();
  const [attempt, setAttempt] = useState(0);
  const options = optionsOf(search.opt);
  const planning = usePlan(app.name, specOf(options), attempt, true);
  const again = () => setAttempt((n) => n + 1);
  const set = (o: SyncOption, on: boolean) => {
    const next = new Set(options);
    if (on) next.add(o);
    else next.delete(o);
    void navigate({ search: (old) => ({ ...old, opt: optionsText(next) }), replace: true });
  };
  return (
    <div className={classes.panel}>
      {isStale(app.freshness) && <PartialBanner>{t("sync.stale", { cluster: app.cluster })}</PartialBanner>}
      <fieldset className={classes.options}>
        <legend className="visually-hidden">{t("sync.options")}</legend>
        {syncOptions.slice(0, 1).map((o) => (
          <Option key={o} option={o} on={options.has(o)} set={set} />
        ))}
        <details open={[...options].some((o) => o !== "prune") || undefined}>
          <summary>{t("sync.options.more")}</summary>
          {syncOptions.slice(1).map((o) => (
            <Option key={o} option={o} on={options.has(o)} set={set} />
          ))}
        </details>
      </fieldset>
      {planning.phase === "failed" ? (
        <ErrorView error={planning.error} onRetry={again} />
      ) : planning.phase === "moved" ? (
        <EmptyView title={t("sync.moved.title")} actions={<Button onClick={again}>{t("sync.again")}</Button>}>
          {t("sync.moved")}
        </EmptyView>
      ) : planning.phase === "asking" ? (
        <>
          <p className={classes.asking} role="status">
            {planning.operation?.message ? (
              <PlainText text={planning.operation.message} lines={3} />
            ) : (
              t("sync.asking", { cluster: app.cluster })
            )}
          </p>
          <LoadingView rows={8} />
        </>
      ) : (
        <Decide app={app} plan={planning.plan} options={options} onAgain={again} />
      )}
    </div>
  );
}

function Option({ option, on, set }: { option: SyncOption; on: boolean; set: (o: SyncOption, on: boolean) => void }) {
  const t = useT();
  const [title, says] = optionWords[option];
  return (
    <Checkbox
      className={classes.option}
      label={t(title)}
      description={t(says)}
      checked={on}
      onChange={(e) => set(option, e.currentTarget.checked)}
    />
  );
}

function Decide({
  app,
  plan,
  options,
  onAgain,
}: {
  app: AppView;
  plan: Plan;
  options: ReadonlySet<SyncOption>;
  onAgain: () => void;
}) {
  const t = useT();
  const navigate = route.useNavigate();
  const search = route.useSearch();
  const client = useQueryClient();
  const [reason, setReason] = useState("");
  const [asked, setAsked] = useState(false);
  const only = onlyOf(search.only);
  const chosen = new Set(plan.steps.filter((s) => only?.has(s.id) ?? true).map((s) => s.id));
  const isPart = chosen.size < plan.steps.length;
  const spec = syncOf(plan, options, isPart ? chosen : undefined, reason);
  const blocked = plan.steps.some((s) => s.kind === "blocked" && chosen.has(s.id));
  const prunes = plan.steps.filter((s) => s.kind === "prune" && chosen.has(s.id)).length;
  const confirm = prunes > 0 && (plan.guarded !== undefined || (plan.prunesAll && prunes === plan.counts.prune));
  const sync = useMutation({
    mutationFn: () => api.syncApplication(app.name, spec, { state: plan.state }, { idempotencyKey: idempotencyKey() }),
    onSuccess: (op) => {
      void client.invalidateQueries({ queryKey: applicationQuery(app.name).queryKey, exact: true });
      void navigate({ search: (old) => ({ ...old, op: op.id }), replace: true });
    },
  });
  const choose = (ids: ReadonlySet<string>) =>
    void navigate({ search: (old) => ({ ...old, only: onlyText(ids, plan.steps) }), replace: true });
  const problem = sync.error === null ? undefined : Problem.of(sync.error);
  if (plan.steps.length === 0)
    return (
      <EmptyView
        title={t("sync.nothing.title")}
        actions={
          <Button variant="default" onClick={onAgain}>
            {t("sync.again")}
          </Button>
        }
      >
        <p>{t("sync.nothing", { n: plan.same })}</p>
        <CliLine command={cli("hawser", "app", "plan", app.name)} />
      </EmptyView>
    );
  return (
    <>
      {plan.guarded !== undefined && <PartialBanner>{t("sync.guarded", { n: plan.guarded })}</PartialBanner>}
      <Steps plan={plan} chosen={chosen} onChoose={choose} />
      <div className={classes.foot}>
        {isPart && chosen.size > 0 && <p className={classes.note}>{t("sync.part")}</p>}
        {blocked && <p className={classes.warn}>{t("sync.blocked")}</p>}
        <TextInput
          label={t("sync.reason")}
          value={reason}
          maxLength={500}
          onChange={(e) => setReason(e.currentTarget.value)}
        />
        <CliLine command={syncCommand(app.name, spec)} />
        {problem !== undefined && (
          <div role="alert" className={classes.problem}>
            <PlainText text={[problem.message, problem.fix].filter(Boolean).join(" ")} lines={5} />{" "}
            <code>{problem.id || problem.code}</code>
          </div>
        )}
        <div className={classes.buttons}>
          <Button variant="default" onClick={onAgain}>
            {t("sync.again")}
          </Button>
          <Button
            color={confirm ? "red" : undefined}
            disabled={blocked || chosen.size === 0}
            loading={sync.isPending}
            onClick={() => (confirm ? setAsked(true) : sync.mutate())}
          >
            {prunes > 0 ? t("sync.go.prune", { n: chosen.size, prunes }) : t("sync.go", { n: chosen.size })}
          </Button>
        </div>
      </div>
      {asked && (
        <ConfirmDialog
          title={t("sync.confirm.title", { n: prunes })}
          action={t("sync.confirm.go", { n: prunes })}
          type={plainLine(app.name)}
          cli={syncCommand(app.name, spec)}
          onConfirm={() => sync.mutateAsync()}
          onClose={() => setAsked(false)}
        >
          {t(plan.prunesAll ? "sync.confirm.all" : "sync.confirm.many", {
            n: prunes,
            app: plainLine(app.name),
            cluster: plainLine(app.cluster),
          })}
        </ConfirmDialog>
      )}
    </>
  );
}

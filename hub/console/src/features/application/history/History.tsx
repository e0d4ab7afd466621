import { Button, Checkbox, SegmentedControl } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { AppView, HistoryEntry, OperationInfo } from "../../../api/types";
import { api, idempotencyKey } from "../../../client";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { CliLine } from "../../../ui/CliLine";
import { CopyButton } from "../../../ui/CopyButton";
import { PlainText } from "../../../ui/PlainText";
import { RelativeTime } from "../../../ui/RelativeTime";
import { StatusText } from "../../../ui/StatusIcon";
import { cli } from "../../../ui/shell";
import { EmptyView, ErrorView, LoadingView } from "../../../ui/states";
import { toast, toastProblem } from "../../../ui/toast";
import { operationState } from "../facets";
import { applicationQuery } from "../queries";
import { Compare } from "./Compare";
import { took } from "./compare";
import classes from "./History.module.css";
import { operationsQuery } from "./queries";

const route = getRouteApi(paths.application);

/** The two deployments that a text of the URL names, such as "3,7". */
export function pairOf(text: string | undefined): [number?, number?] {
  const ids = (text ?? "")
    .split(",")
    .map(Number)
    .filter((n) => Number.isInteger(n) && n > 0);
  return [ids[0], ids[1]];
}

/** What was deployed, with the way back to it; and everything that was asked for. */
export default function History({ name }: { name: string }) {
  const t = useT();
  const navigate = route.useNavigate();
  const search = route.useSearch();
  const app = useQuery(applicationQuery(name)).data;
  if (app === undefined) return null;
  const entries = [...(app.history ?? [])].reverse();
  const chosen = pairOf(search.pair);
  const choose = (id: number, on: boolean) => {
    const others = chosen.filter((x): x is number => x !== undefined && x !== id);
    const next = on ? [...others.slice(-1), id] : others;
    void navigate({
      search: (old) => ({ ...old, pair: next.length === 0 ? undefined : next.sort((a, b) => a - b).join(",") }),
      replace: true,
    });
  };
  const [a, b] = chosen.map((id) => entries.find((e) => e.id === id));
  const operations = search.show === "operations";
  return (
    <div className={classes.page}>
      <div className={classes.bar}>
        <SegmentedControl
          aria-label={t("history.show")}
          value={operations ? "operations" : "deployments"}
          onChange={(v) =>
            void navigate({
              search: (old) => ({ ...old, show: v === "operations" ? ("operations" as const) : undefined }),
              replace: true,
            })
          }
          data={[
            { value: "deployments", label: t("history.deployments") },
            { value: "operations", label: t("history.operations") },
          ]}
        />
        {!operations && entries.length > 1 && <span className={classes.dim}>{t("history.pick")}</span>}
      </div>
      {app.pin !== undefined && <Pinned app={app} />}
      {operations ? (
        <Operations name={name} />
      ) : entries.length === 0 ? (
        <EmptyView title={t("history.none.title")} actions={<CliLine command={cli("hawser", "app", "sync", name)} />}>
          {t("history.none")}
        </EmptyView>
      ) : (
        <ol className={classes.list} aria-label={t("history.deployments")}>
          {entries.map((e, i) => (
            <Entry
              key={e.id}
              app={app}
              entry={e}
              current={i === 0}
              chosen={chosen.includes(e.id)}
              onChoose={entries.length > 1 ? choose : undefined}
            />
          ))}
        </ol>
      )}
      {!operations && a !== undefined && b !== undefined && (
        <Compare key={`${a.id} ${b.id}`} name={name} before={a} after={b} />
      )}
      {/* An empty view has a line of its own: the one that would fill it. */}
      {(operations || entries.length > 0) && (
        <div className={classes.cli}>
          <CliLine
            command={
              operations ? cli("hawser", "operation", "list", "--app", name) : cli("hawser", "app", "history", name)
            }
          />
        </div>
      )}
    </div>
  );
}

/** That a rollback holds the application, and the end of it. */
function Pinned({ app }: { app: AppView }) {
  const t = useT();
  const client = useQueryClient();
  const undo = useMutation({
    mutationFn: () => api.unpinApplication(app.name, {}, { idempotencyKey: idempotencyKey() }),
    onSuccess: () => {
      toast(t("history.undone"));
      void client.invalidateQueries({ queryKey: applicationQuery(app.name).queryKey });
    },
    onError: (e) => toastProblem(t, e),
  });
  const aside = app.pin?.setAside;
  return (
    <section className={classes.pin} aria-label={t("history.pinned")}>
      <p>
        <strong>{t("history.pinned")}</strong>{" "}
        {aside !== undefined &&
          t("history.pinned.body", {
            at: app.pin?.revision.commit.slice(0, 7) ?? "",
            aside: aside.commit.slice(0, 7),
          })}{" "}
        {aside?.message !== undefined && <PlainText text={aside.message} />}
      </p>
      <div className={classes.undo}>
        <Button variant="default" loading={undo.isPending} onClick={() => undo.mutate()}>
          {t("history.undo")}
        </Button>
        <CliLine command={cli("hawser", "app", "unpin", app.name)} />
      </div>
    </section>
  );
}

function Entry({
  app,
  entry,
  current,
  chosen,
  onChoose,
}: {
  app: AppView;
  entry: HistoryEntry;
  current: boolean;
  chosen: boolean;
  onChoose?: (id: number, on: boolean) => void;
}) {
  const t = useT();
  const navigate = route.useNavigate();
  const time = took(entry.deployStartedAt, entry.deployedAt);
  return (
    <li className={classes.entry} data-current={current || undefined}>
      {onChoose !== undefined && (
        <Checkbox
          aria-label={t("history.choose", { id: entry.id })}
          checked={chosen}
          onChange={(e) => onChoose(entry.id, e.currentTarget.checked)}
        />
      )}
      <span className={classes.id}>#{entry.id}</span>
      <span className={classes.what}>
        <span className={classes.line}>
          <code>{entry.revision.slice(0, 7)}</code>
          <CopyButton value={entry.revision} name={t("history.revision")} />
          {entry.message !== undefined && <PlainText text={entry.message} />}
        </span>
        <span className={classes.dim}>
          {entry.rollback !== undefined && `${t("history.rollbackTo", { id: entry.rollback.historyID })} · `}
          {entry.initiatedBy ? (
            <>
              {t("history.by")} <PlainText text={entry.initiatedBy} />
            </>
          ) : (
            t("history.automatic")
          )}
          {entry.reason !== undefined && entry.reason !== "" && (
            <>
              {" · "}
              <PlainText text={entry.reason} />
            </>
          )}
        </span>
      </span>
      <span className={classes.when}>
        <RelativeTime at={entry.deployedAt} />
        {time !== "" && <span className={classes.dim}>{t("history.took", { time })}</span>}
      </span>
      <span className={classes.act}>
        {current ? (
          <StatusText state="healthy">{t("history.current")}</StatusText>
        ) : (
          <Button
            variant="default"
            size="compact-sm"
            disabled={app.deleting}
            aria-label={t("history.rollback.of", { id: entry.id })}
            onClick={() =>
              void navigate({
                search: (old) => ({ ...old, panel: "rollback" as const, to: String(entry.id), op: undefined }),
              })
            }
          >
            {t("history.rollback")}
          </Button>
        )}
      </span>
    </li>
  );
}

/** Everything that was asked for: also what failed, syncs of a part, plans and actions. */
function Operations({ name }: { name: string }) {
  const t = useT();
  const query = useQuery(operationsQuery(name));
  if (query.isPending) return <LoadingView />;
  if (query.isError) return <ErrorView error={query.error} onRetry={() => void query.refetch()} />;
  if (query.data.items.length === 0) return <EmptyView title={t("history.operations.none")} />;
  return (
    <>
      <ol className={classes.list} aria-label={t("history.operations")}>
        {query.data.items.map((op) => (
          <li key={op.id} className={classes.entry}>
            <span className={classes.phase}>
              <StatusText state={operationState(op.phase)}>
                {t("application.operation", { kind: op.kind, phase: op.phase })}
              </StatusText>
            </span>
            <span className={classes.what}>
              <span className={classes.line}>
                {kindsOf(op).map((k) => (
                  <span key={k} className={classes.chip}>
                    {t("history.kind", { kind: k, n: op.spec.resources?.length ?? 0 })}
                  </span>
                ))}
                {op.spec.action !== undefined && <PlainText text={op.spec.action.name} />}
                {(op.result?.revision ?? op.spec.revision) !== undefined && (
                  <code>{(op.result?.revision ?? op.spec.revision ?? "").slice(0, 7)}</code>
                )}
                {op.message !== undefined && op.message !== "" && <PlainText text={op.message} lines={2} />}
              </span>
              <span className={classes.dim}>
                {op.initiatedBy ? (
                  <>
                    {t("history.by")} <PlainText text={op.initiatedBy} />
                  </>
                ) : (
                  t("history.automatic")
                )}
                {op.spec.reason !== undefined && (
                  <>
                    {" · "}
                    <PlainText text={op.spec.reason} />
                  </>
                )}
              </span>
            </span>
            <span className={classes.when}>
              {op.createdAt !== undefined && <RelativeTime at={op.createdAt} />}
              {took(op.startedAt, op.finishedAt) !== "" && (
                <span className={classes.dim}>{t("history.took", { time: took(op.startedAt, op.finishedAt) })}</span>
              )}
            </span>
            <span className={classes.act}>
              {op.kind === "sync" && (
                <Link
                  from={paths.application}
                  to={paths.application}
                  search={(old) => ({ ...old, panel: "sync" as const, op: op.id })}
                  aria-label={t("history.results.of", { id: op.id })}
                >
                  {t("history.results")}
                </Link>
              )}
            </span>
          </li>
        ))}
      </ol>
      {query.data.nextCursor !== undefined || query.data.total > query.data.items.length ? (
        <p className={classes.rest}>
          {t("history.operations.some", { n: query.data.items.length, total: query.data.total })}
        </p>
      ) : null}
    </>
  );
}

function kindsOf(op: OperationInfo): string[] {
  const out: string[] = [];
  if (op.spec.dryRun) out.push("plan");
  if (op.spec.rollback !== undefined) out.push("rollback");
  if (op.spec.resources !== undefined && op.spec.resources.length > 0) out.push("part");
  if (op.spec.prune) out.push("prune");
  return out;
}

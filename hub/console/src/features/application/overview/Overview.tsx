import { useQuery } from "@tanstack/react-query";
import { Fragment, type ReactNode } from "react";
import type { AppView, Source } from "../../../api/types";
import { useT } from "../../../i18n";
import { CopyButton } from "../../../ui/CopyButton";
import { Facts } from "../../../ui/Facts";
import { MiddleTruncate, PlainText, SafeLink } from "../../../ui/PlainText";
import { RelativeTime } from "../../../ui/RelativeTime";
import { applicationQuery, treeQuery } from "../queries";
import { Counts } from "./Counts";
import { Drift } from "./Drift";
import classes from "./Overview.module.css";
import { WhyList } from "./WhyList";

/** What an application is like, why, and what it is made of. */
export default function Overview({ name }: { name: string }) {
  const t = useT();
  const app = useQuery(applicationQuery(name)).data;
  const tree = useQuery(treeQuery(name));
  if (app === undefined) return null;
  return (
    <div className={classes.room}>
      <div className={classes.overview}>
        <div className={classes.main}>
          <WhyList app={app} nodes={tree.data?.nodes ?? []} />
          <Conditions app={app} />
          <Drift app={app} />
          <Counts app={app} />
        </div>
        <section className={classes.facts} aria-label={t("application.facts")}>
          <Facts facts={facts(app, t)} />
        </section>
      </div>
    </div>
  );
}

/** What the hub or the agent cannot do with it as it is. */
function Conditions({ app }: { app: AppView }) {
  const t = useT();
  const failed = app.operation?.phase === "Failed" ? app.operation : undefined;
  const failures = failed?.result?.resources?.filter((r) => r.status === "Failed") ?? [];
  if ((app.conditions ?? []).length === 0 && failed === undefined) return null;
  return (
    <section aria-label={t("application.conditions")}>
      <h2>{t("application.conditions")}</h2>
      <ul className={classes.list}>
        {failed !== undefined && (
          <li className={classes.item} data-state="degraded">
            <div className={classes.line}>
              <strong>{t("application.operation.failed", { kind: failed.kind })}</strong>
              {failed.finishedAt !== undefined && (
                <span className={classes.dim}>
                  <RelativeTime at={failed.finishedAt} />
                </span>
              )}
            </div>
            {failed.message !== undefined && (
              <div className={classes.message}>
                <PlainText text={failed.message} lines={6} />
              </div>
            )}
            {failures.slice(0, 5).map((r) => (
              <div key={`${r.kind}/${r.namespace}/${r.name}`} className={classes.message}>
                <MiddleTruncate text={`${r.kind}/${r.name}`} most={60} />{" "}
                {r.message !== undefined && <PlainText text={r.message} lines={2} />}
              </div>
            ))}
            {failures.length > 5 && (
              <div className={classes.dim}>{t("application.andMore", { n: failures.length - 5 })}</div>
            )}
          </li>
        )}
        {(app.conditions ?? []).map((c) => (
          <li key={`${c.type} ${c.code} ${c.message}`} className={classes.item} data-state="drifted">
            <div className={classes.line}>
              <strong>
                <PlainText text={c.type} />
              </strong>
              {c.code !== undefined && c.code !== "" && <code className={classes.dim}>{c.code}</code>}
              {c.revision !== undefined && c.revision !== "" && (
                <code className={classes.dim}>{c.revision.slice(0, 7)}</code>
              )}
              {c.since !== undefined && (
                <span className={classes.dim}>
                  <RelativeTime at={c.since} />
                </span>
              )}
            </div>
            <div className={classes.message}>
              <PlainText text={c.message} lines={8} />
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

function facts(app: AppView, t: ReturnType<typeof useT>): { name: string; value: ReactNode }[] {
  const spec = app.application?.spec;
  const sources = spec?.sources ?? (spec?.source === undefined ? [] : [spec.source]);
  const auto = spec?.syncPolicy?.automated;
  const out: { name: string; value: ReactNode }[] = [
    {
      name: t("application.fact.desired"),
      value:
        app.desired.commit === "" ? (
          t("application.none")
        ) : (
          <span className={classes.revision}>
            <span>
              <code>{app.desired.commit.slice(0, 7)}</code>{" "}
              <CopyButton value={app.desired.commit} name={t("application.fact.desired")} />
            </span>
            {app.desired.message !== undefined && <PlainText text={app.desired.message} lines={2} />}
            <span className={classes.dim}>
              {app.desired.author !== undefined && <PlainText text={app.desired.author} />}{" "}
              {app.desired.committedAt !== undefined && <RelativeTime at={app.desired.committedAt} />}
            </span>
          </span>
        ),
    },
    {
      name: t("application.fact.deployed"),
      value:
        app.revision === undefined || app.revision === "" ? (
          t("application.none")
        ) : (
          <>
            <code>{app.revision.slice(0, 7)}</code>
            <CopyButton value={app.revision} name={t("application.fact.deployed")} />
            {app.revision !== app.desired.commit && <span className={classes.dim}>{t("application.fact.behind")}</span>}
          </>
        ),
    },
    ...sources.map((s, i) => ({
      name: sources.length === 1 ? t("application.fact.source") : t("application.fact.sourceN", { n: i + 1 }),
      value: <SourceOf source={s} />,
    })),
    { name: t("application.fact.cluster"), value: <MiddleTruncate text={app.cluster} /> },
    {
      name: t("application.fact.namespace"),
      value: app.namespace ? <MiddleTruncate text={app.namespace} /> : t("application.none"),
    },
    {
      name: t("application.fact.autoSync"),
      value: !app.autoSync
        ? t("application.autoSync.off")
        : [
            t("application.autoSync.on"),
            auto?.prune ? t("application.autoSync.prune") : "",
            auto?.selfHeal ? t("application.autoSync.heal") : "",
          ]
            .filter(Boolean)
            .join(" · "),
    },
  ];
  const options = spec?.syncPolicy?.syncOptions ?? [];
  if (options.length > 0)
    out.push({ name: t("application.fact.options"), value: <PlainText text={options.join(", ")} lines={4} /> });
  if (app.observedAt !== undefined)
    out.push({ name: t("application.fact.observed"), value: <RelativeTime at={app.observedAt} /> });
  const created = app.application?.metadata.creationTimestamp;
  if (created !== undefined) out.push({ name: t("application.fact.created"), value: <RelativeTime at={created} /> });
  const labels = Object.entries(app.application?.metadata.labels ?? {});
  if (labels.length > 0)
    out.push({
      name: t("application.fact.labels"),
      value: (
        <span className={classes.labels}>
          {labels.map(([k, v]) => (
            <span key={k} className={classes.label}>
              <MiddleTruncate text={v === "" ? k : `${k}=${v}`} most={48} />
            </span>
          ))}
        </span>
      ),
    });
  for (const i of spec?.info ?? []) out.push({ name: i.name, value: <SafeLink href={i.value} /> });
  return out;
}

function SourceOf({ source }: { source: Source }) {
  const t = useT();
  const parts = [
    source.chart !== undefined && source.chart !== ""
      ? t("application.fact.chart", { chart: source.chart })
      : source.path,
    source.targetRevision || "HEAD",
    source.ref ? t("application.fact.ref", { ref: source.ref }) : undefined,
  ].filter((p) => p !== undefined && p !== "");
  return (
    <span className={classes.revision}>
      <SafeLink href={source.repoURL} />
      <span className={classes.dim}>
        {parts.map((p, i) => (
          <Fragment key={p}>
            {i > 0 && " · "}
            <MiddleTruncate text={p ?? ""} most={48} />
          </Fragment>
        ))}
      </span>
    </span>
  );
}

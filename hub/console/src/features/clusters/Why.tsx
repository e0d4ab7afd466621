import { Button } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Cluster, ClusterCause, ClusterDiagnosis } from "../../api/types";
import { api } from "../../client";
import { type MessageKey, type T, useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import { connectionOf } from "../../ui/Connection";
import { Icon } from "../../ui/Icon";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { cli } from "../../ui/shell";
import { ErrorView, LoadingView } from "../../ui/states";
import { toast, toastProblem } from "../../ui/toast";
import { diagnosisQuery } from "./queries";
import classes from "./Why.module.css";

/** Why a cluster does not report or works badly, as the hub ranks it; of one that is well, that nothing is known. */
export function Why({ cluster }: { cluster: Cluster }) {
  const t = useT();
  const state = connectionOf(cluster);
  const answer = useQuery(diagnosisQuery(cluster.name));
  const causes = answer.data?.causes ?? [];
  if (state === "connected" && answer.data !== undefined && causes.length === 0)
    return (
      <p className={classes.well}>
        <Icon name="check" size={14} /> {t("clusters.why.well")}
      </p>
    );
  if (state === "connected" && answer.isPending) return null; // most are well: nothing jumps when that is known
  return (
    <section className={classes.why} data-state={state} aria-labelledby="cluster-why">
      <h2 id="cluster-why">
        {state === "connected" ? (
          t("clusters.why.bad")
        ) : state === "held" || state === "revoked" || state === "never" ? (
          t(`clusters.${state}`)
        ) : (
          <>
            {t("clusters.offline")} {cluster.lastSeen !== undefined && <RelativeTime at={cluster.lastSeen} />}
          </>
        )}
      </h2>
      {state === "offline" && <p>{t("clusters.offline.text")}</p>}
      {state === "revoked" && <p>{t("clusters.revoked.text")}</p>}
      {answer.isPending ? (
        <LoadingView rows={3} />
      ) : answer.isError ? (
        <ErrorView error={answer.error} onRetry={() => void answer.refetch()} />
      ) : (
        <ol className={classes.causes} aria-label={t("clusters.why.causes")}>
          {causes.map((c, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: causes are ranked, and some have the same code
            <Cause key={i} rank={i + 1} cause={c} said={said(t, cluster, answer.data, c)} />
          ))}
        </ol>
      )}
      {state === "held" && <Allow cluster={cluster} />}
      <details className={classes.cli}>
        <summary>{t("ui.cli.title")}</summary>
        <CliLine command={cli("hawser", "cluster", "diagnose", cluster.name)} />
      </details>
    </section>
  );
}

/** A cause and what to do about it, in the words of the language where its code has some, else the hub's. */
function said(
  t: T,
  cluster: Cluster,
  diagnosis: ClusterDiagnosis,
  cause: ClusterCause,
): { title: string; fix: string } {
  const values = {
    held: (cluster.held ?? "") === "" ? "no" : "yes",
    connected: cluster.connected ? "yes" : "no",
    hub: plainLine(diagnosis.hub ?? location.host),
  };
  const words = (key: string, otherwise: string) => {
    const text = t(key as MessageKey, values);
    return text === key ? otherwise : text;
  };
  return {
    title: words(`clusters.cause.${cause.code}`, cause.title),
    fix: words(`clusters.cause.${cause.code}.fix`, cause.fix),
  };
}

/** One cause: what it is, what was seen, what to do, and a command to copy. Its code opens what it means. */
function Cause({ rank, cause, said }: { rank: number; cause: ClusterCause; said: { title: string; fix: string } }) {
  const t = useT();
  const code = cause.id ?? cause.code;
  return (
    <li className={classes.cause} data-known={cause.known || undefined}>
      <span className={classes.rank} aria-hidden="true">
        {rank}
      </span>
      <div className={classes.what}>
        <h3>
          <PlainText text={said.title} lines={3} />
          {!cause.known && <span className={classes.dim}>{t("clusters.why.possible")}</span>}
        </h3>
        {(cause.seen ?? "") !== "" && (
          <p className={classes.row}>
            <span className={classes.dim}>{t("clusters.why.seen")}</span>{" "}
            <span>
              <span lang="en">
                <PlainText text={cause.seen ?? ""} lines={6} />
              </span>
              {cause.at !== undefined && (
                <span className={classes.dim}>
                  <RelativeTime at={cause.at} />
                </span>
              )}
            </span>
          </p>
        )}
        <p className={classes.row}>
          <span className={classes.dim}>{t("clusters.why.fix")}</span>{" "}
          <span>
            <PlainText text={said.fix} lines={6} />
          </span>
        </p>
        {(cause.command ?? "") !== "" && (
          <CliLine
            command={cause.command ?? ""}
            label={cause.command?.startsWith("kubectl") === true ? t("clusters.why.there") : t("ui.cli.title")}
          />
        )}
        <details className={classes.code}>
          <summary>
            <code>{plainLine(code)}</code> <span>{t("clusters.why.explain")}</span>
          </summary>
          <p>
            <code>{plainLine(cause.code)}</code>
          </p>
          <CliLine command={cli("hawser", "explain", code)} />
        </details>
      </div>
    </li>
  );
}

function Allow({ cluster }: { cluster: Cluster }) {
  const t = useT();
  const [busy, setBusy] = useState(false);
  const client = useQueryClient();
  const allow = async () => {
    setBusy(true);
    try {
      await api.allowCluster(cluster.name);
      toast(t("clusters.allowed", { name: cluster.name }));
      await client.invalidateQueries({ queryKey: ["clusters"] });
    } catch (e) {
      toastProblem(t, e);
    }
    setBusy(false);
  };
  return (
    <div className={classes.allow}>
      <Button onClick={() => void allow()} loading={busy}>
        {t("clusters.allow")}
      </Button>
      <CliLine command={cli("hawser", "cluster", "allow", cluster.name)} />
    </div>
  );
}

import { Link } from "@tanstack/react-router";
import type { Attention } from "../../api/types";
import { useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import type { State } from "../../ui/palette";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusIcon } from "../../ui/StatusIcon";
import classes from "./FleetPage.module.css";

const kinds = [
  "held",
  "offline",
  "degraded",
  "missing",
  "failed",
  "stuck",
  "unrendered",
  "drifted",
  "certificate",
] as const;
type Kind = (typeof kinds)[number];

const states: Record<Kind, State> = {
  held: "suspended",
  offline: "degraded",
  degraded: "degraded",
  missing: "missing",
  failed: "degraded",
  stuck: "progressing",
  unrendered: "pending",
  drifted: "drifted",
  certificate: "unknown",
};

/** Filters that find all of a kind: of clusters, or of applications. */
const all: Record<Kind, { clusters: string } | { applications: string }> = {
  held: { clusters: "-state:connected" },
  offline: { clusters: "-state:connected" },
  degraded: { applications: "health:degraded is:live,lagging" },
  missing: { applications: "health:missing is:live,lagging" },
  failed: { applications: "is:failing" },
  stuck: { applications: "is:running" },
  unrendered: { applications: "is:unrendered" },
  drifted: { applications: "reason:drifted is:live,lagging" },
  certificate: { clusters: "state:connected" },
};

/** What somebody should look at, as the hub ranks it. */
export function Rail({ lines, project }: { lines: readonly Attention[]; project: string | undefined }) {
  const t = useT();
  const known = lines.flatMap((a) => {
    const kind = kinds.find((k) => k === a.kind);
    return kind === undefined ? [] : [{ ...a, kind }];
  });
  const total = known.reduce((n, a) => n + (a.more ?? 1), 0);
  return (
    <aside className={classes.rail} aria-labelledby="fleet-attention">
      <h2 id="fleet-attention">
        {t("fleet.attention")} <span>{total > 0 && t("fleet.attention.count", { n: total })}</span>
      </h2>
      {known.length === 0 ? (
        <p className={classes.calm}>{t("fleet.attention.none")}</p>
      ) : (
        <ul className={classes.lines}>
          {known.map((a) => {
            const list = all[a.kind];
            if (a.more !== undefined)
              return (
                <li key={`${a.kind} more`} className={classes.rest}>
                  {"clusters" in list ? (
                    <Link to={paths.clusters} search={{ project, q: list.clusters }}>
                      {t(`fleet.attention.more.${a.kind}`, { n: a.more })}
                    </Link>
                  ) : (
                    <Link to={paths.applications} search={{ project, q: list.applications }}>
                      {t(`fleet.attention.more.${a.kind}`, { n: a.more })}
                    </Link>
                  )}
                </li>
              );
            return (
              <li key={`${a.kind} ${a.cluster} ${a.application}`}>
                <Line a={a} project={project} />
              </li>
            );
          })}
        </ul>
      )}
    </aside>
  );
}

function Line({ a, project }: { a: Attention & { kind: Kind }; project: string | undefined }) {
  const t = useT();
  const body = (
    <>
      <span className={classes.top}>
        <StatusIcon state={states[a.kind]} />
        <span>
          <MiddleTruncate text={a.application ?? a.cluster ?? ""} most={30} />
        </span>
        {a.since !== undefined && (
          <span className={classes.age}>
            <RelativeTime at={a.since} short />
          </span>
        )}
      </span>
      <span className={classes.under}>
        {t(`fleet.attention.${a.kind}`)}
        {a.application !== undefined && a.cluster !== undefined && a.cluster !== "" && (
          <>
            {" · "}
            <MiddleTruncate text={a.cluster} most={22} />
          </>
        )}
        {a.production === true && ` · ${t("fleet.attention.production")}`}
      </span>
      {a.kind !== "held" && a.message !== undefined && a.message !== "" && (
        <span className={classes.under}>
          <PlainText text={a.message} />
        </span>
      )}
    </>
  );
  if (a.application !== undefined)
    return (
      <Link
        to={paths.application}
        params={{ application: a.application }}
        search={{ project }}
        className={classes.line}
      >
        {body}
      </Link>
    );
  return (
    <Link to={paths.cluster} params={{ cluster: a.cluster ?? "" }} search={{ project }} className={classes.line}>
      {body}
    </Link>
  );
}

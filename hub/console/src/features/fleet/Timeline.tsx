import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type KeyboardEvent, useRef, useState } from "react";
import type { FleetTimeline, Happened } from "../../api/types";
import { useFormat, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import type { State } from "../../ui/palette";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusIcon } from "../../ui/StatusIcon";
import { ErrorView } from "../../ui/states";
import { type Band, bandOf, bands, heights, type Kind, kindOf, kinds, minuteAt, total } from "./happened";
import { namesFilter } from "./model";
import { timelineQuery } from "./queries";
import classes from "./Timeline.module.css";

const states: Record<Kind, State> = {
  synced: "healthy",
  failed: "degraded",
  degraded: "degraded",
  drifted: "drifted",
  lost: "degraded",
  connected: "healthy",
};

interface Chosen {
  kind: Kind | undefined;
  minute: string | undefined;
  onChange: (next: { kind?: Kind; minute?: string }) => void;
}

/** What happened in the last hour: a bar for each minute, a sum for each kind, and what of it is chosen. */
export function Timeline({ project, kind, minute, onChange }: Chosen & { project: string | undefined }) {
  const t = useT();
  const format = useFormat();
  const answer = useQuery(timelineQuery(project, kind, minute));
  const data = answer.data;
  return (
    <section className={classes.timeline} aria-labelledby="fleet-timeline">
      <div className={classes.head}>
        <h2 id="fleet-timeline">{t("fleet.timeline")}</h2>
        {data !== undefined && (
          <ul className={classes.sums}>
            {kinds.map((k) => (
              <li key={k}>
                <button
                  type="button"
                  className={classes.sum}
                  aria-pressed={kind === k}
                  onClick={() => onChange({ kind: kind === k ? undefined : k, minute })}
                >
                  <span className={classes.dot} data-band={bandOf[k]} data-kind={k} />
                  {t(`fleet.timeline.sum.${k}`, { n: total(data, k) })}
                </button>
              </li>
            ))}
          </ul>
        )}
      </div>
      {data === undefined ? (
        answer.isError ? (
          <ErrorView error={answer.error} onRetry={() => void answer.refetch()} />
        ) : (
          <div className={classes.bars} aria-hidden />
        )
      ) : (
        <>
          <Bars data={data} kind={kind} minute={minute} onChange={onChange} />
          {data.knownSince === undefined && kinds.every((k) => total(data, k) === 0) && (
            <p className={classes.note}>{t("fleet.timeline.calm")}</p>
          )}
          {data.knownSince !== undefined && (
            <p className={classes.note}>{t("fleet.timeline.since", { time: format.time(data.knownSince) })}</p>
          )}
          {(kind !== undefined || minute !== undefined) && (
            <List
              data={data}
              loading={answer.isPlaceholderData}
              kind={kind}
              minute={minute}
              onChange={onChange}
              project={project}
            />
          )}
        </>
      )}
    </section>
  );
}

/** One button for each minute, of which one is a stop of the tab key and arrows lead to the others. */
function Bars({ data, kind, minute, onChange }: Chosen & { data: FleetTimeline }) {
  const t = useT();
  const format = useFormat();
  const bars = heights(data, kind);
  const [at, setAt] = useState(bars.length - 1);
  const list = useRef<HTMLDivElement>(null);
  const move = (e: KeyboardEvent) => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: bars.length - 1 }[e.key];
    if (to === undefined || bars[to] === undefined) return;
    e.preventDefault();
    setAt(to);
    list.current?.querySelectorAll<HTMLElement>("button")[to]?.focus();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys are those of the buttons in it
    <div className={classes.bars} ref={list} onKeyDown={move}>
      {bars.map((bar, i) => {
        const begins = minuteAt(data, i);
        const said = kinds.flatMap((k) => {
          const n = data.counts[k]?.[i] ?? 0;
          return n === 0 ? [] : [t(`fleet.timeline.sum.${k}`, { n })];
        });
        const name = t("fleet.timeline.minute", {
          time: format.time(begins),
          what: said.length === 0 ? t("fleet.timeline.nothing") : said.join(", "),
        });
        return (
          <button
            key={begins}
            type="button"
            className={classes.bar}
            title={name}
            aria-label={name}
            aria-pressed={minute === begins}
            tabIndex={i === at ? 0 : -1}
            onFocus={() => setAt(i)}
            onClick={() => onChange({ kind, minute: minute === begins ? undefined : begins })}
          >
            {bands.map((b: Band) =>
              bar[b] === 0 ? null : (
                <span key={b} className={classes.part} data-band={b} style={{ height: `${bar[b]}%` }} />
              ),
            )}
          </button>
        );
      })}
    </div>
  );
}

/** What of the hour is chosen, with the way to lists of what it is about. */
function List({
  data,
  loading,
  kind,
  minute,
  onChange,
  project,
}: Chosen & { data: FleetTimeline; loading: boolean; project: string | undefined }) {
  const t = useT();
  const format = useFormat();
  const items = data.newest.flatMap((h) => {
    const known = kindOf(h.kind);
    return known === undefined ? [] : [{ ...h, kind: known }];
  });
  const of = (name: (h: Happened) => string | undefined) => [
    ...new Set(items.map(name).filter((n) => n !== undefined && n !== "")),
  ];
  const applications = of((h) => h.application) as string[];
  const clusters = of((h) => (h.application === undefined ? h.cluster : undefined)) as string[];
  return (
    <div className={classes.list} aria-busy={loading}>
      <div className={classes.chosen}>
        <span>
          {[
            minute !== undefined && t("fleet.timeline.of", { time: format.time(minute) }),
            kind !== undefined && t(`fleet.timeline.kind.${kind}`),
          ]
            .filter((x) => x !== false)
            .join(" · ")}
        </span>
        {applications.length > 0 && (
          <Link to={paths.applications} search={{ project, q: namesFilter(applications) }}>
            {t("fleet.timeline.applications", { n: applications.length })}
          </Link>
        )}
        {clusters.length > 0 && (
          <Link to={paths.clusters} search={{ project, q: namesFilter(clusters) }}>
            {t("fleet.timeline.clusters", { n: clusters.length })}
          </Link>
        )}
        <Button size="compact-xs" variant="default" onClick={() => onChange({})}>
          {t("fleet.timeline.clear")}
        </Button>
      </div>
      {items.length === 0 ? (
        <p className={classes.note}>{t("fleet.timeline.none")}</p>
      ) : (
        <ul className={classes.items}>
          {items.map((h) => (
            <li key={`${h.at} ${h.kind} ${h.operation} ${h.application} ${h.cluster}`}>
              <Item h={h} project={project} />
            </li>
          ))}
        </ul>
      )}
      {data.more !== undefined && data.more > 0 && (
        <p className={classes.note}>{t("fleet.timeline.more", { n: data.more })}</p>
      )}
    </div>
  );
}

function Item({ h, project }: { h: Happened & { kind: Kind }; project: string | undefined }) {
  const t = useT();
  const body = (
    <>
      <StatusIcon state={states[h.kind]} stale={h.kind === "lost"} />
      <span className={classes.what}>{t(`fleet.timeline.kind.${h.kind}`)}</span>
      <span className={classes.name}>
        <MiddleTruncate text={h.application ?? h.cluster ?? ""} most={36} />
        {h.application !== undefined && h.cluster !== undefined && (
          <span className={classes.dim}>
            {" · "}
            <MiddleTruncate text={h.cluster} most={22} />
          </span>
        )}
        {h.message !== undefined && (
          <span className={classes.dim}>
            {" · "}
            <PlainText text={h.message} />
          </span>
        )}
      </span>
      <span className={classes.dim}>
        <RelativeTime at={h.at} short />
      </span>
    </>
  );
  return h.application === undefined ? (
    <Link to={paths.cluster} params={{ cluster: h.cluster ?? "" }} search={{ project }} className={classes.item}>
      {body}
    </Link>
  ) : (
    <Link
      to={paths.application}
      params={{ application: h.application }}
      search={{ project, ...(h.operation === undefined ? {} : { tab: "history" }) } as never}
      className={classes.item}
    >
      {body}
    </Link>
  );
}

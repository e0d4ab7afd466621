import { NativeSelect } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import type { ObjectEvent } from "../../../api/types";
import { useFormat, useT } from "../../../i18n";
import { onTick } from "../../../ui/RelativeTime";
import { applicationQuery } from "../queries";
import { axisOf, type Period, periodText } from "./axis";
import classes from "./EventAxis.module.css";

const Chart = lazy(() => import("./Chart"));

const none: never[] = [];

const tenSeconds = () => Math.ceil(Date.now() / 10_000) * 10_000;

/** Now, in milliseconds, in steps of ten seconds. */
export function useNow(): number {
  const [now, setNow] = useState(tenSeconds);
  useEffect(() => onTick(() => setNow(tenSeconds())), []);
  return now;
}

/**
 * When events happened and when was deployed, on one axis. A period that is drawn over
 * with the mouse, or chosen with the keys, narrows the table below it.
 */
export function EventAxis({
  name,
  events,
  during,
  period,
  onDuring,
}: {
  name: string;
  events: readonly ObjectEvent[];
  during: string | undefined;
  period: Period | undefined;
  onDuring: (during: string | undefined) => void;
}) {
  const t = useT();
  const format = useFormat();
  const now = useNow();
  const history = useQuery(applicationQuery(name)).data?.history ?? none;
  const axis = useMemo(() => axisOf(events, history, now), [events, history, now]);
  const sum = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0);
  const periods = [
    { value: "", label: t("application.events.period.all") },
    { value: "15m", label: t("application.events.period.15m") },
    { value: "1h", label: t("application.events.period.1h") },
  ];
  const value = period === undefined ? "" : (during ?? "");
  if (!periods.some((p) => p.value === value) && period !== undefined)
    periods.push({
      value,
      label: t("application.events.period.between", {
        from: format.time(new Date(period[0])),
        to: format.time(new Date(period[1])),
      }),
    });
  return (
    <figure className={classes.axis}>
      <Suspense fallback={<div className={classes.chart} />}>
        <div aria-hidden>
          <Chart
            axis={axis}
            period={period === undefined ? undefined : [period[0] / 1000, period[1] / 1000]}
            onPeriod={(from, to) => onDuring(periodText(from, to))}
          />
        </div>
      </Suspense>
      <figcaption className={classes.caption}>
        <NativeSelect
          aria-label={t("application.events.period")}
          data={periods}
          value={value}
          onChange={(e) => onDuring(e.currentTarget.value || undefined)}
        />
        <span>
          {t("application.events.axis", {
            time: format.time(new Date((axis.at[0] ?? 0) * 1000)),
            events: sum(axis.events),
            warnings: sum(axis.warnings),
            deployments: axis.marks.length,
          })}
        </span>
      </figcaption>
    </figure>
  );
}

import { useEffect, useState } from "react";
import { useFormat, useLocale, useT } from "../i18n";
import { usePreferences } from "./preferences";
import classes from "./RelativeTime.module.css";
import { moment, relative } from "./relative";

// One clock for all times of the page: it ticks while somebody looks.
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

/** Calls back every second while somebody looks at the page, until the function that it returns is called. */
export function onTick(l: () => void): () => void {
  listeners.add(l);
  timer ??= setInterval(() => {
    if (document.visibilityState !== "hidden") for (const x of listeners) x();
  }, 1000);
  return () => {
    listeners.delete(l);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/**
 * A moment as "14 minutes ago" or, short, "14m", which goes on counting; or as the date
 * and time, here or in UTC, when somebody prefers that. The other is on hover, and the
 * exact moment in the element.
 */
export function RelativeTime({ at, short }: { at: string | Date; short?: boolean }) {
  const t = useT();
  const format = useFormat();
  const { times } = usePreferences();
  const [locale] = useLocale();
  const date = new Date(at);
  const ms = date.getTime();
  const absolute = times !== "relative";
  const text = (now: number) => relative(ms, now, locale, short === true && !absolute);
  const [ago, setAgo] = useState(() => text(Date.now()));
  // biome-ignore lint/correctness/useExhaustiveDependencies: text is made of the others
  useEffect(() => {
    const tick = () => setAgo(text(Date.now()));
    tick();
    if (!absolute) return onTick(tick); // what is only a title does not count on
  }, [ms, locale, short, absolute]);
  if (Number.isNaN(ms)) return <span>{t("ui.never")}</span>;
  return (
    <time
      dateTime={date.toISOString()}
      title={absolute ? ago : format.dateTime(date)}
      className={classes.time}
      onPointerEnter={absolute ? () => setAgo(text(Date.now())) : undefined}
    >
      {absolute ? moment(date, locale, times === "utc", short === true) : ago}
    </time>
  );
}

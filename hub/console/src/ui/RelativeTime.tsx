import { useEffect, useState } from "react";
import { useFormat, useLocale, useT } from "../i18n";
import classes from "./RelativeTime.module.css";
import { relative } from "./relative";

// One clock for all times of the page: it ticks while somebody looks.
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function onTick(l: () => void): () => void {
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

/** A moment as "14 minutes ago" or, short, "14m"; it goes on counting. Exactly on focus and hover, in words for readers. */
export function RelativeTime({ at, short }: { at: string | Date; short?: boolean }) {
  const t = useT();
  const format = useFormat();
  const [locale] = useLocale();
  const date = new Date(at);
  const ms = date.getTime();
  const text = (now: number) => relative(ms, now, locale, short === true);
  const [shown, setShown] = useState(() => text(Date.now()));
  // biome-ignore lint/correctness/useExhaustiveDependencies: text is made of the others
  useEffect(() => {
    const tick = () => setShown(text(Date.now()));
    tick();
    return onTick(tick);
  }, [ms, locale, short]);
  if (Number.isNaN(ms)) return <span>{t("ui.never")}</span>;
  return (
    <time dateTime={date.toISOString()} title={format.dateTime(date)} className={classes.time}>
      {shown}
    </time>
  );
}

import { Button } from "@mantine/core";
import { useEffect, useState } from "react";
import { useFormat, useT } from "../i18n";
import { useLiveState } from "../live";
import { PartialBanner } from "../ui/states";
import classes from "./LivePill.module.css";

/** Seconds until a moment, counted while it is ahead. */
function useSecondsTo(at: number | undefined): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (at === undefined) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [at]);
  return at === undefined ? 0 : Math.max(0, Math.ceil((at - now) / 1000));
}

/** Whether what is shown is of now: Live, Reconnecting or Paused. A press pauses, or connects. */
export function LivePill() {
  const t = useT();
  const { state, pause, resume } = useLiveState();
  const seconds = useSecondsTo(state.phase === "reconnecting" ? state.retryAt : undefined);
  const live = state.phase === "live" || state.phase === "connecting";
  const word =
    state.phase === "reconnecting"
      ? seconds > 0
        ? t("frame.live.reconnectingIn", { seconds })
        : t("frame.live.reconnecting")
      : t(`frame.live.${state.phase}`);
  return (
    <button
      type="button"
      title={live ? t("frame.live.pause") : t("frame.live.resume")}
      className={classes.pill}
      data-phase={state.phase}
      onClick={live ? pause : resume}
    >
      <span className={classes.dot} aria-hidden="true" />
      <span role="status" aria-label={t(`frame.live.${state.phase}`)}>
        {word}
      </span>
    </button>
  );
}

/** While the stream is not there: since when nothing new is shown, and what to do. */
export function HubNotices() {
  const t = useT();
  const format = useFormat();
  const { state, hubChanged, resume } = useLiveState();
  const [late, setLate] = useState(false);
  const lost = state.phase === "reconnecting" || state.phase === "paused" || state.phase === "ended";
  // A hub that restarts is back at once: the pill alone tells of that.
  useEffect(() => {
    if (!lost) return setLate(false);
    const timer = setTimeout(() => setLate(true), 3000);
    return () => clearTimeout(timer);
  }, [lost]);
  return (
    <>
      {lost && late && (
        <PartialBanner
          action={
            <Button variant="default" size="compact-xs" onClick={resume}>
              {t("frame.live.connect")}
            </Button>
          }
        >
          {state.phase === "paused" ? t("frame.live.pausedText") : t("frame.live.lostText")}{" "}
          {t("frame.live.asOf", { time: format.time(new Date(state.lostAt)) })}
        </PartialBanner>
      )}
      {hubChanged && (
        <PartialBanner
          action={
            <Button variant="default" size="compact-xs" onClick={() => window.location.reload()}>
              {t("frame.hubChanged.reload")}
            </Button>
          }
        >
          {t("frame.hubChanged.text")}
        </PartialBanner>
      )}
    </>
  );
}

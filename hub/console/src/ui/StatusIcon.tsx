import type { ReactNode } from "react";
import { type MessageKey, useT } from "../i18n";
import type { State } from "./palette";
import classes from "./StatusIcon.module.css";

const words: Record<State, MessageKey> = {
  healthy: "ui.state.healthy",
  degraded: "ui.state.degraded",
  progressing: "ui.state.progressing",
  drifted: "ui.state.drifted",
  pending: "ui.state.pending",
  suspended: "ui.state.suspended",
  missing: "ui.state.missing",
  unknown: "ui.state.unknown",
};

// Each state has a silhouette of its own, so that colour is never the only sign.
// Glyphs inside of filled shapes have the colour of the page.
const drawings: Record<State, ReactNode> = {
  healthy: (
    <>
      <circle cx="8" cy="8" r="6.5" fill="currentColor" />
      <path d="M4.900 8.200 7.100 10.400 11.200 6" className={classes.cut} />
    </>
  ),
  degraded: (
    <>
      <path d="M5.300 1.300h5.400l4 4v5.400l-4 4H5.300l-4-4V5.300z" fill="currentColor" />
      <path d="M5.500 5.500l5 5M10.500 5.500l-5 5" className={classes.cut} />
    </>
  ),
  progressing: <path d="M8 2a6 6 0 1 1-6 6" className={`${classes.stroke} ${classes.turning}`} strokeWidth="2.600" />,
  drifted: (
    <>
      <path d="M8 .800 15.200 8 8 15.200.800 8z" fill="currentColor" />
      <path d="M5 6.700h6M5 9.300h6M9.300 4.800 6.700 11.200" className={classes.cut} />
    </>
  ),
  pending: (
    <>
      <path
        d="M8 1.500 14.500 8 8 14.500 1.500 8z"
        className={classes.stroke}
        strokeWidth="1.600"
        strokeDasharray="2.400 1.800"
      />
      <path d="M5.400 8h.01M8 8h.01M10.600 8h.01" className={classes.stroke} strokeWidth="1.900" />
    </>
  ),
  suspended: <path d="M3.200 2.500h3.400v11H3.200zM9.400 2.500h3.400v11H9.400z" fill="currentColor" />,
  missing: <circle cx="8" cy="8" r="6.200" className={classes.stroke} strokeWidth="1.900" strokeDasharray=".1 3.140" />,
  unknown: (
    <>
      <circle cx="8" cy="8" r="6.300" className={classes.stroke} strokeWidth="1.500" />
      <path
        d="M6.200 6.400c0-1 .8-1.700 1.800-1.700s1.800.7 1.800 1.700c0 1.200-1.800 1.300-1.800 2.500M8 11.200h.01"
        className={classes.stroke}
        strokeWidth="1.500"
      />
    </>
  ),
};

/** The picture of a state. Beside its word it says nothing to readers; alone it needs `label`. */
export function StatusIcon({
  state,
  size = 16,
  stale,
  label,
}: {
  state: State;
  size?: number;
  stale?: boolean;
  label?: string;
}) {
  return (
    <span className={classes.icon} data-state={state} data-stale={stale || undefined}>
      <svg
        width={size}
        height={size}
        viewBox="0 0 16 16"
        role={label === undefined ? undefined : "img"}
        aria-label={label}
        aria-hidden={label === undefined ? "true" : undefined}
        focusable="false"
      >
        {drawings[state]}
        {stale && (
          <g className={classes.clock}>
            <circle cx="12.200" cy="12.200" r="3.600" />
            <path d="M12.200 10.400v1.900l1.300.8" />
          </g>
        )}
      </svg>
    </span>
  );
}

/**
 * A state as shape, word and colour. `children` is the reason in place of the word;
 * `asOf` says that it is what was known then: hatched, and never as if it were now.
 */
export function StatusText({ state, children, asOf }: { state: State; children?: ReactNode; asOf?: ReactNode }) {
  const t = useT();
  const stale = asOf !== undefined && asOf !== null && asOf !== false;
  return (
    <span className={classes.text} data-state={state} data-stale={stale || undefined}>
      <StatusIcon state={state} stale={stale} />
      <span className={classes.word}>
        {children ?? t(words[state])}
        {stale && <span className={classes.asOf}> {asOf}</span>}
      </span>
    </span>
  );
}

/** The word of a state, for headings, filters and legends. */
export function useStateWord(): (s: State) => string {
  const t = useT();
  return (s) => t(words[s]);
}

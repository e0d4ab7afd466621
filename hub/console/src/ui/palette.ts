// The measured palette of states. palette.test.ts holds every colour to a contrast of
// 4.5 and every pair to a distance that people with any colour vision can tell apart.

export const states = [
  "healthy",
  "degraded",
  "progressing",
  "drifted",
  "pending",
  "suspended",
  "missing",
  "unknown",
] as const;

/** What a thing is like, whatever noun it is: health, sync, connection, an operation. */
export type State = (typeof states)[number];

export type Scheme = "light" | "dark";

/** Backgrounds on which states are shown. */
export const background: Record<Scheme, string> = { light: "#FFFFFF", dark: "#0D1117" };

/** pending and missing have the hue of drifted and differ by their shape and outline. */
export const palette: Record<Scheme, Record<State, string>> = {
  light: {
    healthy: "#06745A",
    degraded: "#982028",
    progressing: "#0C6CFC",
    drifted: "#A36B07",
    pending: "#A36B07",
    suspended: "#44325C",
    missing: "#A36B07",
    unknown: "#6B7288",
  },
  dark: {
    healthy: "#A6FDCF",
    degraded: "#D05441",
    progressing: "#1290FF",
    drifted: "#FDB90E",
    pending: "#FDB90E",
    suspended: "#E3D6FC",
    missing: "#FDB90E",
    unknown: "#828389",
  },
};

import { type PointerEvent as ReactPointerEvent, useEffect, useMemo, useRef } from "react";
import { healthState } from "../../../ui/applicationState";
import { nodeHeight, nodeWidth } from "./layout";
import type { Sight } from "./TreeView";
import classes from "./TreeView.module.css";
import type { Drawn } from "./useLayout";

const widest = 180;
const highest = 130;

/** The whole tree in small with what is in sight of it; a picture for the mouse, the keys and buttons do the same. */
export function MiniMap({
  drawn,
  sight,
  stale,
  onGo,
}: {
  drawn: Drawn;
  sight: Sight;
  stale: boolean;
  onGo: (x: number, y: number) => void;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { nodes, layout } = drawn;
  // A long tree would be a thread: each direction has a scale of its own.
  const scale = Math.min(widest / layout.width, highest / layout.height);
  const sx = Math.max(scale, Math.min(96, widest) / layout.width);
  const sy = Math.max(scale, 40 / layout.height);
  const width = Math.round(layout.width * sx);
  const height = Math.round(layout.height * sy);
  const whole = sight.width >= layout.width && sight.height >= layout.height;
  const states = useMemo(() => nodes.map((n) => n.items[0] && healthState(n.items[0].health)), [nodes]);
  useEffect(() => {
    const c = canvas.current;
    const g = whole ? null : (c?.getContext("2d") ?? null);
    if (c === null || g === null) return;
    const style = getComputedStyle(c);
    const ratio = window.devicePixelRatio || 1;
    c.width = width * ratio;
    c.height = height * ratio;
    g.scale(ratio, ratio);
    const colours = new Map<string, string>();
    for (let i = 0; i < nodes.length; i++) {
      const state = states[i] ?? "unknown";
      let colour = colours.get(state);
      if (colour === undefined) {
        colour = style.getPropertyValue(`--hw-${state}`);
        colours.set(state, colour);
      }
      g.fillStyle = colour;
      g.globalAlpha = stale || state === "healthy" ? 0.4 : 1;
      g.fillRect(
        (layout.x[i] as number) * sx,
        (layout.y[i] as number) * sy,
        Math.max(2, nodeWidth * sx),
        Math.max(1, nodeHeight * sy),
      );
    }
    g.globalAlpha = 1;
    g.strokeStyle = style.getPropertyValue("--hw-accent");
    g.lineWidth = 1.5;
    g.strokeRect(sight.left * sx, sight.top * sy, sight.width * sx, Math.max(3, sight.height * sy));
  }, [nodes, states, layout, sx, sy, sight, stale, width, height, whole]);
  if (whole) return null;
  const go = (e: ReactPointerEvent<HTMLCanvasElement>) => {
    if (e.buttons !== 1) return;
    const box = e.currentTarget.getBoundingClientRect();
    onGo((e.clientX - box.left) / sx, (e.clientY - box.top) / sy);
  };
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a canvas has no focus
    <canvas
      ref={canvas}
      className={classes.map}
      style={{ width, height }}
      aria-hidden="true"
      onPointerDown={(e) => {
        e.currentTarget.setPointerCapture(e.pointerId);
        go(e);
      }}
      onPointerMove={go}
    />
  );
}

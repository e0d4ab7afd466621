import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import { useFormat } from "../../../i18n";
import "uplot/dist/uPlot.min.css";
import type { Axis } from "./axis";
import classes from "./EventAxis.module.css";

const height = 84;

const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(`--hw-${name}`).trim();

/** Counts at every change of the theme. */
function useThemes(): number {
  const [n, setN] = useState(0);
  useEffect(() => {
    const o = new MutationObserver(() => setN((x) => x + 1));
    o.observe(document.documentElement, { attributeFilter: ["data-mantine-color-scheme", "data-contrast"] });
    return () => o.disconnect();
  }, []);
  return n;
}

const data = (axis: Axis): uPlot.AlignedData => [axis.at, axis.events, axis.warnings];

/** Bars of events with their warnings, and a line for each deployment. What is drawn over with the mouse is a period, in seconds. */
export default function Chart({
  axis,
  period,
  onPeriod,
}: {
  axis: Axis;
  period: readonly [number, number] | undefined;
  onPeriod: (from: number, to: number) => void;
}) {
  const format = useFormat();
  const theme = useThemes();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef({ axis, period, onPeriod });
  latest.current = { axis, period, onPeriod };
  // biome-ignore lint/correctness/useExhaustiveDependencies: another theme has other colours
  useEffect(() => {
    const div = box.current;
    if (div === null) return;
    const [text, grey, red, line] = ["text-dim", "border-strong", "degraded", "accent"].map(token);
    const font = `11px ${token("font")}`;
    const bars = uPlot.paths.bars?.({ size: [0.8, 18], align: 1 });
    const points = { show: false };
    const u = new uPlot(
      {
        width: div.clientWidth,
        height,
        padding: [6, 32, 0, 32], // half a time at each end
        legend: { show: false },
        cursor: { y: false, points, drag: { x: true, y: false, setScale: false } },
        scales: {
          x: {
            range: () => {
              const { at, step } = latest.current.axis;
              return [at[0] ?? 0, (at[at.length - 1] ?? 0) + step];
            },
          },
          y: { range: (_, __, most) => [0, Math.max(most, 4)] },
        },
        axes: [
          {
            stroke: text,
            font,
            size: 22,
            grid: { show: false },
            ticks: { stroke: grey, width: 1, size: 3 },
            values: (_, splits) => splits.map((s) => format.time(new Date(s * 1000))),
            space: 110,
          },
          { show: false },
        ],
        series: [{}, { fill: grey, width: 0, paths: bars, points }, { fill: red, width: 0, paths: bars, points }],
        hooks: {
          draw: [
            (u) => {
              const c = u.ctx;
              c.save();
              c.strokeStyle = c.fillStyle = line ?? "";
              c.lineWidth = devicePixelRatio;
              for (const mark of latest.current.axis.marks) {
                const x = Math.round(u.valToPos(mark.at, "x", true));
                c.beginPath();
                c.moveTo(x, u.bbox.top);
                c.lineTo(x, u.bbox.top + u.bbox.height);
                c.stroke();
                // A flag, so that it is told from a bar by its shape, too.
                const edge = 6 * devicePixelRatio;
                c.beginPath();
                c.moveTo(x, u.bbox.top);
                c.lineTo(x + edge, u.bbox.top + edge / 2);
                c.lineTo(x, u.bbox.top + edge);
                c.fill();
              }
              c.restore();
            },
          ],
          setSelect: [
            (u) => {
              if (u.select.width < 3) return; // a click
              latest.current.onPeriod(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
            },
          ],
        },
      },
      data(latest.current.axis),
      div,
    );
    plot.current = u;
    show(u, latest.current.period);
    const sized = new ResizeObserver(() => {
      if (div.clientWidth !== u.width) u.setSize({ width: div.clientWidth, height });
      show(u, latest.current.period);
    });
    sized.observe(div);
    return () => {
      sized.disconnect();
      plot.current = undefined;
      u.destroy();
    };
  }, [theme, format]);
  useEffect(() => plot.current?.setData(data(axis)), [axis]);
  const [from, to] = period ?? [];
  useEffect(() => {
    if (plot.current !== undefined) show(plot.current, from === undefined || to === undefined ? undefined : [from, to]);
  }, [from, to]);
  return <div ref={box} className={classes.chart} />;
}

/** Shows what is chosen of the axis. */
function show(u: uPlot, period: readonly [number, number] | undefined): void {
  const at = (s: number) => Math.min(u.width, Math.max(0, u.valToPos(s, "x")));
  const left = period === undefined ? 0 : at(period[0]);
  const right = period === undefined ? 0 : Number.isFinite(period[1]) ? at(period[1]) : u.over.clientWidth;
  u.setSelect({ left, top: 0, width: Math.max(0, right - left), height: u.over.clientHeight }, false);
}

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import {
  type KeyboardEvent,
  memo,
  type PointerEvent,
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { useFormat, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { healthState } from "../../ui/applicationState";
import { ConnectionText, connectionWord } from "../../ui/Connection";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { StatusText } from "../../ui/StatusIcon";
import { quotedTerm } from "../../ui/terms";
import { drawLeaf, Sprites, themeTokens } from "./draw";
import classes from "./HeatMap.module.css";
import { type Fleet, type Leaf, type Look, moved, type Section, stateOf, worstWords } from "./model";
import { worstQuery } from "./queries";

interface Point {
  /** Position in the columns. */
  at: number;
  x: number;
  y: number;
  /** By keys: the card does not wait, and does not take the pointer's way. */
  keys: boolean;
}

/** Counts how often the theme has changed, so that what is drawn with its colours is drawn again. */
function useThemeChanges(): number {
  const [n, setN] = useState(0);
  useEffect(() => {
    const o = new MutationObserver(() => setN((x) => x + 1));
    o.observe(document.documentElement, {
      attributeFilter: ["data-mantine-color-scheme", "data-contrast", "data-density"],
    });
    const q = window.matchMedia("(resolution: 1dppx)");
    const again = () => setN((x) => x + 1);
    q.addEventListener("change", again);
    return () => {
      o.disconnect();
      q.removeEventListener("change", again);
    };
  }, []);
  return n;
}

/** The words for what is in a group, for readers and as its title. */
function useSummary(): (leaf: Leaf) => string {
  const t = useT();
  return (leaf) =>
    [
      t("fleet.map.group", { n: leaf.cells.length }),
      ...worstWords
        .filter((w) => w !== "healthy" && w !== "none" && w !== "stale" && (leaf.counts.get(w) ?? 0) > 0)
        .map((w) => `${t(`fleet.worst.${w}`)} ${leaf.counts.get(w)}`),
      ...(leaf.silent > 0 ? [t("fleet.map.silent", { n: leaf.silent })] : []),
    ].join(", ");
}

/**
 * Clusters as cells in groups. Each group is one stop of the Tab key: arrows move in it,
 * Enter opens, x selects, Shift with an arrow selects on the way.
 */
export function HeatMap({
  fleet,
  sections,
  look,
  edge,
  selected,
  onSelected,
  project,
}: {
  fleet: Fleet;
  sections: readonly Section[];
  look: (at: number) => Look;
  edge: 24 | 14;
  selected: ReadonlySet<string>;
  onSelected: (names: Set<string>) => void;
  project: string | undefined;
}) {
  const t = useT();
  const theme = useThemeChanges();
  const around = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [point, setPoint] = useState<Point>();
  useLayoutEffect(() => {
    const e = around.current;
    if (e === null) return;
    const measure = () => {
      const style = getComputedStyle(e);
      setWidth(
        e.clientWidth - Number.parseFloat(style.paddingLeft || "0") - Number.parseFloat(style.paddingRight || "0"),
      );
    };
    measure();
    const o = new ResizeObserver(measure);
    o.observe(e);
    return () => o.disconnect();
  }, []);
  const ratio = window.devicePixelRatio || 1;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another theme has other colours
  const sprites = useMemo(() => new Sprites(edge, ratio, themeTokens()), [edge, ratio, theme]);
  const nested = sections.some((s) => s.leaves.length > 1 || s.leaves[0]?.value !== "");
  const label = nested && width > 560 ? 128 : 0;
  const columns = Math.max(1, Math.floor((width - (label === 0 ? 0 : label + 10)) / edge));
  const leave = useRef<ReturnType<typeof setTimeout>>(undefined);
  const show = useCallback((p: Point | undefined) => {
    clearTimeout(leave.current);
    if (p !== undefined) setPoint(p);
    else leave.current = setTimeout(() => setPoint(undefined), 180); // time to reach the card
  }, []);
  useEffect(() => () => clearTimeout(leave.current), []);
  const gone = point !== undefined && point.at >= fleet.size;
  return (
    // biome-ignore lint/a11y/useSemanticElements: no fieldset
    <div
      ref={around}
      className={classes.map}
      style={{ "--label": `${label}px`, "--edge": `${edge}px` } as never}
      role="group"
      aria-label={t("fleet.map.title")}
    >
      {width > 0 &&
        sections.map((s) => (
          <section key={s.value} className={classes.section} aria-label={sectionName(s, t)}>
            {(sections.length > 1 || s.value !== "") && (
              <h2>
                {s.value === "" ? t("fleet.map.without", { label: plainLine(s.key) }) : <PlainText text={s.value} />}{" "}
                <span>{t("fleet.map.group", { n: s.size })}</span>
              </h2>
            )}
            {s.leaves.map((leaf) => (
              <LeafCells
                key={leaf.value}
                leaf={leaf}
                name={`${sectionName(s, t)} ${plainLine(leaf.value)}`.trim()}
                labelled={nested}
                fleet={fleet}
                look={look}
                columns={columns}
                sprites={sprites}
                ratio={ratio}
                selected={selected}
                onSelected={onSelected}
                onPoint={show}
                project={project}
              />
            ))}
          </section>
        ))}
      {point !== undefined && !gone && (
        <Card
          fleet={fleet}
          point={point}
          project={project}
          onEnter={() => clearTimeout(leave.current)}
          onLeave={() => show(undefined)}
        />
      )}
    </div>
  );
}

function sectionName(s: Section, t: ReturnType<typeof useT>): string {
  if (s.value !== "") return plainLine(s.value);
  return s.key === "" ? t("fleet.map.all") : t("fleet.map.without", { label: plainLine(s.key) });
}

const LeafCells = memo(function LeafCells({
  leaf,
  name,
  labelled,
  fleet,
  look,
  columns,
  sprites,
  ratio,
  selected,
  onSelected,
  onPoint,
  project,
}: {
  leaf: Leaf;
  name: string;
  labelled: boolean;
  fleet: Fleet;
  look: (at: number) => Look;
  columns: number;
  sprites: Sprites;
  ratio: number;
  selected: ReadonlySet<string>;
  onSelected: (names: Set<string>) => void;
  onPoint: (p: Point | undefined) => void;
  project: string | undefined;
}) {
  const t = useT();
  const id = useId();
  const navigate = useNavigate();
  const summary = useSummary()(leaf);
  const canvas = useRef<HTMLCanvasElement>(null);
  const grid = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const [focused, setFocused] = useState(false);
  const edge = sprites.edge;
  const { cells } = leaf;
  const here = Math.min(active, cells.length - 1);
  const wide = Math.min(columns, cells.length);
  const rows = Math.ceil(cells.length / columns);
  useLayoutEffect(() => {
    if (canvas.current === null) return;
    const accent = themeTokens()("accent");
    drawLeaf(canvas.current, cells, columns, look, sprites, ratio, (at) => selected.has(fleet.name(at)), accent);
  }, [cells, columns, look, sprites, ratio, selected, fleet]);

  const openCluster = (i: number) => {
    const at = cells[i];
    if (at !== undefined)
      void navigate({ to: paths.cluster, params: { cluster: fleet.name(at) }, search: { project } });
  };
  const at = (e: PointerEvent): number | undefined => {
    const box = canvas.current?.getBoundingClientRect();
    if (box === undefined) return undefined;
    const x = Math.floor((e.clientX - box.left) / edge);
    const y = Math.floor((e.clientY - box.top) / edge);
    const i = y * columns + x;
    return x >= 0 && x < columns && y >= 0 && i < cells.length ? i : undefined;
  };
  const pointAt = (i: number, keys: boolean) => {
    const box = canvas.current?.getBoundingClientRect();
    const c = cells[i];
    if (box === undefined || c === undefined) return;
    onPoint({ at: c, x: box.left + (i % columns) * edge, y: box.top + Math.floor(i / columns) * edge + edge, keys });
  };
  const toggle = (list: number[], on?: boolean) => {
    const next = new Set(selected);
    for (const i of list) {
      const c = cells[i];
      if (c === undefined) continue;
      const n = fleet.name(c);
      if (on ?? !next.has(n)) next.add(n);
      else next.delete(n);
    }
    onSelected(next);
  };
  const drag = useRef<number>(undefined);
  const dragged = useRef(false);
  const cursor = useRef<HTMLSpanElement>(null);
  const byKeys = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: when the cursor has moved, and not when cells change
  useLayoutEffect(() => {
    if (!byKeys.current) return;
    byKeys.current = false;
    cursor.current?.scrollIntoView({ block: "nearest" });
    pointAt(here, true);
  }, [here]);
  const key = (e: KeyboardEvent) => {
    if (e.metaKey || e.ctrlKey || e.altKey) return;
    const to = moved(here, e.key, cells.length, columns);
    if (to !== undefined) {
      if (e.shiftKey) toggle(range(here, to), true);
      byKeys.current = to !== here;
      setActive(to);
    } else if (e.key === "Enter") openCluster(here);
    else if (e.key === "x" || e.key === " ") toggle([here]);
    else if (e.key === "Escape") {
      if (selected.size > 0) onSelected(new Set());
      onPoint(undefined);
    } else return;
    e.preventDefault();
    e.stopPropagation();
  };
  const cell = cells[here];
  return (
    <div className={classes.leaf} data-bare={!labelled || undefined}>
      {labelled && (
        <span className={classes.label} title={`${plainLine(leaf.value)}: ${summary}`}>
          <b>
            <PlainText text={leaf.value === "" ? "—" : leaf.value} />
          </b>{" "}
          {cells.length}
        </span>
      )}
      <div
        ref={grid}
        className={classes.cells}
        style={{ width: wide * edge, height: rows * edge }}
        role="listbox"
        tabIndex={0}
        aria-label={`${name}: ${summary}`}
        aria-multiselectable="true"
        aria-activedescendant={focused ? id : undefined}
        onFocus={(e) => {
          setFocused(true);
          if (e.currentTarget.matches(":focus-visible")) pointAt(here, true);
        }}
        onBlur={() => {
          setFocused(false);
          onPoint(undefined);
        }}
        onKeyDown={key}
        onPointerMove={(e) => {
          const i = at(e);
          if (i === undefined) return;
          if (drag.current !== undefined && i !== drag.current) {
            dragged.current = true;
            toggle(range(drag.current, i), true);
          } else if (e.pointerType === "mouse") pointAt(i, false);
        }}
        onPointerDown={(e) => {
          dragged.current = false;
          const i = at(e);
          if (i === undefined) return;
          setActive(i);
          if (e.shiftKey) drag.current = i;
        }}
        onPointerUp={(e) => {
          const from = drag.current;
          drag.current = undefined;
          const i = at(e);
          if (i === undefined || dragged.current) return;
          if (from !== undefined) toggle([i]);
          else if (e.button === 0) openCluster(i);
        }}
        onPointerLeave={() => {
          drag.current = undefined;
          onPoint(undefined);
        }}
      >
        <canvas ref={canvas} style={{ width: wide * edge, height: rows * edge }} />
        {cell !== undefined && (
          // biome-ignore lint/a11y/useFocusableInteractive: the list has the focus
          <span
            id={id}
            role="option"
            className="visually-hidden"
            aria-selected={selected.has(fleet.name(cell))}
            aria-posinset={here + 1}
            aria-setsize={cells.length}
          >
            {[
              plainLine(fleet.name(cell)),
              fleet.stale(cell) ? t(`ui.connection.${connectionWord(fleet.state(cell))}`) : "",
              t(`fleet.worst.${fleet.worst(cell)}`),
            ]
              .filter((x) => x !== "")
              .join(", ")}
          </span>
        )}
        {focused && (
          <span
            ref={cursor}
            className={classes.cursor}
            style={{
              left: (here % columns) * edge - 2,
              top: Math.floor(here / columns) * edge - 2,
              width: edge + 2,
              height: edge + 2,
            }}
          />
        )}
      </div>
    </div>
  );
});

function range(from: number, to: number): number[] {
  const low = Math.min(from, to);
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, i) => low + i);
}

/** What is known of the cluster under the pointer or the cursor. */
function Card({
  fleet,
  point,
  project,
  onEnter,
  onLeave,
}: {
  fleet: Fleet;
  point: Point;
  project: string | undefined;
  onEnter: () => void;
  onLeave: () => void;
}) {
  const t = useT();
  const format = useFormat();
  const { at } = point;
  const name = fleet.name(at);
  // Asked for when somebody stays, so that a pointer that passes asks nothing.
  const [stays, setStays] = useState<string>();
  useEffect(() => {
    const timer = setTimeout(() => setStays(name), 250);
    return () => clearTimeout(timer);
  }, [name]);
  const troubled = fleet.count("degraded", at) + fleet.count("missing", at) + fleet.count("progressing", at) > 0;
  const worst = useQuery({ ...worstQuery(name, project), enabled: stays === name && troubled });
  const card = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState({ left: point.x, top: point.y + 6 });
  // biome-ignore lint/correctness/useExhaustiveDependencies: what has come makes it higher
  useLayoutEffect(() => {
    const box = card.current?.getBoundingClientRect();
    const height = box?.height ?? 0;
    const width = box?.width ?? 0;
    const left = Math.max(12, Math.min(point.x - 12, window.innerWidth - width - 12));
    const below = point.y + 6;
    const top = below + height < window.innerHeight ? below : Math.max(8, point.y - height - 30);
    setPlace({ left, top });
  }, [point.x, point.y, worst.data]);
  const state = fleet.state(at);
  const counts = worstWords.filter((w) => w !== "none" && fleet.count(w, at) > 0);
  return (
    <div ref={card} className={classes.card} style={place} onPointerEnter={onEnter} onPointerLeave={onLeave}>
      <h3>
        <PlainText text={name} lines={2} />
      </h3>
      <ConnectionText state={state} lastSeen={fleet.lastSeen(at)} />
      <div className={classes.labels}>
        {fleet.labels(at).map(([k, v]) => (
          <span key={k} className={classes.chip}>
            {plainLine(`${k}=${v}`)}
          </span>
        ))}
      </div>
      <div className={classes.dim}>
        {[fleet.kubernetes(at), fleet.agent(at) !== "" ? t("fleet.card.agent", { version: fleet.agent(at) }) : ""]
          .filter((x) => x !== "")
          .map(plainLine)
          .join(" · ")}
      </div>
      <div className={classes.counts}>
        {counts.length === 0 ? (
          <span className={classes.dim}>{t("fleet.card.noApplications")}</span>
        ) : (
          counts.map((w) =>
            w === "stale" ? (
              <span key={w} className={classes.dim}>
                {t("fleet.card.stale", { n: fleet.count(w, at) })}
              </span>
            ) : (
              <StatusText key={w} state={stateOf(w)}>
                {t(`fleet.worst.${w}`)} {format.number(fleet.count(w, at))}
              </StatusText>
            ),
          )
        )}
      </div>
      {worst.data !== undefined && worst.data.items.length > 0 && (
        <ul className={classes.why}>
          {worst.data.items.map((a) => (
            <li key={a.name}>
              <StatusText state={healthState(a.health.status)}>
                <MiddleTruncate text={a.name} most={24} />
              </StatusText>
              {a.health.message !== undefined && (
                <>
                  {" "}
                  <PlainText text={a.health.message} />
                </>
              )}
            </li>
          ))}
        </ul>
      )}
      <div className={classes.links}>
        <Link to={paths.cluster} params={{ cluster: name }} search={{ project }}>
          {t("fleet.card.open")}
        </Link>
        <Link to={paths.applications} search={{ project, q: quotedTerm("cluster", name) }}>
          {t("fleet.card.applications")}
        </Link>
      </div>
    </div>
  );
}

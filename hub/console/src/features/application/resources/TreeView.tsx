import { ActionIcon, Tooltip } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import {
  type KeyboardEvent,
  type PointerEvent as ReactPointerEvent,
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import type { AppView } from "../../../api/types";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { Icon, type IconName } from "../../../ui/Icon";
import { listOf } from "./filter";
import { type Node, rootKey } from "./group";
import { nodeHeight, nodeWidth } from "./layout";
import { MiniMap } from "./MiniMap";
import { type Direction, move, waysOf } from "./move";
import { TreeNode } from "./TreeNode";
import classes from "./TreeView.module.css";
import { type Drawn, useLayout } from "./useLayout";

const route = getRouteApi(paths.application);

const margin = 24;
const zooms = [0.1, 0.15, 0.25, 0.4, 0.55, 0.7, 0.85, 1, 1.25, 1.5, 2];
/** Below this nothing can be read: nodes are cells with their sign. */
const readable = 0.4;

/** What is in sight of the drawing, in its own pixels. */
export interface Sight {
  left: number;
  top: number;
  width: number;
  height: number;
}

const directions: Record<string, Direction> = {
  ArrowLeft: "parent",
  ArrowRight: "child",
  ArrowUp: "before",
  ArrowDown: "after",
  h: "parent",
  l: "child",
  k: "before",
  j: "after",
  Home: "first",
  End: "last",
};

/**
 * The tree: the application at the left, what it owns to the right. One stop of the Tab
 * key; arrows move, Enter opens an object or a group. It scrolls as any page does, is
 * drawn for what is in sight, and each drag has a button that does the same.
 */
export function TreeView({
  app,
  nodes,
  matched,
  asOf,
}: {
  app: AppView;
  nodes: readonly Node[];
  matched: ReadonlySet<string>;
  asOf?: string;
}) {
  const drawn = useLayout(nodes);
  if (drawn === undefined) return <div className={classes.area} aria-busy="true" />;
  return <Drawing app={app} drawn={drawn} matched={matched} asOf={asOf} />;
}

function Drawing({
  app,
  drawn,
  matched,
  asOf,
}: {
  app: AppView;
  drawn: Drawn;
  matched: ReadonlySet<string>;
  asOf?: string;
}) {
  const { nodes, layout } = drawn;
  const t = useT();
  const id = useId();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const scroller = useRef<HTMLDivElement>(null);
  const [zoom, setZoom] = useState(1);
  const [sight, setSight] = useState<Sight>({ left: 0, top: 0, width: 1600, height: 900 });
  const ways = useMemo(() => waysOf(nodes), [nodes]);
  const [active, setActive] = useState(search.sel ?? rootKey);
  // The chosen object may be within a group, or filtered out.
  const at = useMemo(
    () =>
      ways.byKey.get(active) ??
      Math.max(
        0,
        nodes.findIndex((n) => n.items.some((i) => i.key === active)),
      ),
    [ways, nodes, active],
  );

  const look = useCallback(() => {
    const s = scroller.current;
    if (s === null || s.clientWidth === 0) return;
    setSight({
      left: s.scrollLeft / zoom - margin,
      top: s.scrollTop / zoom - margin,
      width: s.clientWidth / zoom,
      height: s.clientHeight / zoom,
    });
  }, [zoom]);
  useLayoutEffect(look, [look]);
  useEffect(() => {
    const s = scroller.current;
    if (s === null) return;
    const observer = new ResizeObserver(look);
    observer.observe(s);
    return () => observer.disconnect();
  }, [look]);

  // Keeps the point under the pointer, or the middle, where it is while the scale changes.
  const zoomTo = useCallback(
    (next: number, px?: number, py?: number) => {
      const s = scroller.current;
      const to = Math.min(2, Math.max(0.1, next));
      setZoom(to);
      if (s === null) return;
      const x = px ?? s.clientWidth / 2;
      const y = py ?? s.clientHeight / 2;
      const cx = (s.scrollLeft + x) / zoom;
      const cy = (s.scrollTop + y) / zoom;
      requestAnimationFrame(() => {
        s.scrollLeft = cx * to - x;
        s.scrollTop = cy * to - y;
      });
    },
    [zoom],
  );
  const step = (by: 1 | -1) => {
    const near = by > 0 ? zooms.find((z) => z > zoom + 0.001) : zooms.findLast((z) => z < zoom - 0.001);
    if (near !== undefined) zoomTo(near);
  };
  const showAll = useCallback(() => {
    const s = scroller.current;
    if (s === null) return;
    const to = Math.min(1, s.clientWidth / (layout.width + 2 * margin), s.clientHeight / (layout.height + 2 * margin));
    // What is tall is fitted as far as states can be told apart.
    setZoom(Math.max(0.2, to));
    requestAnimationFrame(() => s.scrollTo(0, 0));
  }, [layout]);

  const reveal = useCallback(
    (i: number) => {
      const s = scroller.current;
      if (s === null) return;
      const x = ((layout.x[i] ?? 0) + margin) * zoom;
      const y = ((layout.y[i] ?? 0) + margin) * zoom;
      const keep = (from: number, size: number, seen: number, room: number) =>
        from < seen + 16 ? from - 16 : from + size > seen + room - 16 ? from + size - room + 16 : seen;
      s.scrollLeft = keep(x, nodeWidth * zoom, s.scrollLeft, s.clientWidth);
      s.scrollTop = keep(y, nodeHeight * zoom, s.scrollTop, s.clientHeight);
    },
    [layout, zoom],
  );
  // The application stands in the middle of its objects: one begins there, or at what the address names.
  const begun = useRef(false);
  useLayoutEffect(() => {
    const s = scroller.current;
    if (begun.current || s === null || s.clientHeight === 0) return;
    begun.current = true;
    s.scrollTop = ((layout.y[at] ?? 0) + margin) * zoom - s.clientHeight / 2;
    reveal(at);
  });

  // Who goes to another object beside the tree finds it in the tree, too.
  const followed = useRef(search.sel);
  useEffect(() => {
    if (search.sel === followed.current) return;
    followed.current = search.sel;
    if (search.sel === undefined) return;
    setActive(search.sel);
    const i = nodes.findIndex((n) => n.items.some((x) => x.key === search.sel));
    if (i >= 0) reveal(i);
  }, [search.sel, nodes, reveal]);

  // Ctrl and the wheel, and two fingers on a touchpad.
  useEffect(() => {
    const s = scroller.current;
    if (s === null) return;
    const wheel = (e: WheelEvent) => {
      if (!e.ctrlKey && !e.metaKey) return;
      e.preventDefault();
      const box = s.getBoundingClientRect();
      zoomTo(zoom * Math.exp(-e.deltaY / 300), e.clientX - box.left, e.clientY - box.top);
    };
    s.addEventListener("wheel", wheel, { passive: false });
    return () => s.removeEventListener("wheel", wheel);
  }, [zoom, zoomTo]);

  const drag = useRef<{ x: number; y: number; left: number; top: number }>(undefined);
  const pointerDown = (e: ReactPointerEvent<HTMLDivElement>) => {
    const s = scroller.current;
    if (s === null || e.button !== 0 || e.pointerType === "touch" || (e.target as Element).closest("[role=treeitem]"))
      return;
    drag.current = { x: e.clientX, y: e.clientY, left: s.scrollLeft, top: s.scrollTop };
    s.setPointerCapture(e.pointerId);
  };
  const pointerMove = (e: ReactPointerEvent<HTMLDivElement>) => {
    const s = scroller.current;
    const d = drag.current;
    if (s === null || d === undefined) return;
    s.scrollLeft = d.left - (e.clientX - d.x);
    s.scrollTop = d.top - (e.clientY - d.y);
  };
  const pointerUp = () => {
    drag.current = undefined;
  };

  const open = useCallback(
    (node: Node) => {
      if (node.group) {
        void navigate({
          search: (old) => ({ ...old, open: [...new Set([...listOf(old.open), node.key])].join(",") }),
          replace: true,
        });
        setActive(node.items[0]?.key ?? rootKey);
        return;
      }
      const item = node.items[0];
      if (item === undefined) return;
      setActive(item.key);
      void navigate({ search: (old) => ({ ...old, sel: item.key, sheet: old.sheet ?? "summary" }) });
    },
    [navigate],
  );
  const pan = (dx: number, dy: number) => {
    const s = scroller.current;
    s?.scrollBy({ left: dx * s.clientWidth * 0.4, top: dy * s.clientHeight * 0.4 });
  };
  const keyDown = (e: KeyboardEvent<HTMLDivElement>) => {
    if (e.metaKey || e.ctrlKey || e.altKey) return;
    const to = directions[e.key];
    const node = nodes[at];
    let done = true;
    if (to !== undefined) {
      const next = move(nodes, ways, at, to);
      setActive(nodes[next]?.key ?? rootKey);
      reveal(next);
    } else if ((e.key === "Enter" || e.key === " ") && node !== undefined) open(node);
    else if (e.key === "+" || e.key === "=") step(1);
    else if (e.key === "-") step(-1);
    else if (e.key === "0") showAll();
    else if (e.key === "1") zoomTo(1);
    else if (e.key === "PageDown") pan(0, 1);
    else if (e.key === "PageUp") pan(0, -1);
    else done = false;
    if (done) {
      e.preventDefault();
      e.stopPropagation();
      e.nativeEvent.stopImmediatePropagation();
    }
  };

  const inSight = useMemo(() => {
    const slack = 200;
    const out: number[] = [];
    for (let i = 0; i < nodes.length; i++) {
      const x = layout.x[i] as number;
      const y = layout.y[i] as number;
      if (
        i === at ||
        (x + nodeWidth > sight.left - slack &&
          x < sight.left + sight.width + slack &&
          y + nodeHeight > sight.top - slack &&
          y < sight.top + sight.height + slack)
      )
        out.push(i);
    }
    return out;
  }, [nodes, layout, sight, at]);
  const edges = useMemo(() => edgesOf(drawn, sight), [drawn, sight]);
  const small = zoom < readable;
  const width = (layout.width + 2 * margin) * zoom;
  const height = (layout.height + 2 * margin) * zoom;
  const activeNode = nodes[at];
  return (
    <div className={classes.area}>
      <div
        ref={scroller}
        className={classes.scroller}
        role="tree"
        tabIndex={0}
        aria-label={t("application.resources.treeLabel", { n: nodes.length - 1 })}
        aria-activedescendant={activeNode === undefined ? undefined : `${id}-${at}`}
        onKeyDown={keyDown}
        onScroll={look}
        onPointerDown={pointerDown}
        onPointerMove={pointerMove}
        onPointerUp={pointerUp}
        onPointerCancel={pointerUp}
      >
        <div className={classes.size} style={{ width, height }} role="none">
          <div className={classes.drawing} style={{ transform: `scale(${zoom})` }} role="none">
            <svg
              className={classes.edges}
              width={layout.width + 2 * margin}
              height={layout.height + 2 * margin}
              aria-hidden="true"
            >
              <path d={edges} transform={`translate(${margin} ${margin})`} />
            </svg>
            {inSight.map((i) => {
              const node = nodes[i] as Node;
              return (
                <TreeNode
                  key={node.key}
                  id={`${id}-${i}`}
                  app={app}
                  node={node}
                  x={(layout.x[i] as number) + margin}
                  y={(layout.y[i] as number) + margin}
                  active={i === at}
                  chosen={search.sheet !== undefined && node.items.some((x) => x.key === search.sel)}
                  dim={node.items.length > 0 && !node.items.some((x) => matched.has(x.key))}
                  small={small}
                  asOf={asOf}
                  onOpen={open}
                />
              );
            })}
          </div>
        </div>
      </div>
      <MiniMap
        drawn={drawn}
        sight={sight}
        stale={asOf !== undefined}
        onGo={(x, y) => {
          const s = scroller.current;
          if (s === null) return;
          s.scrollLeft = (x + margin) * zoom - s.clientWidth / 2;
          s.scrollTop = (y + margin) * zoom - s.clientHeight / 2;
        }}
      />
      <div className={classes.buttons} role="toolbar" aria-label={t("application.resources.zoom")}>
        <TreeButton icon="left" label={t("application.resources.panLeft")} onClick={() => pan(-1, 0)} />
        <TreeButton icon="up" label={t("application.resources.panUp")} onClick={() => pan(0, -1)} />
        <TreeButton icon="chevron" label={t("application.resources.panDown")} onClick={() => pan(0, 1)} />
        <TreeButton icon="right" label={t("application.resources.panRight")} onClick={() => pan(1, 0)} />
        <span className={classes.rule} />
        <TreeButton icon="minus" label={t("application.resources.zoomOut")} onClick={() => step(-1)} />
        <button
          type="button"
          className={classes.percent}
          onClick={() => zoomTo(1)}
          title={t("application.resources.zoomReset")}
        >
          {Math.round(zoom * 100)}%
        </button>
        <TreeButton icon="plus" label={t("application.resources.zoomIn")} onClick={() => step(1)} />
        <TreeButton icon="fit" label={t("application.resources.fit")} onClick={showAll} />
      </div>
    </div>
  );
}

function TreeButton({ icon, label, onClick }: { icon: IconName; label: string; onClick: () => void }) {
  return (
    <Tooltip label={label}>
      <ActionIcon size={24} aria-label={label} onClick={onClick}>
        <Icon name={icon} size={14} />
      </ActionIcon>
    </Tooltip>
  );
}

/** Lines from parents to children of which a part may be in sight, as one path. */
export function edgesOf({ nodes, layout }: Drawn, sight: Sight): string {
  const out: string[] = [];
  const bottom = sight.top + sight.height + 200;
  const top = sight.top - 200;
  const right = sight.left + sight.width + 200;
  for (let i = 1; i < nodes.length; i++) {
    const p = (nodes[i] as Node).parent;
    const x1 = (layout.x[p] as number) + nodeWidth;
    const y1 = (layout.y[p] as number) + nodeHeight / 2;
    const x2 = layout.x[i] as number;
    const y2 = (layout.y[i] as number) + nodeHeight / 2;
    if ((y1 < top && y2 < top) || (y1 > bottom && y2 > bottom) || x1 > right || x2 < sight.left - 200) continue;
    const mid = (x1 + x2) / 2;
    if (y1 === y2) out.push(`M${x1} ${y1}H${x2}`);
    else {
      const r = Math.min(8, Math.abs(y2 - y1) / 2);
      const s = y2 > y1 ? r : -r;
      out.push(`M${x1} ${y1}H${mid - r}q${r} 0 ${r} ${s}V${y2 - s}q0 ${s} ${r} ${s}H${x2}`);
    }
  }
  return out.join("");
}

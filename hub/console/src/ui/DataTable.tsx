import { ActionIcon, Checkbox, Menu } from "@mantine/core";
import { columnVisibilityFeature, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import {
  type MouseEvent as ReactMouseEvent,
  type ReactNode,
  type RefObject,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { useT } from "../i18n";
import { CompactCell } from "./CompactCell";
import { useChord } from "./chords";
import classes from "./DataTable.module.css";
import { Icon } from "./Icon";
import { usePreferences } from "./preferences";

/** A column. Cells are drawn for the rows in sight only. */
export interface Column<R> {
  id: string;
  title: string;
  cell: (row: R) => ReactNode;
  /** Least width in pixels. */
  width: number;
  /** Its share of what is left of the width; 0, the default, takes none. */
  grow?: number;
  /** Numbers stand at the right. */
  number?: boolean;
  /** Key by which the server sorts; there is none for what cannot be sorted. */
  sort?: string;
  /** Cannot be hidden. */
  always?: boolean;
}

/** Rows that belong together, below a line of their own. */
export interface Section<R> {
  key: string;
  title: ReactNode;
  /** How many rows it has on the server. */
  count: string;
  open: boolean;
  /** Rows that are loaded; of an open section. */
  rows: readonly R[];
  /** There are more than these. */
  more: boolean;
}

export interface DataTableProps<R> {
  label: string;
  columns: readonly Column<R>[];
  rows: readonly R[];
  rowKey: (row: R) => string;
  /** How many rows there are on the server; more than `rows` has while not all are loaded. */
  total?: number;
  /** Called when the end of what is loaded comes into sight. */
  onMore?: () => void;
  loadingMore?: boolean;
  /** "name", or "-name" for descending. */
  sort?: string;
  onSort?: (sort: string | undefined) => void;
  /** Ids of hidden columns; with onHidden there is a menu to choose them. */
  hidden?: readonly string[];
  onHidden?: (hidden: string[]) => void;
  /** Keys of selected rows; with onSelected there are boxes, and x selects. */
  selected?: ReadonlySet<string>;
  onSelected?: (selected: Set<string>) => void;
  /** Enter, o or a click beside links opens a row. */
  onOpen?: (row: R) => void;
  /** What is known of the row is not of now: it is hatched. */
  stale?: (row: R) => boolean;
  /** The row that a side sheet shows. */
  current?: string;
  /** All of a row where there is no width for columns: two lines at most. */
  compact?: (row: R) => ReactNode;
  /** Rows in groups; `rows` are then those of all that are open. */
  sections?: readonly Section<R>[];
  onSection?: (key: string, open: boolean) => void;
  /** Called when the end of what is loaded of a section comes into sight. */
  onMoreOf?: (key: string) => void;
}

/** What a line of the table is. */
type Line<R> =
  | { row: R; section?: undefined; more?: undefined }
  | { section: Section<R>; row?: undefined; more?: boolean };

const features = tableFeatures({ columnVisibilityFeature });
const heights = { compact: 28, default: 32, comfortable: 40 };
const headHeight = 32;
const compactHeight = 56;
/** With less than this, columns cannot be read beside each other. */
const narrowBelow = 560;
/** What a side sheet leaves of a laptop's window; columns that do not fit there scroll no more. */
const beside = 700;

/** A row of two lines for tables that have none of their own: what it is called by, and all else. */
function TwoLines<R>({ columns, row }: { columns: readonly Column<R>[]; row: R }) {
  const name = columns.find((c) => c.always) ?? columns[0];
  return (
    <CompactCell
      name={name?.cell(row)}
      more={columns
        .filter((c) => c !== name)
        .map((c) => (
          <span key={c.id} className={classes.part}>
            {c.number === true && `${c.title}: `}
            {c.cell(row)}
          </span>
        ))}
    />
  );
}

/** Whether an element is narrower than that. */
function useNarrow(element: RefObject<HTMLElement | null>, below: number): boolean {
  const [narrow, setNarrow] = useState(false);
  useLayoutEffect(() => {
    const e = element.current;
    if (e === null || typeof ResizeObserver === "undefined") return;
    const look = () => {
      if (e.clientWidth > 0) setNarrow(e.clientWidth < below);
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(e);
    return () => observer.disconnect();
  }, [element, below]);
  return narrow;
}

function linesOf<R>(rows: readonly R[], sections: readonly Section<R>[] | undefined): Line<R>[] {
  if (sections === undefined) return rows.map((row) => ({ row }));
  return sections.flatMap((section): Line<R>[] => [
    { section },
    ...(section.open ? section.rows.map((row) => ({ row })) : []),
    ...(section.open && section.more ? [{ section, more: true }] : []),
  ]);
}

/** Whether a click is on something that has a meaning of its own. */
function ownMeaning(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("a, button, input, label, [role=menuitem]") !== null;
}

/**
 * A table of any number of rows, of which those in sight are in the page. The server
 * sorts and filters. One stop of the Tab key: arrows or j and k move, x selects, with
 * Shift a range, Enter opens. In groups, left and right fold and unfold them.
 */
export function DataTable<R extends object>(props: DataTableProps<R>) {
  const { columns, rows, rowKey, selected, onSelected, onOpen, onMore, sections, onSection, onMoreOf } = props;
  const compact = props.compact ?? ((row: R) => <TwoLines columns={columns} row={row} />);
  const lines = useMemo(() => linesOf(rows, sections), [rows, sections]);
  const total = sections === undefined ? (props.total ?? rows.length) : lines.length;
  const t = useT();
  const { density } = usePreferences();
  const id = useId();
  const scroll = useRef<HTMLDivElement>(null);
  const anchor = useRef(0); // where a range begins
  const [active, setActive] = useState(0);
  const hidden = props.hidden;
  const table = useTable(
    {
      features,
      data: rows,
      columns: useMemo(
        () => columns.map((c) => ({ id: c.id, header: c.title, enableHiding: c.always !== true })),
        [columns],
      ),
      getRowId: rowKey,
      state: {
        columnVisibility: useMemo(() => Object.fromEntries((hidden ?? []).map((h) => [h, false])), [hidden]),
      },
    },
    (s) => s,
  );
  const seen = new Set(table.getVisibleLeafColumns().map((c) => c.id));
  // Columns that have room stay columns.
  const wanted = columns.reduce((sum, c) => sum + c.width, 0);
  const narrow = useNarrow(scroll, Math.max(props.compact === undefined ? 0 : narrowBelow, Math.min(beside, wanted)));
  const whole = columns[0];
  const shown: readonly Column<R>[] =
    narrow && whole !== undefined
      ? [{ ...whole, width: 0, grow: 1, number: false, cell: compact }]
      : columns.filter((c) => c.always || seen.has(c.id));
  const height = narrow ? compactHeight : heights[density];
  const lineKey = (l: Line<R>) =>
    l.section === undefined ? rowKey(l.row) : `${l.more ? "more" : "section"} ${l.section.key}`;
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => height,
    overscan: 12,
    scrollPaddingStart: headHeight,
    getItemKey: (i) => lineKey(lines[i] as Line<R>),
    // Before the first measure, and where nothing is measured: a screen of rows.
    initialRect: { width: 1200, height: 800 },
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another density has other heights
  useEffect(() => virtual.measure(), [height]);
  const items = virtual.getVirtualItems();
  const last = items[items.length - 1]?.index ?? 0;
  useEffect(() => {
    if (sections === undefined && onMore !== undefined && rows.length < total && last >= rows.length - 20) onMore();
  }, [sections, last, rows.length, total, onMore]);
  const wanting = JSON.stringify(
    items.flatMap((i) => {
      const line = lines[i.index];
      return line?.more ? [line.section.key] : [];
    }),
  );
  const moreOf = useRef(onMoreOf);
  useEffect(() => {
    moreOf.current = onMoreOf;
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: with more rows the end may still be in sight
  useEffect(() => {
    for (const key of JSON.parse(wanting) as string[]) moreOf.current?.(key);
  }, [wanting, lines.length]);

  const at = Math.min(active, Math.max(0, lines.length - 1));
  const select = (from: number, to: number, on: boolean) => {
    if (onSelected === undefined) return;
    const next = new Set(selected);
    for (let i = Math.min(from, to); i <= Math.max(from, to); i++) {
      const row = lines[i]?.row;
      if (row === undefined) continue;
      if (on) next.add(rowKey(row));
      else next.delete(rowKey(row));
    }
    onSelected(next);
  };
  const toggle = (i: number) => {
    const row = lines[i]?.row;
    if (row === undefined) return;
    anchor.current = i;
    select(i, i, selected?.has(rowKey(row)) !== true);
  };
  const go = (to: number, range = false) => {
    if (lines.length === 0) return;
    const next = Math.max(0, Math.min(lines.length - 1, to));
    if (range) select(anchor.current, next, true);
    else anchor.current = next;
    setActive(next);
    virtual.scrollToIndex(next);
  };
  const fold = (i: number, open?: boolean) => {
    const section = lines[i]?.section;
    if (section !== undefined && section.open !== open) onSection?.(section.key, !section.open);
  };
  /** The line of the section that a line belongs to. */
  const sectionAt = (i: number) => {
    let j = i;
    while (j > 0 && (lines[j]?.section === undefined || lines[j]?.more)) j--;
    return j;
  };
  const open = (i: number) => {
    const line = lines[i];
    if (line?.row !== undefined) onOpen?.(line.row);
    else fold(i);
  };
  const page = () => Math.max(1, Math.floor(((scroll.current?.clientHeight ?? 0) - headHeight) / height) - 1);
  const key = (k: string, shift: boolean): boolean => {
    switch (k) {
      case "j":
      case "J":
      case "ArrowDown":
        go(at + 1, shift);
        return true;
      case "k":
      case "K":
      case "ArrowUp":
        go(at - 1, shift);
        return true;
      case "Home":
        go(0, shift);
        return true;
      case "End":
        go(lines.length - 1, shift);
        return true;
      case "PageDown":
        go(at + page(), shift);
        return true;
      case "PageUp":
        go(at - page(), shift);
        return true;
      case "ArrowLeft":
        if (sections === undefined) return false;
        if (lines[at]?.section?.open) fold(at, false);
        else go(sectionAt(at));
        return true;
      case "ArrowRight":
        if (sections === undefined) return false;
        fold(at, true);
        return true;
      case "x":
      case " ":
        if (lines[at]?.section !== undefined) {
          fold(at);
          return true;
        }
        if (onSelected === undefined) return false;
        toggle(at);
        return true;
      case "Enter":
      case "o":
        if (onOpen === undefined && sections === undefined) return false;
        open(at);
        return true;
    }
    return false;
  };
  const group = t("ui.table.keys");
  const focused = () => {
    if (document.activeElement !== scroll.current) scroll.current?.focus({ preventScroll: true });
  };
  useChord("j", t("ui.table.down"), group, () => {
    if (document.activeElement !== scroll.current) focused();
    else go(at + 1);
  });
  useChord("k", t("ui.table.up"), group, () => {
    focused();
    go(at - 1);
  });
  useChord("x", t("ui.table.select"), group, () => toggle(at), onSelected !== undefined);
  useChord("Enter", t("ui.table.open"), group, () => open(at), onOpen !== undefined);

  const all = rows.length > 0 && rows.every((r) => selected?.has(rowKey(r)));
  const some = !all && rows.some((r) => selected?.has(rowKey(r)));
  const template = [
    ...(onSelected === undefined ? [] : ["36px"]),
    ...shown.map((c) => `minmax(${c.width}px, ${c.grow ? `${c.grow}fr` : `${c.width}px`})`),
    ...(shown.some((c) => c.grow) ? [] : ["1fr"]),
  ].join(" ");
  const least = shown.reduce((sum, c) => sum + c.width, onSelected === undefined ? 0 : 36);
  const sorted = (c: Column<R>) =>
    c.sort === undefined
      ? undefined
      : props.sort === c.sort
        ? "ascending"
        : props.sort === `-${c.sort}`
          ? "descending"
          : "none";
  const click = (e: ReactMouseEvent, i: number) => {
    if (ownMeaning(e.target) || window.getSelection()?.isCollapsed === false) return;
    if (e.shiftKey && onSelected !== undefined) {
      go(i, true);
      return;
    }
    setActive(i);
    anchor.current = i;
    open(i);
  };
  const cells = shown.length + (onSelected === undefined ? 0 : 1);
  return (
    <div className={classes.around}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: it has a role */}
      {/* biome-ignore lint/a11y/useAriaPropsSupportedByRole: it is a grid or a treegrid */}
      <div
        ref={scroll}
        className={classes.scroll}
        role={sections === undefined ? "grid" : "treegrid"}
        tabIndex={0}
        aria-label={props.label}
        aria-rowcount={total + 1}
        aria-colcount={cells}
        aria-multiselectable={onSelected === undefined ? undefined : true}
        aria-activedescendant={
          items.some((i) => i.index === at) && lines.length > 0
            ? `${id}-row-${lineKey(lines[at] as Line<R>)}`
            : undefined
        }
        aria-busy={props.loadingMore || undefined}
        onKeyDown={(e) => {
          if (e.target !== e.currentTarget || e.metaKey || e.ctrlKey || e.altKey) return;
          if (key(e.key, e.shiftKey)) {
            e.preventDefault();
            e.stopPropagation();
            e.nativeEvent.stopImmediatePropagation();
          }
        }}
      >
        <div className={classes.inner} style={{ minWidth: least, height: virtual.getTotalSize() + headHeight }}>
          {/* biome-ignore lint/a11y/useSemanticElements: a row of a grid */}
          {/* biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus */}
          <div className={classes.head} role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
            {onSelected !== undefined && (
              // biome-ignore lint/a11y/useSemanticElements: a header of a grid
              // biome-ignore lint/a11y/useFocusableInteractive: its box has the focus
              <span role="columnheader" className={classes.box}>
                <Checkbox
                  aria-label={t("ui.table.selectAll")}
                  checked={all}
                  indeterminate={some}
                  onChange={() => onSelected(all ? new Set() : new Set(rows.map(rowKey)))}
                />
              </span>
            )}
            {shown.map((c) => (
              // biome-ignore lint/a11y/useSemanticElements: a header of a grid
              // biome-ignore lint/a11y/useFocusableInteractive: its button has the focus
              <span key={c.id} role="columnheader" aria-sort={sorted(c)} data-number={c.number || undefined}>
                {c.sort !== undefined && props.onSort !== undefined ? (
                  <button
                    type="button"
                    className={classes.sort}
                    onClick={() => props.onSort?.(sorted(c) === "ascending" ? `-${c.sort}` : c.sort)}
                  >
                    {c.title}
                    <span className={classes.arrow} aria-hidden="true">
                      {sorted(c) === "ascending" ? "↑" : sorted(c) === "descending" ? "↓" : ""}
                    </span>
                  </button>
                ) : (
                  c.title
                )}
              </span>
            ))}
          </div>
          {items.map((item) => {
            const line = lines[item.index];
            if (line === undefined) return null;
            const placed = { height, transform: `translateY(${item.start + headHeight}px)` };
            if (line.section !== undefined) {
              const { section, more } = line;
              return (
                // biome-ignore lint/a11y/useSemanticElements: a row of a grid
                // biome-ignore lint/a11y/useKeyWithClickEvents: the grid has the keys
                // biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus
                <div
                  key={item.key}
                  id={`${id}-row-${lineKey(line)}`}
                  role="row"
                  aria-rowindex={item.index + 2}
                  aria-level={more ? 2 : 1}
                  aria-expanded={more ? undefined : section.open}
                  aria-busy={more || undefined}
                  className={more ? classes.more : classes.section}
                  data-active={item.index === at || undefined}
                  style={placed}
                  onClick={() => {
                    setActive(item.index);
                    if (!more) fold(item.index);
                  }}
                >
                  {/* biome-ignore lint/a11y/useSemanticElements: a cell of a grid */}
                  {/* biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus */}
                  <span role="gridcell" aria-colspan={cells} className={classes.sectionCell}>
                    {more ? (
                      t("ui.table.loading")
                    ) : (
                      <>
                        <span className={classes.fold} data-open={section.open || undefined}>
                          <Icon name="right" size={12} />
                        </span>
                        <span className={classes.sectionTitle}>{section.title}</span>{" "}
                        <span className={classes.count}>{section.count}</span>
                      </>
                    )}
                  </span>
                </div>
              );
            }
            const { row } = line;
            const k = rowKey(row);
            const isSelected = selected?.has(k) === true;
            return (
              // biome-ignore lint/a11y/useSemanticElements: a row of a grid
              // biome-ignore lint/a11y/useKeyWithClickEvents: the grid has the keys
              // biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus
              <div
                key={item.key}
                id={`${id}-row-${k}`}
                role="row"
                aria-rowindex={item.index + 2}
                aria-level={sections === undefined ? undefined : 2}
                aria-selected={onSelected === undefined ? undefined : isSelected}
                className={classes.row}
                data-active={item.index === at || undefined}
                data-selected={isSelected || undefined}
                data-current={props.current === k || undefined}
                data-stale={props.stale?.(row) || undefined}
                data-opens={onOpen === undefined ? undefined : true}
                style={{ gridTemplateColumns: template, ...placed }}
                onClick={(e) => click(e, item.index)}
              >
                {onSelected !== undefined && (
                  // biome-ignore lint/a11y/useSemanticElements: a cell of a grid
                  // biome-ignore lint/a11y/useFocusableInteractive: its box has the focus
                  <span role="gridcell" className={classes.box}>
                    <Checkbox
                      tabIndex={-1}
                      aria-label={t("ui.table.selectRow", { name: k })}
                      checked={isSelected}
                      onClick={(e) => {
                        if (!e.shiftKey) return;
                        e.preventDefault();
                        select(anchor.current, item.index, true);
                      }}
                      onChange={() => toggle(item.index)}
                    />
                  </span>
                )}
                {shown.map((c) => (
                  // biome-ignore lint/a11y/useSemanticElements: a cell of a grid
                  // biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus
                  <span key={c.id} role="gridcell" data-number={c.number || undefined} className={classes.cell}>
                    {c.cell(row)}
                  </span>
                ))}
              </div>
            );
          })}
        </div>
      </div>
      {props.onHidden !== undefined && !narrow && (
        <Menu position="bottom-end" closeOnItemClick={false}>
          <Menu.Target>
            <ActionIcon className={classes.choose} size={24} aria-label={t("ui.table.columns")}>
              <Icon name="columns" size={14} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Label>{t("ui.table.columns")}</Menu.Label>
            {columns
              .filter((c) => c.always !== true)
              .map((c) => (
                <Menu.CheckboxItem
                  key={c.id}
                  checked={seen.has(c.id)}
                  onChange={(on) => {
                    const before = hidden ?? [];
                    props.onHidden?.(on ? before.filter((h) => h !== c.id) : [...before, c.id]);
                  }}
                >
                  {c.title}
                </Menu.CheckboxItem>
              ))}
          </Menu.Dropdown>
        </Menu>
      )}
    </div>
  );
}

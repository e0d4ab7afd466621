import { Button, NativeSelect, SegmentedControl, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { lazy, Suspense, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { Problem } from "../../client";
import { useFormat, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { connectionWord } from "../../ui/Connection";
import { useChord } from "../../ui/chords";
import { Page } from "../../ui/Page";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { EmptyView, ErrorView, FilteredEmpty, PartialBanner } from "../../ui/states";
import { without } from "../../ui/terms";
import { Sprites, themeTokens } from "./draw";
import classes from "./FleetPage.module.css";
import { FleetTable } from "./FleetTable";
import { HeatMap } from "./HeatMap";
import {
  type Colouring,
  cellSize,
  Fleet,
  grouped,
  groupsOf,
  type Look,
  legendValues,
  looks,
  mostValues,
  namesFilter,
  worstWords,
} from "./model";
import { Numbers } from "./Numbers";
import { dropQuery, mapQuery } from "./queries";
import { Rail } from "./Rail";
import { Timeline } from "./Timeline";

const LabelDialog = lazy(() => import("./LabelDialog"));

const route = getRouteApi(paths.fleet);

/** The fleet: its numbers, its clusters as a map or a table, and what needs attention. */
export function FleetPage() {
  const t = useT();
  const format = useFormat();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { project, q = "", view = "map" } = search;
  const answer = useQuery(mapQuery(q, project));
  const change = useCallback(
    (next: Partial<typeof search>) => void navigate({ search: (old) => ({ ...old, ...next }), replace: true }),
    [navigate],
  );
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [labelling, setLabelling] = useState(false);
  useChord("t", t("fleet.chord.table"), t("fleet.title"), () => change({ view: view === "map" ? "table" : undefined }));
  const box = useRef<HTMLInputElement>(null);
  useChord("/", t("fleet.chord.filter"), t("fleet.title"), () => box.current?.focus());

  // A filter with a mistake leaves the map as it was, and says where the mistake is.
  const problem = answer.isError ? Problem.of(answer.error) : undefined;
  const mistaken = problem !== undefined && problem.status === 400 && q !== "";
  const plain = useQuery({ ...mapQuery("", project), enabled: mistaken });
  const data = mistaken ? plain.data : answer.data;
  const shown = useMemo(() => (data === undefined ? undefined : new Fleet(data)), [data]);

  if (shown === undefined)
    return (
      <Page title={t("fleet.title")}>
        {answer.isPending || (mistaken && plain.isPending) ? (
          <Skeleton />
        ) : (
          <ErrorView
            error={mistaken ? plain.error : answer.error}
            onRetry={() => void (mistaken ? plain : answer).refetch()}
          />
        )}
      </Page>
    );
  const { map } = shown;
  if (shown.size === 0)
    return (
      <Page title={t("fleet.title")}>
        <EmptyView
          title={project === undefined ? t("fleet.empty") : t("fleet.emptyProject", { project: plainLine(project) })}
          actions={
            project === undefined ? (
              <Button component={Link} to={paths.enrol}>
                {t("fleet.enrol")}
              </Button>
            ) : (
              <Button variant="default" onClick={() => change({ project: undefined })}>
                {t("fleet.allProjects")}
              </Button>
            )
          }
        >
          {project === undefined && (
            <>
              <p>{t("fleet.emptyText")}</p>
              <CliLine command="hawser cluster enroll NAME" />
            </>
          )}
        </EmptyView>
      </Page>
    );
  const nothing = q !== "" && (map.dimmed?.length ?? 0) === shown.size;
  return (
    <Page
      title={t("fleet.title")}
      actions={
        <Button component={Link} to={paths.enrol} search={{ project } as never}>
          {t("fleet.enrol")}
        </Button>
      }
    >
      {map.away === true && (
        <PartialBanner>{t("fleet.away", { time: map.asOf === undefined ? "" : format.time(map.asOf) })}</PartialBanner>
      )}
      {problem !== undefined && !mistaken && (
        <PartialBanner
          action={
            <Button size="compact-xs" variant="default" onClick={() => void answer.refetch()}>
              {t("ui.error.retry")}
            </Button>
          }
        >
          <PlainText text={problem.message} /> {problem.id || problem.code}
        </PartialBanner>
      )}
      <Numbers clusters={map.clusterCounts} applications={map.applicationCounts} project={project} />
      <div className={classes.body}>
        <div>
          <Bar fleet={shown} problem={mistaken ? problem : undefined} change={change} inputRef={box} />
          {nothing ? (
            <NothingMatches q={q} project={project} total={shown.size} onChange={(v) => change({ q: v })} />
          ) : view === "table" ? (
            <TableView fleet={shown} selected={selected} onSelected={setSelected} change={change} />
          ) : (
            <MapView fleet={shown} selected={selected} onSelected={setSelected} />
          )}
          {selected.size > 0 && (
            <div className={classes.selection} role="status">
              <span>{t("fleet.selected", { n: selected.size })}</span>
              <Link to={paths.clusters} search={{ project, q: namesFilter([...selected].slice(0, 200)) }}>
                {t("fleet.selected.clusters")}
              </Link>
              <Link
                to={paths.applications}
                search={{ project, q: namesFilter([...selected].slice(0, 200)).replace(/^name:/, "cluster:") }}
              >
                {t("fleet.selected.applications")}
              </Link>
              <Button size="compact-sm" variant="default" onClick={() => setLabelling(true)}>
                {t("fleet.selected.label")}
              </Button>
              <Button size="compact-sm" variant="default" onClick={() => setSelected(new Set())}>
                {t("fleet.selected.clear")}
              </Button>
            </div>
          )}
        </div>
        {labelling && selected.size > 0 && (
          <Suspense>
            <LabelDialog names={[...selected].sort()} onClose={() => setLabelling(false)} />
          </Suspense>
        )}
        <Rail lines={map.attention} project={project} />
      </div>
      <Timeline
        project={project}
        kind={search.did}
        minute={search.minute}
        onChange={({ kind, minute }) => change({ did: kind, minute })}
      />
    </Page>
  );
}

/** Says which term of the filter leaves nothing. */
function NothingMatches({
  q,
  project,
  total,
  onChange,
}: {
  q: string;
  project: string | undefined;
  total: number;
  onChange: (q: string | undefined) => void;
}) {
  const drop = useQuery(dropQuery(q, project));
  return (
    <FilteredEmpty
      total={total}
      drop={drop.data}
      onDrop={(term) => onChange(without(q, term) || undefined)}
      onClear={() => onChange(undefined)}
    />
  );
}

type Search = ReturnType<typeof route.useSearch>;

function MapView({
  fleet,
  selected,
  onSelected,
}: {
  fleet: Fleet;
  selected: ReadonlySet<string>;
  onSelected: (s: Set<string>) => void;
}) {
  const { group, color = "health", cell, project } = route.useSearch();
  const sections = useMemo(() => grouped(fleet, groupsOf(fleet, group)), [fleet, group]);
  const look = useMemo(() => looks(fleet, color), [fleet, color]);
  return (
    <>
      <Legend fleet={fleet} by={color} look={look} />
      <HeatMap
        fleet={fleet}
        sections={sections}
        look={look}
        edge={cellSize(fleet.size, cell)}
        selected={selected}
        onSelected={onSelected}
        project={project}
      />
    </>
  );
}

function TableView({
  fleet,
  selected,
  onSelected,
  change,
}: {
  fleet: Fleet;
  selected: ReadonlySet<string>;
  onSelected: (s: Set<string>) => void;
  change: (next: Partial<Search>) => void;
}) {
  const { group, sort, project } = route.useSearch();
  const groups = useMemo(() => groupsOf(fleet, group), [fleet, group]);
  return (
    <div className={classes.table}>
      <FleetTable
        fleet={fleet}
        groups={groups}
        sort={sort}
        onSort={(s) => change({ sort: s })}
        selected={selected}
        onSelected={onSelected}
        project={project}
      />
    </div>
  );
}

/** What is chosen of the map: groups, colours, filter, map or table. */
function Bar({
  fleet,
  problem,
  change,
  inputRef,
}: {
  fleet: Fleet;
  problem: Problem | undefined;
  change: (next: Partial<Search>) => void;
  inputRef: React.RefObject<HTMLInputElement | null>;
}) {
  const t = useT();
  const { q = "", group, color = "health", view = "map", cell } = route.useSearch();
  const groups = groupsOf(fleet, group);
  const keys = fleet.groupKeys();
  const choose = (place: 0 | 1, key: string) => {
    const next = [...groups];
    if (key === "") next.splice(place, 1);
    else next[place] = key;
    const unique = [...new Set(next.filter((x) => x !== undefined))];
    change({ group: unique.length === 0 ? "-" : unique.join(",") });
  };
  const options = (place: 0 | 1) => [
    { value: "", label: t("fleet.group.none") },
    ...keys.filter((k) => k === groups[place] || !groups.includes(k)).map((k) => ({ value: k, label: plainLine(k) })),
  ];
  return (
    <div className={classes.bar}>
      <FilterBox value={q} problem={problem} onChange={(v) => change({ q: v })} inputRef={inputRef} />
      {keys.length > 0 && (
        <>
          <NativeSelect
            className={classes.choice}
            label={t("fleet.group")}
            data={options(0)}
            value={groups[0] ?? ""}
            onChange={(e) => choose(0, e.currentTarget.value)}
          />
          {groups[0] !== undefined && (
            <NativeSelect
              className={classes.choice}
              label={t("fleet.group.then")}
              data={options(1)}
              value={groups[1] ?? ""}
              onChange={(e) => choose(1, e.currentTarget.value)}
            />
          )}
        </>
      )}
      {view === "map" && (
        <>
          <NativeSelect
            className={classes.choice}
            label={t("fleet.color")}
            data={[
              { value: "health", label: t("fleet.color.health") },
              { value: "connection", label: t("fleet.color.connection") },
              { value: "agent", label: t("fleet.color.agent") },
              { value: "kubernetes", label: t("fleet.color.kubernetes") },
            ]}
            value={color}
            onChange={(e) =>
              change({ color: e.currentTarget.value === "health" ? undefined : (e.currentTarget.value as Colouring) })
            }
          />
          <NativeSelect
            className={classes.small}
            label={t("fleet.cell")}
            data={[
              { value: "24", label: t("fleet.cell.large") },
              { value: "14", label: t("fleet.cell.small") },
            ]}
            value={String(cellSize(fleet.size, cell))}
            onChange={(e) => change({ cell: e.currentTarget.value as "24" | "14" })}
          />
        </>
      )}
      <SegmentedControl
        size="xs"
        aria-label={t("fleet.view")}
        data={[
          { value: "map", label: t("fleet.view.map") },
          { value: "table", label: t("fleet.view.table") },
        ]}
        value={view}
        onChange={(v) => change({ view: v === "table" ? "table" : undefined })}
      />
    </div>
  );
}

/** The filter; it counts when somebody has stopped writing for a moment. */
function FilterBox({
  value,
  problem,
  onChange,
  inputRef,
}: {
  value: string;
  problem: Problem | undefined;
  onChange: (v: string | undefined) => void;
  inputRef: React.RefObject<HTMLInputElement | null>;
}) {
  const t = useT();
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const latest = useRef(onChange);
  latest.current = onChange;
  useEffect(() => {
    if (text.trim() === value) return;
    const timer = setTimeout(() => latest.current(text.trim() === "" ? undefined : text.trim()), 250);
    return () => clearTimeout(timer);
  }, [text, value]);
  return (
    <TextInput
      ref={inputRef}
      className={classes.filter}
      label={t("fleet.filter")}
      placeholder={t("fleet.filter.example")}
      value={text}
      onChange={(e) => setText(e.currentTarget.value)}
      onKeyDown={(e) => {
        if (e.key === "Escape") {
          if (text === "") e.currentTarget.blur();
          else setText("");
        }
      }}
      error={problem !== undefined && <PlainText text={problem.message} lines={2} />}
      spellCheck={false}
      autoComplete="off"
    />
  );
}

/** What the cells mean, of what there is. */
function Legend({ fleet, by, look }: { fleet: Fleet; by: Colouring; look: (at: number) => Look }) {
  const t = useT();
  const entries = useMemo((): { key: string; look: Look; text: string; n: number }[] => {
    const counts = new Map<string, { at: number; n: number }>();
    let silent = 0;
    let firstSilent = -1;
    for (let at = 0; at < fleet.size; at++) {
      const key = by === "connection" ? connectionWord(fleet.state(at)) : fleet.worst(at);
      if (by !== "connection" && fleet.stale(at)) {
        silent++;
        if (firstSilent < 0) firstSilent = at;
        continue;
      }
      const c = counts.get(key);
      if (c === undefined) counts.set(key, { at, n: 1 });
      else c.n++;
    }
    const clear = (l: Look): Look => ({ ...l, dimmed: false });
    if (by === "agent" || by === "kubernetes") {
      const values = legendValues(fleet, by);
      const own = values.slice(0, values.length > mostValues ? mostValues - 1 : mostValues);
      const rest = values.slice(own.length).reduce((n, v) => n + v.n, 0);
      return [
        ...own.map((v, i) => ({
          key: v.value,
          look: { state: `value${i}`, stale: false, dimmed: false } as Look,
          text: v.value === "" ? t("fleet.legend.unknown") : plainLine(v.value),
          n: v.n,
        })),
        ...(rest > 0
          ? [
              {
                key: "others",
                look: { state: `value${mostValues - 1}`, stale: false, dimmed: false } as Look,
                text: t("fleet.legend.others"),
                n: rest,
              },
            ]
          : []),
      ];
    }
    const out = (
      by === "connection" ? (["connected", "offline", "never", "held", "revoked"] as const) : worstWords
    ).flatMap((w) => {
      const c = counts.get(w);
      if (c === undefined) return [];
      const text =
        by === "connection"
          ? t(`ui.connection.${connectionWord(w)}`)
          : t(`fleet.worst.${w as (typeof worstWords)[number]}`);
      return [{ key: w as string, look: clear(look(c.at)), text, n: c.n }];
    });
    if (silent > 0)
      out.push({ key: "silent", look: clear(look(firstSilent)), text: t("fleet.legend.silent"), n: silent });
    return out;
  }, [fleet, by, look, t]);
  return (
    <ul className={classes.legend} aria-label={t("fleet.legend")}>
      {entries.map((e) => (
        <li key={e.key}>
          <Swatch look={e.look} />
          {t("fleet.legend.entry", { what: e.text, n: e.n })}
        </li>
      ))}
    </ul>
  );
}

function Swatch({ look }: { look: Look }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [theme, setTheme] = useState(0);
  useEffect(() => {
    const o = new MutationObserver(() => setTheme((n) => n + 1));
    o.observe(document.documentElement, { attributeFilter: ["data-mantine-color-scheme", "data-contrast"] });
    return () => o.disconnect();
  }, []);
  const { state, stale } = look;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another theme has other colours
  useLayoutEffect(() => {
    const ratio = window.devicePixelRatio || 1;
    const c = canvas.current?.getContext("2d");
    if (!c || canvas.current === null) return;
    canvas.current.width = 16 * ratio;
    canvas.current.height = 16 * ratio;
    c.scale(ratio, ratio);
    c.drawImage(new Sprites(16, ratio, themeTokens()).of({ state, stale, dimmed: false }), 0, 0, 16, 16);
  }, [state, stale, theme]);
  return <canvas ref={canvas} style={{ width: 16, height: 16 }} />;
}

/** Cells that have not come yet, where they will be. */
function Skeleton() {
  const t = useT();
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), 100);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div role="status" aria-busy="true" aria-label={t("ui.loading")} className={classes.skeleton}>
      {shown &&
        Array.from({ length: 240 }, (_, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the cells are all alike
          <span key={i} className={classes.skeletonCell} />
        ))}
    </div>
  );
}

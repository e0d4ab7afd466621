import { ActionIcon, Button, Checkbox, Select, TextInput, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import type { StreamLogsQuery } from "../../../api/client";
import type { ObjectKey } from "../../../api/types";
import { api } from "../../../client";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { CliLine } from "../../../ui/CliLine";
import { Icon } from "../../../ui/Icon";
import { PlainText } from "../../../ui/PlainText";
import { plainLine } from "../../../ui/plain";
import { cli } from "../../../ui/shell";
import { EmptyView, ErrorView, FilteredEmpty, LoadingView, PartialBanner } from "../../../ui/states";
import { objectFlags, objectOf, objectText } from "../object";
import { named, treeQuery } from "../queries";
import { type LogLine, levelOf, matching } from "./buffer";
import classes from "./Logs.module.css";
import { useLogs } from "./useLogs";

const route = getRouteApi(paths.application);

const kinds = new Set(["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod", "Rollout"]);
const sinces = ["5m", "15m", "1h", "6h", "24h"] as const;
const tails = [100, 500, 2000, 10_000] as const;
/** Lines of each container at first. */
const usualTail = 500;

/** Logs of all pods of an application, or of one workload, as one. */
export default function Logs({ name }: { name: string }) {
  const t = useT();
  const navigate = route.useNavigate();
  const search = route.useSearch();
  const tree = useQuery(treeQuery(name));
  const object = objectOf(search.sel);
  const follows = search.previous !== "yes" && search.follow !== "off";
  const tail = tails.find((n) => String(n) === search.tail) ?? usualTail;
  const since = sinces.find((s) => s === search.since);
  const query: StreamLogsQuery = {
    ...(object === undefined ? {} : named(object)),
    allContainers: search.container === undefined ? true : undefined,
    container: search.container,
    follow: follows || undefined,
    previous: search.previous === "yes" || undefined,
    since,
    tail,
    grep: search.grep,
  };
  const logs = useLogs(name, query);
  const set = (more: Partial<typeof search>) =>
    void navigate({ search: (old) => ({ ...old, ...more }), replace: true });
  const workloads = useMemo(() => {
    const all = (tree.data?.nodes ?? []).filter((n) => kinds.has(n.kind));
    const data = all.map((n) => ({ value: objectText(n), label: plainLine(`${n.kind}/${n.name}`) }));
    if (object !== undefined && !data.some((d) => d.value === search.sel))
      data.push({ value: objectText(object), label: plainLine(`${object.kind}/${object.name}`) });
    return data;
  }, [tree.data, object, search.sel]);
  // The buffer is changed in place: its version says that there is more.
  const containers = useMemo(() => {
    void logs.version;
    const all = new Set([...logs.buffer.sources.values()].map((s) => s.container));
    if (search.container !== undefined) all.add(search.container);
    return [...all].sort();
  }, [logs.buffer, logs.version, search.container]);
  const shown = useMemo(() => {
    void logs.version;
    return matching(logs.buffer.lines, search.q ?? "");
  }, [logs.buffer, logs.version, search.q]);
  const whole = api.streamLogsPath(name, { ...query, follow: undefined, tail: undefined, timestamps: true });
  return (
    <div className={classes.page}>
      <div className={classes.bar}>
        <Select
          className={classes.workload}
          aria-label={t("logs.workload")}
          placeholder={t("logs.workload.all")}
          data={workloads}
          value={search.sel !== undefined && object !== undefined ? objectText(object) : null}
          onChange={(v) => set({ sel: v ?? undefined, container: undefined })}
          searchable
          clearable
          limit={100}
        />
        <Select
          className={classes.short}
          aria-label={t("logs.container")}
          placeholder={t("logs.container.all")}
          data={containers.map((c) => ({ value: c, label: plainLine(c) }))}
          value={search.container ?? null}
          onChange={(v) => set({ container: v ?? undefined })}
          clearable
        />
        <Select
          className={classes.short}
          aria-label={t("logs.since")}
          placeholder={t("logs.since.any")}
          data={[...sinces]}
          value={since ?? null}
          onChange={(v) => set({ since: v ?? undefined })}
          clearable
        />
        <Select
          className={classes.short}
          aria-label={t("logs.tail")}
          data={tails.map((n) => ({ value: String(n), label: t("logs.tail.n", { n }) }))}
          value={String(tail)}
          allowDeselect={false}
          onChange={(v) => set({ tail: v === null || v === String(usualTail) ? undefined : v })}
        />
        <Typed label={t("logs.grep")} value={search.grep ?? ""} onDone={(v) => set({ grep: v || undefined })} />
        <TextInput
          className={classes.find}
          aria-label={t("logs.find")}
          placeholder={t("logs.find")}
          value={search.q ?? ""}
          onChange={(e) => set({ q: e.currentTarget.value || undefined })}
        />
        <Checkbox
          label={t("logs.previous")}
          checked={search.previous === "yes"}
          onChange={(e) => set({ previous: e.currentTarget.checked ? "yes" : undefined })}
        />
        <Checkbox
          label={t("logs.wrap")}
          checked={search.wrap === "yes"}
          onChange={(e) => set({ wrap: e.currentTarget.checked ? "yes" : undefined })}
        />
        {search.previous !== "yes" && (
          <Button
            variant="default"
            size="compact-sm"
            leftSection={<Icon name={follows ? "pause" : "play"} size={12} />}
            onClick={() => set({ follow: follows ? "off" : undefined })}
          >
            {t(follows ? "logs.pause" : "logs.follow")}
          </Button>
        )}
        <Tooltip label={t("logs.download.says")}>
          <ActionIcon component="a" href={whole} download={`${name}.log`} aria-label={t("logs.download")}>
            <Icon name="download" />
          </ActionIcon>
        </Tooltip>
      </div>
      <Said logs={logs} follows={follows} tail={tail} />
      {logs.phase === "ended" && logs.problem !== undefined && logs.buffer.lines.length === 0 ? (
        <ErrorView error={logs.problem} onRetry={logs.again} />
      ) : logs.phase === "connecting" && logs.buffer.lines.length === 0 ? (
        <LoadingView />
      ) : logs.buffer.lines.length === 0 ? (
        <EmptyView title={t("logs.none.title")}>
          {t(logs.buffer.notices.length > 0 ? "logs.none.unread" : follows ? "logs.none.follow" : "logs.none")}
        </EmptyView>
      ) : shown.length === 0 ? (
        <FilteredEmpty total={logs.buffer.lines.length} onClear={() => set({ q: undefined })} />
      ) : (
        <Lines
          key={search.wrap}
          lines={shown}
          nameOf={(n) => logs.buffer.name(n)}
          several={logs.buffer.sources.size > 1}
          wrap={search.wrap === "yes"}
        />
      )}
      <div className={classes.cli}>
        <CliLine command={command(name, object, query)} />
      </div>
    </div>
  );
}

function command(name: string, object: ObjectKey | undefined, q: StreamLogsQuery): string {
  return cli(
    "hawser",
    "app",
    "logs",
    name,
    ...(object === undefined ? [] : objectFlags(object)),
    q.container === undefined ? "--all-containers" : "--container",
    q.container,
    q.follow && "--follow",
    q.previous && "--previous",
    q.since !== undefined && "--since",
    q.since,
    q.tail !== undefined && "--tail",
    q.tail !== undefined && String(q.tail),
    q.grep !== undefined && "--grep",
    q.grep,
  );
}

/** A field whose text counts when it is done: with Enter, or when one leaves it. */
function Typed({ label, value, onDone }: { label: string; value: string; onDone: (v: string) => void }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <TextInput
      className={classes.find}
      aria-label={label}
      placeholder={label}
      value={text}
      spellCheck={false}
      onChange={(e) => setText(e.currentTarget.value)}
      onBlur={() => text !== value && onDone(text)}
      onKeyDown={(e) => e.key === "Enter" && onDone(text)}
    />
  );
}

/** What is not shown, and why: nothing is left out in silence. */
function Said({ logs, follows, tail }: { logs: ReturnType<typeof useLogs>; follows: boolean; tail: number }) {
  const t = useT();
  const { buffer } = logs;
  return (
    <div className={classes.said}>
      <p className={classes.count} role="status">
        {t("logs.count", { lines: buffer.lines.length, sources: buffer.sources.size, tail })}
      </p>
      {buffer.dropped > 0 && <PartialBanner>{t("logs.dropped", { n: buffer.dropped })}</PartialBanner>}
      {buffer.notices.slice(-3).map((n) => (
        <PartialBanner key={`${n.source} ${n.code} ${n.message}`}>
          {n.source > 0 && <PlainText text={buffer.name(n.source)} />} <PlainText text={n.message} lines={2} />{" "}
          <code>{n.code}</code>
        </PartialBanner>
      ))}
      {buffer.notices.length > 3 && (
        <PartialBanner>{t("application.andMore", { n: buffer.notices.length - 3 })}</PartialBanner>
      )}
      {logs.phase === "ended" && (logs.problem !== undefined || follows) && buffer.lines.length > 0 && (
        <PartialBanner
          action={
            <Button size="compact-xs" variant="default" onClick={logs.again}>
              {t("logs.again")}
            </Button>
          }
        >
          {logs.problem === undefined ? (
            t("logs.ended")
          ) : (
            <>
              <PlainText text={logs.problem.message} lines={2} /> <code>{logs.problem.id || logs.problem.code}</code>
            </>
          )}
        </PartialBanner>
      )}
    </div>
  );
}

const rowHeight = 18;

function Lines({
  lines,
  nameOf,
  several,
  wrap,
}: {
  lines: readonly LogLine[];
  nameOf: (source: number) => string;
  several: boolean;
  wrap: boolean;
}) {
  const t = useT();
  const scroll = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const [seen, setSeen] = useState(0);
  const last = lines.at(-1)?.id ?? 0;
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => rowHeight,
    getItemKey: (i) => lines[i]?.id ?? i,
    overscan: 30,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: with each line that comes
  useEffect(() => {
    if (!atEnd) return;
    rows.scrollToIndex(lines.length - 1, { align: "end" });
    setSeen(last);
  }, [last, atEnd]);
  const toEnd = () => setAtEnd(true);
  const keys = (e: KeyboardEvent) => {
    if (e.key === "End") toEnd();
    if (e.key === "Home") setAtEnd(false);
  };
  return (
    <div className={classes.around}>
      <div
        ref={scroll}
        className={classes.scroll}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label={t("logs.lines")}
        data-keys="own"
        onKeyDown={keys}
        onScroll={(e) => {
          const el = e.currentTarget;
          const end = el.scrollHeight - el.scrollTop - el.clientHeight < 2 * rowHeight;
          if (end !== atEnd) {
            setAtEnd(end);
            if (!end) setSeen(last);
          }
        }}
      >
        <div className={classes.lines} data-wrap={wrap || undefined} style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((row) => {
            const l = lines[row.index] as LogLine;
            return (
              <div
                key={row.key}
                ref={wrap ? rows.measureElement : undefined}
                data-index={row.index}
                className={classes.row}
                data-level={levelOf(l.text)}
                style={{ transform: `translateY(${row.start}px)` }}
              >
                {l.at !== undefined && (
                  <time className={classes.time} dateTime={l.at} title={l.at}>
                    {l.at.slice(11, 23).replace("Z", "")}
                  </time>
                )}
                {several && (
                  <bdi className={classes.source} data-colour={l.source % 6} title={plainLine(nameOf(l.source))}>
                    {plainLine(nameOf(l.source))}
                  </bdi>
                )}
                <bdi className={classes.text}>{plainLine(l.text)}</bdi>
              </div>
            );
          })}
        </div>
      </div>
      {!atEnd && (
        <Button className={classes.new} size="compact-sm" onClick={toEnd}>
          {last > seen ? t("logs.new", { n: last - seen }) : t("logs.toEnd")}
        </Button>
      )}
    </div>
  );
}

import { Button, TextInput } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Cluster } from "../../api/types";
import { Problem } from "../../client";
import { useFormat, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { CompactCell } from "../../ui/CompactCell";
import { ConnectionText, connectionOf, connectionWord } from "../../ui/Connection";
import { useChord } from "../../ui/chords";
import { type Column, DataTable } from "../../ui/DataTable";
import { Page } from "../../ui/Page";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { cli } from "../../ui/shell";
import { EmptyView, ErrorView, FilteredEmpty, LoadingView, PartialBanner } from "../../ui/states";
import { terms, without } from "../../ui/terms";
import classes from "./Clusters.module.css";
import { clustersQuery, emptinessQuery } from "./queries";

const route = getRouteApi(paths.clusters);

/** All clusters as rows. */
export function ClustersPage() {
  const t = useT();
  const format = useFormat();
  const { project, q = "", sort } = route.useSearch();
  const navigate = route.useNavigate();
  const go = useNavigate();
  const list = useInfiniteQuery(clustersQuery({ filter: q, project, sort }));
  const change = useCallback(
    (next: { q?: string; sort?: string }) => void navigate({ search: (old) => ({ ...old, ...next }), replace: true }),
    [navigate],
  );
  const problem = list.isError ? Problem.of(list.error) : undefined;
  const mistaken = problem !== undefined && problem.status === 400 && q !== "";
  const rows = useMemo(() => list.data?.pages.flatMap((p) => p.items) ?? [], [list.data]);
  const last = list.data?.pages.at(-1);
  const first = list.data?.pages[0];
  const more = useCallback(() => {
    if (list.hasNextPage && !list.isFetchingNextPage) void list.fetchNextPage();
  }, [list]);
  const columns = useMemo(
    (): Column<Cluster>[] => [
      {
        id: "name",
        title: t("clusters.name"),
        sort: "name",
        width: 180,
        grow: 2,
        always: true,
        cell: (r) => (
          <Link to={paths.cluster} params={{ cluster: r.name }} search={{ project }}>
            <MiddleTruncate text={r.name} />
          </Link>
        ),
      },
      {
        id: "state",
        title: t("clusters.state"),
        sort: "state",
        width: 170,
        cell: (r) => <ConnectionText state={connectionOf(r)} lastSeen={r.lastSeen} />,
      },
      {
        id: "applications",
        title: t("clusters.applications"),
        sort: "apps",
        width: 128,
        number: true,
        cell: (r) => format.number(r.applications),
      },
      {
        id: "nodes",
        title: t("clusters.nodes"),
        sort: "nodes",
        width: 80,
        number: true,
        cell: (r) => (r.nodes === undefined ? "–" : format.number(r.nodes)),
      },
      {
        id: "kubernetes",
        title: t("clusters.version"),
        sort: "kubernetes",
        width: 120,
        cell: (r) => <PlainText text={r.kubeVersion ?? "–"} />,
      },
      {
        id: "agent",
        title: t("clusters.agent"),
        sort: "agent",
        width: 120,
        cell: (r) => <PlainText text={r.agentVersion ?? "–"} />,
      },
      {
        id: "labels",
        title: t("clusters.labels"),
        width: 160,
        grow: 2,
        cell: (r) => (
          <PlainText
            text={Object.entries(r.labels ?? {})
              .map(([k, v]) => `${k}=${v}`)
              .join("  ")}
          />
        ),
      },
      {
        id: "enrolled",
        title: t("clusters.enrolled"),
        sort: "enrolled",
        width: 120,
        cell: (r) => (r.enrolledAt === undefined ? "–" : <RelativeTime at={r.enrolledAt} />),
      },
    ],
    [t, format, project],
  );
  const enrol = (
    <Button component={Link} to={paths.enrol} search={{ project } as never}>
      {t("clusters.enrol")}
    </Button>
  );
  return (
    <Page title={t("clusters.title")} actions={enrol}>
      {last?.partial !== undefined && (
        <PartialBanner>{t("clusters.partial", { time: format.time(last.asOf) })}</PartialBanner>
      )}
      <Bar q={q} onChange={(v) => change({ q: v })} problem={mistaken ? problem : undefined}>
        {first?.facets?.state !== undefined && (
          <Facet values={first.facets.state.values} q={q} onChange={(v) => change({ q: v })} />
        )}
        {last !== undefined && <span className={classes.total}>{t("clusters.total", { n: last.total })}</span>}
      </Bar>
      {list.isPending ? (
        <LoadingView />
      ) : problem !== undefined && rows.length === 0 ? (
        !mistaken && <ErrorView error={problem} onRetry={() => void list.refetch()} />
      ) : rows.length === 0 ? (
        q === "" ? (
          <EmptyView
            title={
              project === undefined ? t("clusters.empty") : t("clusters.emptyProject", { project: plainLine(project) })
            }
            actions={enrol}
          >
            <p>{t("clusters.emptyText")}</p>
            <CliLine
              command={cli("hawser", "cluster", "enroll", "NAME", project !== undefined && "--project", project)}
            />
          </EmptyView>
        ) : (
          <NothingMatches q={q} project={project} onChange={(v) => change({ q: v })} />
        )
      ) : (
        <div className={classes.table}>
          <DataTable
            label={t("clusters.title")}
            columns={columns}
            rows={rows}
            rowKey={(r) => r.id}
            total={last?.total}
            onMore={more}
            loadingMore={list.isFetchingNextPage}
            sort={sort ?? "name"}
            onSort={(s) => change({ sort: s === "name" ? undefined : s })}
            stale={(r) => !r.connected}
            compact={(r) => (
              <CompactCell
                name={
                  <Link to={paths.cluster} params={{ cluster: r.name }} search={{ project }} tabIndex={-1}>
                    <MiddleTruncate text={r.name} most={26} />
                  </Link>
                }
                signs={<ConnectionText state={connectionOf(r)} lastSeen={r.lastSeen} />}
                more={
                  <PlainText
                    text={[
                      `${t("clusters.applications")}: ${format.number(r.applications)}`,
                      r.kubeVersion ?? "",
                      ...Object.entries(r.labels ?? {}).map(([k, v]) => `${k}=${v}`),
                    ]
                      .filter((s) => s !== "")
                      .join(" · ")}
                  />
                }
              />
            )}
            onOpen={(r) => void go({ to: paths.cluster, params: { cluster: r.name }, search: { project } })}
          />
        </div>
      )}
    </Page>
  );
}

function NothingMatches({
  q,
  project,
  onChange,
}: {
  q: string;
  project: string | undefined;
  onChange: (q: string | undefined) => void;
}) {
  const why = useQuery(emptinessQuery(q, project));
  return (
    <FilteredEmpty
      total={why.data?.total ?? 0}
      drop={why.data?.drop}
      onDrop={(term) => onChange(without(q, term) || undefined)}
      onClear={() => onChange(undefined)}
    />
  );
}

/** States with their numbers, each a switch for its term of the filter. */
function Facet({
  values,
  q,
  onChange,
}: {
  values: Record<string, number>;
  q: string;
  onChange: (q: string | undefined) => void;
}) {
  const t = useT();
  const chosen = terms(q);
  return (
    // biome-ignore lint/a11y/useSemanticElements: no fieldset
    <div className={classes.facets} role="group" aria-label={t("clusters.state")}>
      {Object.entries(values)
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([v, n]) => {
          const term = `state:${v}`;
          const on = chosen.includes(term);
          const rest = chosen.filter((x) => !x.startsWith("state:"));
          return (
            <button
              key={v}
              type="button"
              className={classes.facet}
              aria-pressed={on}
              onClick={() => onChange((on ? rest : [...rest, term]).join(" ") || undefined)}
            >
              {t("clusters.facet", { what: t(`ui.connection.${connectionWord(v)}`), n })}
            </button>
          );
        })}
    </div>
  );
}

/** The filter; it counts when somebody has stopped writing for a moment. */
function Bar({
  q,
  onChange,
  problem,
  children,
}: {
  q: string;
  onChange: (q: string | undefined) => void;
  problem: Problem | undefined;
  children: React.ReactNode;
}) {
  const t = useT();
  const [text, setText] = useState(q);
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => setText(q), [q]);
  useChord("/", t("clusters.chord.filter"), t("clusters.title"), () => box.current?.focus());
  const latest = useRef(onChange);
  useEffect(() => {
    latest.current = onChange;
  });
  useEffect(() => {
    if (text.trim() === q) return;
    const timer = setTimeout(() => latest.current(text.trim() === "" ? undefined : text.trim()), 250);
    return () => clearTimeout(timer);
  }, [text, q]);
  return (
    <div className={classes.bar}>
      <TextInput
        ref={box}
        className={classes.filter}
        aria-label={t("clusters.filter")}
        placeholder={t("clusters.filter.example")}
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        onKeyDown={(e) => {
          if (e.key !== "Escape") return;
          if (text === "") e.currentTarget.blur();
          else setText("");
        }}
        error={problem !== undefined && <PlainText text={problem.message} lines={2} />}
        spellCheck={false}
        autoComplete="off"
      />
      {children}
    </div>
  );
}

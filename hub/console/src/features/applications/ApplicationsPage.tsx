import { Button } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useFormat, useT } from "../../i18n";
import { Problem } from "../../problem";
import { paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { CopyButton } from "../../ui/CopyButton";
import { useChord, useCommand } from "../../ui/chords";
import { DataTable } from "../../ui/DataTable";
import { Icon } from "../../ui/Icon";
import { Page } from "../../ui/Page";
import { PlainText } from "../../ui/PlainText";
import { cli } from "../../ui/shell";
import { EmptyView, ErrorView, FilteredEmpty, LoadingView, PartialBanner } from "../../ui/states";
import { toast } from "../../ui/toast";
import classes from "./ApplicationsPage.module.css";
import { BulkBar } from "./BulkBar";
import { BulkDialog } from "./BulkDialog";
import type { BulkKind, Target } from "./bulk";
import { applicationColumns, CompactRow, columnsParameter, columnsShown, fieldsFor, isStale } from "./columns";
import { FacetPane, facetKeys } from "./FacetPane";
import { FilterBox } from "./FilterBox";
import { termsOf, toggled, without } from "./filter";
import { GroupMenu, GroupTitle } from "./GroupMenu";
import { groupKeyOf, openOf, openParameter } from "./groups";
import { dropQuery, labelNamesQuery, rowsQuery, savedViewsQuery, totalQuery } from "./queries";
import { SavedViews } from "./SavedViews";
import { useApplications } from "./useApplications";
import { useGroups } from "./useGroups";
import { firstView, isBare, keptOf } from "./views";

const NewApplication = lazy(async () => ({ default: (await import("./new/NewApplication")).NewApplication }));

const route = getRouteApi(paths.applications);

/** Applications: one filter, counts over what it finds, and as many rows as there are. */
export function ApplicationsPage() {
  const t = useT();
  const format = useFormat();
  const client = useQueryClient();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { project, q: filter } = search;
  const sort = search.sort ?? "name";
  const shown = useMemo(() => columnsShown(search.cols), [search.cols]);
  const fields = fieldsFor(shown);
  const labels = useMemo(() => (search.labels ?? "").split(",").filter((l) => l !== ""), [search.labels]);
  const facets = [...facetKeys, ...labels.map((l) => `label:${l}`)].join(",");
  const list = useMemo(() => ({ project, filter, sort, fields }), [project, filter, sort, fields]);
  const flat = useApplications(list, facets);
  const { rows, counts, total, partial } = flat;
  const key = groupKeyOf(search.group);
  const grouped = useGroups(
    list,
    key,
    useCallback((order: readonly string[]) => openOf(search.open, order), [search.open]),
  );
  const items =
    key === undefined ? flat.items : grouped.groups.flatMap((g) => (grouped.open.has(g.value) ? g.rows : []));
  const { changes, apply } = key === undefined ? flat : grouped;
  const itemNames = items.map((r) => r.name).join("\n");
  const labelNames = useQuery(labelNamesQuery(project));
  const everything = useQuery(totalQuery({ project }));

  const views = useQuery(savedViewsQuery());
  const first = firstView(views.data ?? [], project);
  const opens = first !== undefined && !isBare(first.search);
  const change = useCallback(
    (what: Partial<typeof search>, replace = true) =>
      void navigate({
        to: paths.applications,
        // Whoever clears what the list opened with means everything, also after a reload.
        search: (old) => {
          const next = { ...old, ...what };
          return { ...next, view: opens && isBare(next) ? ("all" as const) : undefined };
        },
        replace,
      }),
    [navigate, opens],
  );
  // An address that says nothing becomes that of the view that the list opens with.
  const opened = useRef<string>(undefined);
  useEffect(() => {
    if (views.isPending || opened.current === (project ?? "")) return;
    opened.current = project ?? "";
    if (opens && search.view === undefined && isBare(search)) change(keptOf(first.search));
  }, [views.isPending, project, opens, search, first, change]);
  const setFilter = useCallback((q: string) => change({ q: q.trim() === "" ? undefined : q.trim() }), [change]);
  const tryFilter = useCallback(
    (q: string) => client.fetchInfiniteQuery(rowsQuery({ ...list, filter: q === "" ? undefined : q })),
    [client, list],
  );
  const columns = useMemo(
    () => applicationColumns(t, { project, filter, sort: search.sort }),
    [t, project, filter, search.sort],
  );
  const group = t("applications.title");
  useChord("r", t("applications.changes.apply"), group, apply, changes > 0);
  useCommand(t("applications.new"), group, () => change({ dialog: "new" }, false));
  const { fetchNextPage, isFetchingNextPage } = rows;
  const more = useCallback(() => {
    if (!isFetchingNextPage) void fetchNextPage();
  }, [fetchNextPage, isFetchingNextPage]);

  // A selection is of a list: of another one there is none. With a query all are
  // selected that it finds, also those that are not loaded.
  const of = `${project ?? ""}\n${filter ?? ""}`;
  const [selection, setSelection] = useState<{ of: string; names: ReadonlySet<string>; query?: Target["query"] }>({
    of,
    names: new Set(),
  });
  const [command, setCommand] = useState<BulkKind>();
  const mine = selection.of === of ? selection : { of, names: new Set<string>(), query: undefined };
  const everyRow = useMemo(() => new Set(itemNames === "" ? [] : itemNames.split("\n")), [itemNames]);
  const selected = mine.query === undefined ? mine.names : everyRow;
  const target: Target = mine.query === undefined ? { names: [...mine.names].sort() } : { query: mine.query };
  const found = counts.data?.total ?? total;
  const clear = () => setSelection({ of, names: new Set() });

  const counted = useMemo(
    () => Object.fromEntries(Object.entries(counts.data?.facets ?? {}).map(([k, f]) => [k, f.values])),
    [counts.data],
  );
  const staleCount = (counted.freshness?.stale ?? 0) + (counted.freshness?.never ?? 0);
  const asksFreshness = /(^|\s)-?(freshness|is|not):/.test(filter ?? "");
  const pane = search.facets === "on" || (search.facets === undefined && "auto");
  const problem = rows.isError ? Problem.of(rows.error) : undefined;
  const misread = problem?.code === "filter_invalid";
  const none = rows.isSuccess && !rows.isPlaceholderData && total === 0;

  return (
    <Page
      fill
      title={t("applications.title")}
      actions={<Button onClick={() => change({ dialog: "new" }, false)}>{t("applications.new")}</Button>}
      status={
        rows.isSuccess && everything.data !== undefined ? (
          <span>
            {filter === undefined
              ? t("applications.total", { total: counts.data?.total ?? total })
              : t("applications.found", { found: counts.data?.total ?? total, total: everything.data })}
          </span>
        ) : undefined
      }
    >
      <div className={classes.bar}>
        <Button
          variant="default"
          aria-pressed={pane !== false}
          leftSection={<Icon name="filter" size={14} />}
          onClick={() => {
            const visible = pane === true || (pane === "auto" && window.matchMedia("(min-width: 1025px)").matches);
            change({ facets: visible ? "off" : "on" });
          }}
        >
          {t("applications.facets")}
        </Button>
        <SavedViews
          search={keptOf(search)}
          project={project}
          onChoose={(v) =>
            change(
              {
                q: undefined,
                sort: undefined,
                cols: undefined,
                labels: undefined,
                group: undefined,
                open: undefined,
                ...v,
              },
              false,
            )
          }
        />
        <GroupMenu
          value={key}
          labels={labelNames.data ?? []}
          onChange={(group) => change({ group, open: undefined })}
          onOpen={
            grouped.order.length === 0
              ? undefined
              : (all) => change({ open: openParameter(new Set(all ? grouped.order : []), grouped.order) })
          }
        />
        <FilterBox
          value={filter ?? ""}
          onChange={setFilter}
          onTry={tryFilter}
          counted={counted}
          labels={labelNames.data ?? []}
        />
      </div>
      {partial !== undefined && (
        <PartialBanner>
          <PlainText text={partial.detail} lines={2} />
        </PartialBanner>
      )}
      {staleCount > 0 && !asksFreshness && (
        <PartialBanner
          action={
            <Button variant="subtle" size="compact-xs" onClick={() => setFilter(toggled(filter ?? "", "is", "stale"))}>
              {t("applications.stale.show")}
            </Button>
          }
        >
          {t("applications.stale", { n: staleCount })}
        </PartialBanner>
      )}
      <div className={classes.body} data-pane={pane === true ? "on" : pane || undefined}>
        {pane !== false && (
          <FacetPane
            filter={filter ?? ""}
            facets={counts.data?.facets ?? {}}
            labels={labels}
            labelNames={labelNames.data ?? []}
            onFilter={setFilter}
            onLabels={(l) => change({ labels: l.length === 0 ? undefined : l.join(",") })}
          />
        )}
        <div className={classes.main}>
          {rows.isPending ? (
            <LoadingView />
          ) : key !== undefined && grouped.failed !== undefined && !rows.isError ? (
            <ErrorView error={grouped.failed} onRetry={grouped.apply} />
          ) : key !== undefined && grouped.counts.isPending ? (
            <LoadingView />
          ) : rows.isError ? (
            misread ? (
              <EmptyView
                title={t("applications.filter.invalid")}
                actions={<Button onClick={() => setFilter("")}>{t("ui.filteredEmpty.clear")}</Button>}
              >
                <p>
                  <PlainText text={problem?.message ?? ""} lines={4} />
                </p>
              </EmptyView>
            ) : (
              <ErrorView error={rows.error} onRetry={() => void rows.refetch()} />
            )
          ) : none && filter !== undefined ? (
            <NothingFound project={project} filter={filter} total={everything.data ?? 0} onFilter={setFilter} />
          ) : none ? (
            <EmptyView
              title={project === undefined ? t("applications.empty") : t("applications.emptyProject")}
              actions={
                <Button component={Link} {...({ to: paths.clusters, search: { project } } as object)} variant="default">
                  {t("applications.empty.clusters")}
                </Button>
              }
            >
              <p>{t("applications.empty.what")}</p>
              <CliLine
                command={cli(
                  "hawser",
                  "app",
                  "create",
                  "shop",
                  "--repo",
                  "https://git.example.com/shop.git",
                  "--path",
                  "deploy",
                  "--dest-name",
                  "eu",
                  ...(project === undefined ? [] : ["--project", project]),
                )}
              />
            </EmptyView>
          ) : (
            <>
              <DataTable
                label={t("applications.title")}
                columns={columns}
                rows={items}
                rowKey={(r) => r.name}
                total={total}
                onMore={rows.hasNextPage ? more : undefined}
                loadingMore={isFetchingNextPage}
                sort={sort}
                onSort={(s) => change({ sort: s === "name" ? undefined : s })}
                hidden={columns.filter((c) => !c.always && !shown.includes(c.id)).map((c) => c.id)}
                onHidden={(hidden) =>
                  change({
                    cols: columnsParameter(columns.map((c) => c.id).filter((c) => c !== "name" && !hidden.includes(c))),
                  })
                }
                onOpen={(r) =>
                  void navigate({
                    to: paths.application,
                    params: { application: r.name },
                    search: { project, in: filter, order: search.sort },
                  })
                }
                stale={isStale}
                compact={(r) => <CompactRow row={r} list={{ project, filter, sort: search.sort }} />}
                sections={
                  key === undefined
                    ? undefined
                    : grouped.groups.map((g) => ({
                        key: g.value,
                        title: <GroupTitle of={key} value={g.value} />,
                        count: format.number(g.count),
                        open: grouped.open.has(g.value),
                        rows: g.rows,
                        more: g.more,
                      }))
                }
                onSection={(value, on) => {
                  const open = new Set(grouped.open);
                  if (on) open.add(value);
                  else open.delete(value);
                  change({ open: openParameter(open, grouped.order) });
                }}
                onMoreOf={(value) => {
                  if (grouped.groups.find((g) => g.value === value)?.busy === false) grouped.more(value);
                }}
                selected={selected}
                onSelected={(names) => setSelection({ of, names })}
              />
              {(mine.query !== undefined || mine.names.size > 0) && (
                <BulkBar
                  target={target}
                  count={mine.query === undefined ? mine.names.size : found}
                  total={found}
                  onAll={() => setSelection({ of, names: new Set(), query: { filter: filter ?? "", project } })}
                  onCommand={setCommand}
                  onClear={clear}
                />
              )}
              <div className={classes.foot}>
                <span>
                  {key === undefined
                    ? t("applications.loaded", { loaded: items.length, total })
                    : t("applications.groups", { n: grouped.order.length, total })}
                  {key !== undefined &&
                    grouped.others > 0 &&
                    ` ${t("applications.groups.others", { n: grouped.others })}`}
                </span>
                <span className={classes.changes} role="status">
                  {changes > 0 && (
                    <>
                      {t("applications.changes", { n: changes })}
                      <Button variant="subtle" size="compact-xs" onClick={apply} rightSection={<kbd>r</kbd>}>
                        {t("applications.changes.apply")}
                      </Button>
                    </>
                  )}
                </span>
                <CopyButton
                  label={t("ui.cli.copy")}
                  value={cli(
                    "hawser",
                    "app",
                    "list",
                    ...(filter === undefined ? [] : ["--filter", filter]),
                    ...(project === undefined ? [] : ["--project", project]),
                    ...(search.sort === undefined ? [] : [`--sort-by=${search.sort}`]),
                  )}
                />
              </div>
            </>
          )}
        </div>
      </div>
      {command !== undefined && (
        <BulkDialog
          kind={command}
          target={target}
          onClose={() => setCommand(undefined)}
          onStarted={(job) => {
            clear();
            toast(t("applications.bulk.started", { n: job.total }));
            void navigate({ to: paths.job, params: { job: job.id }, search: { project } });
          }}
        />
      )}
      {search.dialog === "new" && (
        <Suspense>
          <NewApplication project={project} onClose={() => change({ dialog: undefined })} />
        </Suspense>
      )}
    </Page>
  );
}

/** There are applications, and the filter finds none: which of its terms is too much. */
function NothingFound({
  project,
  filter,
  total,
  onFilter,
}: {
  project: string | undefined;
  filter: string;
  total: number;
  onFilter: (filter: string) => void;
}) {
  const drop = useQuery(dropQuery({ project, filter }));
  const best = drop.data ?? undefined;
  return (
    <FilteredEmpty
      total={total}
      drop={
        best === undefined || termsOf(filter).length < 2 ? undefined : { term: best.term.text, leaves: best.leaves }
      }
      onDrop={() => best !== undefined && onFilter(without(filter, best.term))}
      onClear={() => onFilter("")}
    />
  );
}

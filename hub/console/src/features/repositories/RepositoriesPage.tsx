import { Button } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";
import type { Repository } from "../../api/types";
import { Problem } from "../../client";
import { useFormat, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { CompactCell } from "../../ui/CompactCell";
import { type Column, DataTable } from "../../ui/DataTable";
import { FilterInput } from "../../ui/FilterInput";
import layout from "../../ui/layout.module.css";
import { Page } from "../../ui/Page";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { RelativeTime } from "../../ui/RelativeTime";
import { WithSheet } from "../../ui/SideSheet";
import { EmptyView, ErrorView, FilteredEmpty, LoadingView, PartialBanner } from "../../ui/states";
import { TabBar, tabClass } from "../../ui/TabBar";
import { without } from "../../ui/terms";
import { AddRepository } from "./AddRepository";
import { emptinessQuery, repositoriesQuery } from "./queries";
import { RepositorySheet } from "./RepositorySheet";
import { RepositoryState } from "./RepositoryState";
import { AddTemplateSheet, TemplateSheet, Templates } from "./Templates";

const route = getRouteApi(paths.repositories);

/** Repositories and credential templates, a tab for each. */
export function RepositoriesPage() {
  return route.useSearch().tab === "templates" ? <TemplatesPage /> : <List />;
}

function Tabs() {
  const t = useT();
  const { project, tab } = route.useSearch();
  return (
    <TabBar label={t("repositories.tabs")}>
      {([undefined, "templates"] as const).map((x) => (
        <Link
          key={x ?? ""}
          to={paths.repositories}
          search={{ project, tab: x }}
          className={tabClass}
          activeOptions={{ includeSearch: true, explicitUndefined: true }}
          aria-current={x === tab ? "page" : undefined}
        >
          {t(x === undefined ? "repositories.title" : "repositories.templates")}
        </Link>
      ))}
    </TabBar>
  );
}

function TemplatesPage() {
  const t = useT();
  const { project, sel, sheet } = route.useSearch();
  const navigate = route.useNavigate();
  const show = (next: { sel?: string; sheet?: "add" }) =>
    void navigate({ search: (old) => ({ ...old, sel: undefined, sheet: undefined, ...next }) });
  return (
    <Page title={t("repositories.title")}>
      <Tabs />
      <WithSheet
        sheet={
          sheet === "add" ? (
            <AddTemplateSheet project={project} onClose={() => show({})} />
          ) : sel !== undefined ? (
            <TemplateSheet key={sel} id={sel} onClose={() => show({})} />
          ) : undefined
        }
      >
        <Templates onEdit={(id) => show({ sel: id })} onAdd={() => show({ sheet: "add" })} />
      </WithSheet>
    </Page>
  );
}

/** All repositories as rows, with how each answers. */
function List() {
  const t = useT();
  const format = useFormat();
  const { project, q = "", sort, sel, sheet } = route.useSearch();
  const navigate = route.useNavigate();
  const list = useInfiniteQuery(repositoriesQuery({ filter: q, project, sort }));
  const set = useCallback(
    (next: { q?: string; sort?: string; sel?: string; sheet?: "add" }) =>
      void navigate({ search: (old) => ({ ...old, ...next }), replace: "q" in next }),
    [navigate],
  );
  const rows = useMemo(() => list.data?.pages.flatMap((p) => p.items) ?? [], [list.data]);
  const last = list.data?.pages.at(-1);
  const failing = list.data?.pages[0]?.facets?.state?.values.error ?? 0;
  const problem = list.isError ? Problem.of(list.error) : undefined;
  const mistaken = problem?.status === 400 && q !== "";
  const nothing = !list.isPending && rows.length === 0 && problem === undefined;
  const empty = useQuery({ ...emptinessQuery(q, project), enabled: nothing && q !== "" });
  const columns = useMemo(
    (): Column<Repository>[] => [
      {
        id: "url",
        title: t("repositories.url"),
        sort: "url",
        width: 260,
        grow: 3,
        always: true,
        cell: (r) => <MiddleTruncate text={r.url} most={70} />,
      },
      {
        id: "state",
        title: t("repositories.state"),
        sort: "state",
        width: 170,
        grow: 2,
        cell: (r) => <RepositoryState repository={r} />,
      },
      { id: "type", title: t("repositories.type"), sort: "type", width: 80, cell: (r) => <PlainText text={r.type} /> },
      {
        id: "project",
        title: t("repositories.field.project"),
        sort: "project",
        width: 120,
        cell: (r) => (r.project ? <MiddleTruncate text={r.project} /> : "–"),
      },
      {
        id: "credential",
        title: t("repositories.way"),
        width: 150,
        grow: 1,
        cell: (r) => (
          <PlainText text={r.inheritedFrom ? t("repositories.inherited") : r.credential?.kinds?.join(", ") || "–"} />
        ),
      },
      {
        id: "checked",
        title: t("repositories.checked"),
        width: 130,
        cell: (r) => (r.lastCheck === undefined ? t("ui.never") : <RelativeTime at={r.lastCheck} />),
      },
    ],
    [t],
  );
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const add = <Button onClick={() => set({ sheet: "add", sel: undefined })}>{t("repositories.add")}</Button>;
  return (
    <Page title={t("repositories.title")} actions={add}>
      <Tabs />
      {last?.partial !== undefined && (
        <PartialBanner>{t("repositories.partial", { time: format.time(last.asOf) })}</PartialBanner>
      )}
      <div className={layout.bar}>
        <FilterInput
          className={layout.filter}
          value={q}
          onChange={(v) => set({ q: v })}
          label={t("repositories.filter")}
          placeholder={t("repositories.filter.example")}
          problem={mistaken ? problem?.message : undefined}
        />
        {failing > 0 && q !== "state:error" && (
          <Button variant="default" onClick={() => set({ q: "state:error" })}>
            {t("repositories.failing", { n: failing })}
          </Button>
        )}
        {last !== undefined && <span className={layout.end}>{t("repositories.total", { n: last.total })}</span>}
      </div>
      <WithSheet
        sheet={
          sheet === "add" ? (
            <AddRepository project={project} onClose={() => set({ sheet: undefined })} />
          ) : sel !== undefined ? (
            <RepositorySheet id={sel} project={project} onClose={() => set({ sel: undefined })} />
          ) : undefined
        }
      >
        {list.isPending ? (
          <LoadingView />
        ) : problem !== undefined && rows.length === 0 ? (
          !mistaken && <ErrorView error={problem} onRetry={() => void list.refetch()} />
        ) : nothing ? (
          q === "" ? (
            <EmptyView title={t("repositories.empty")} actions={add}>
              <p>{t("repositories.empty.what")}</p>
              <CliLine command="hawser repo add https://git.example.com/team/app.git" />
            </EmptyView>
          ) : (
            <FilteredEmpty
              total={empty.data?.total ?? 0}
              drop={empty.data?.drop}
              onDrop={(term) => set({ q: without(q, term) || undefined })}
              onClear={() => set({ q: undefined })}
            />
          )
        ) : (
          <div className={layout.table}>
            <DataTable
              label={t("repositories.title")}
              columns={columns}
              rows={rows}
              rowKey={(r) => r.id}
              total={last?.total}
              onMore={more}
              loadingMore={isFetchingNextPage}
              sort={sort ?? "url"}
              onSort={(s) => set({ sort: s })}
              onOpen={(r) => set({ sel: r.id, sheet: undefined })}
              current={sel}
              compact={(r) => (
                <CompactCell
                  name={<MiddleTruncate text={r.url.replace(/^[a-z+]+:\/\//, "")} most={40} />}
                  more={<RepositoryState repository={r} />}
                />
              )}
            />
          </div>
        )}
      </WithSheet>
    </Page>
  );
}

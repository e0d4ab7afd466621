import { Button, CloseButton, SegmentedControl, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useDeferredValue, useMemo, useRef } from "react";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { healthState } from "../../../ui/applicationState";
import { CliLine } from "../../../ui/CliLine";
import { useChord } from "../../../ui/chords";
import { Icon } from "../../../ui/Icon";
import { useStateWord } from "../../../ui/StatusIcon";
import { cli } from "../../../ui/shell";
import { EmptyView, ErrorView, FilteredEmpty, LoadingView, PartialBanner } from "../../../ui/states";
import { isStale, worstFirst } from "../facets";
import { applicationQuery, treeQuery } from "../queries";
import { FacetMenu } from "./FacetMenu";
import { countBy, isEmpty, listOf, matches, type ObjectFilter, syncWord, whatEmpties, withAncestors } from "./filter";
import { nodesOf } from "./group";
import { forestOf } from "./items";
import { ListView } from "./ListView";
import { PodsView } from "./PodsView";
import classes from "./Resources.module.css";
import { TreeView } from "./TreeView";

const route = getRouteApi(paths.application);

type Search = ReturnType<typeof route.useSearch>;

/** The objects of an application as a tree, a list, or its pods; with one filter for all three. */
export default function Resources({ name }: { name: string }) {
  const t = useT();
  const word = useStateWord();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const app = useQuery(applicationQuery(name)).data;
  const tree = useQuery(treeQuery(name));
  const box = useRef<HTMLInputElement>(null);
  const view = search.view ?? "tree";
  const set = (change: Partial<Search>, replace = true) =>
    void navigate({ search: (old) => ({ ...old, ...change }), replace });

  const forest = useMemo(() => forestOf({ resources: app?.resources }, tree.data), [app?.resources, tree.data]);
  // Typing stays smooth while many objects are looked through.
  const q = useDeferredValue(search.q);
  const { kind, health, sync } = search;
  const filter = useMemo<ObjectFilter>(
    () => ({ q, kinds: listOf(kind), healths: listOf(health), syncs: listOf(sync) }),
    [q, kind, health, sync],
  );
  const matched = useMemo(() => matches(forest.items, filter), [forest, filter]);
  const shown = useMemo(() => withAncestors(forest, matched), [forest, matched]);
  const nodes = useMemo(
    () => nodesOf(forest, shown, search.group !== "off", new Set(listOf(search.open))),
    [forest, shown, search.group, search.open],
  );

  const group = t("application.resources");
  useChord("/", t("application.resources.search"), group, () => box.current?.focus());
  useChord("t", t("application.resources.toggle"), group, () =>
    set({ view: view === "tree" ? "list" : undefined }, false),
  );

  if (app === undefined) return null;
  if (tree.isPending) return <LoadingView />;
  if (tree.data === undefined && forest.items.length === 0)
    return <ErrorView error={tree.error} onRetry={() => void tree.refetch()} />;

  const clear = { q: undefined, kind: undefined, health: undefined, sync: undefined };
  const drop = matched.size === 0 ? whatEmpties(forest.items, filter) : undefined;
  const partTitle = {
    q: search.q ?? "",
    kind: t("application.resources.kind"),
    health: t("application.facet.health"),
    sync: t("application.facet.sync"),
  };
  const asOf = isStale(app.freshness) ? (app.observedAt ?? "") : undefined;
  const shownItems = forest.items.filter((i) => matched.has(i.key));
  return (
    <div className={classes.resources}>
      {tree.isError && <PartialBanner>{t("application.resources.treeFailed")}</PartialBanner>}
      {tree.data?.truncated && (
        <PartialBanner>{t("application.resources.truncated", { n: tree.data.nodes.length })}</PartialBanner>
      )}
      {tree.data?.orphaned !== undefined && (tree.data.orphanedTotal ?? 0) > tree.data.orphaned.length && (
        <PartialBanner>
          {t("application.resources.orphanedMore", {
            n: tree.data.orphaned.length,
            total: tree.data.orphanedTotal ?? 0,
          })}
        </PartialBanner>
      )}
      <search className={classes.toolbar}>
        <TextInput
          ref={box}
          className={classes.search}
          aria-label={t("application.resources.search")}
          placeholder={t("application.resources.search")}
          leftSection={<Icon name="search" size={14} />}
          rightSection={
            search.q !== undefined && (
              <CloseButton size="xs" aria-label={t("ui.filteredEmpty.clear")} onClick={() => set({ q: undefined })} />
            )
          }
          value={search.q ?? ""}
          onChange={(e) => set({ q: e.currentTarget.value || undefined })}
          onKeyDown={(e) => {
            if (e.key !== "Escape") return;
            e.stopPropagation();
            e.currentTarget.blur();
          }}
          spellCheck={false}
        />
        <FacetMenu
          title={t("application.resources.kind")}
          words={countBy(forest.items, (i) => i.object.kind)}
          chosen={filter.kinds}
          onChange={(list) => set({ kind: list.join(",") || undefined })}
        />
        <FacetMenu
          title={t("application.facet.health")}
          words={countBy(forest.items, (i) => i.health).sort(
            (a, b) => worstFirst.indexOf(a[0] as never) - worstFirst.indexOf(b[0] as never),
          )}
          label={(w) => word(healthState(w))}
          chosen={filter.healths}
          onChange={(list) => set({ health: list.join(",") || undefined })}
        />
        <FacetMenu
          title={t("application.facet.sync")}
          words={countBy(forest.items, syncWord)}
          label={(w) => t("application.resources.syncWord", { word: w })}
          chosen={filter.syncs}
          onChange={(list) => set({ sync: list.join(",") || undefined })}
        />
        {!isEmpty(filter) && (
          <Button variant="subtle" size="compact-xs" onClick={() => set(clear)}>
            {t("ui.filteredEmpty.clear")}
          </Button>
        )}
        <span className={classes.space} />
        {view === "tree" && forest.items.length > 0 && (
          <Button
            variant="subtle"
            size="compact-xs"
            onClick={() => set({ group: search.group === "off" ? undefined : "off", open: undefined })}
          >
            {search.group === "off" || search.open !== undefined
              ? t("application.resources.regroup")
              : t("application.resources.grouped", { objects: shown.size, nodes: nodes.length - 1 })}
          </Button>
        )}
        <SegmentedControl
          aria-label={t("application.resources.view")}
          value={view}
          onChange={(v) => set({ view: v === "tree" ? undefined : (v as "list" | "pods") }, false)}
          data={[
            { value: "tree", label: t("application.resources.tree") },
            { value: "list", label: t("application.resources.list") },
            { value: "pods", label: t("application.resources.pods") },
          ]}
        />
      </search>
      {forest.items.length === 0 ? (
        <EmptyView
          title={t("application.resources.empty")}
          actions={<CliLine command={cli("hawser", "app", "sync", name)} />}
        >
          <p>{t("application.resources.emptyBody")}</p>
        </EmptyView>
      ) : matched.size === 0 ? (
        <FilteredEmpty
          total={forest.items.length}
          drop={drop && { term: partTitle[drop.part], leaves: drop.leaves }}
          onDrop={() => drop && set({ [drop.part]: undefined })}
          onClear={() => set(clear)}
        />
      ) : view === "list" ? (
        <ListView items={shownItems} asOf={asOf} />
      ) : view === "pods" ? (
        <PodsView forest={forest} items={shownItems} asOf={asOf} />
      ) : (
        <TreeView app={app} nodes={nodes} matched={matched} asOf={asOf} />
      )}
    </div>
  );
}

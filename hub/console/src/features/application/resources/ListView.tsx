import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { type Column, DataTable } from "../../../ui/DataTable";
import { MiddleTruncate, PlainText } from "../../../ui/PlainText";
import { RelativeTime } from "../../../ui/RelativeTime";
import { healthRank } from "../facets";
import { syncWord } from "./filter";
import type { Item } from "./items";
import { ObjectHealth, ObjectSync } from "./ObjectState";

const route = getRouteApi(paths.application);

const keys: Record<string, (i: Item) => string | number> = {
  kind: (i) => i.object.kind,
  name: (i) => i.object.name,
  namespace: (i) => i.object.namespace ?? "",
  health: (i) => healthRank(i.health),
  sync: syncWord,
  created: (i) => i.createdAt ?? "",
};

/** Items in an order of the table; without one as they come, which is by owner. */
export function sorted(items: readonly Item[], sort: string | undefined): readonly Item[] {
  const key = keys[sort?.replace(/^-/, "") ?? ""];
  if (key === undefined) return items;
  const sign = sort?.startsWith("-") ? -1 : 1;
  return items
    .map((item, i) => ({ item, i, k: key(item) }))
    .sort((a, b) => (a.k < b.k ? -sign : a.k > b.k ? sign : a.i - b.i))
    .map((x) => x.item);
}

/** The objects one below the other. */
export function ListView({ items, asOf }: { items: readonly Item[]; asOf?: string }) {
  const t = useT();
  const navigate = route.useNavigate();
  const search = route.useSearch();
  const sort = search.sort;
  const rows = useMemo(() => sorted(items, sort), [items, sort]);
  const columns = useMemo<Column<Item>[]>(
    () => [
      {
        id: "kind",
        title: t("application.resources.kind"),
        width: 130,
        sort: "kind",
        cell: (i) => <MiddleTruncate text={i.object.kind} most={24} />,
      },
      {
        id: "name",
        title: t("application.resources.name"),
        width: 180,
        grow: 2,
        sort: "name",
        always: true,
        cell: (i) => <MiddleTruncate text={i.object.name} most={56} />,
      },
      {
        id: "namespace",
        title: t("application.fact.namespace"),
        width: 120,
        sort: "namespace",
        cell: (i) => <MiddleTruncate text={i.object.namespace ?? ""} most={20} />,
      },
      {
        id: "health",
        title: t("application.facet.health"),
        width: 140,
        sort: "health",
        cell: (i) => <ObjectHealth item={i} asOf={asOf} />,
      },
      {
        id: "sync",
        title: t("application.facet.sync"),
        width: 130,
        sort: "sync",
        cell: (i) => <ObjectSync item={i} asOf={asOf} />,
      },
      {
        id: "message",
        title: t("application.resources.message"),
        width: 140,
        grow: 3,
        cell: (i) => <PlainText text={i.message || i.info.map((x) => `${x.name} ${x.value}`).join(" · ")} />,
      },
      {
        id: "created",
        title: t("application.resources.age"),
        width: 72,
        number: true,
        sort: "created",
        cell: (i) => i.createdAt !== undefined && <RelativeTime at={i.createdAt} short />,
      },
    ],
    [t, asOf],
  );
  return (
    <DataTable
      label={t("application.resources")}
      columns={columns}
      rows={rows}
      rowKey={(i) => i.key}
      sort={sort}
      onSort={(next) => void navigate({ search: (old) => ({ ...old, sort: next }), replace: true })}
      current={search.sheet === undefined ? undefined : search.sel}
      stale={() => asOf !== undefined}
      onOpen={(i) => void navigate({ search: (old) => ({ ...old, sel: i.key, sheet: old.sheet ?? "summary" }) })}
    />
  );
}

import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { useFormat, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { CompactCell } from "../../ui/CompactCell";
import { ConnectionText } from "../../ui/Connection";
import { type Column, DataTable } from "../../ui/DataTable";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusText } from "../../ui/StatusIcon";
import { type Fleet, type Row, sortedRows, stateOf } from "./model";

/** The same clusters as a table. */
export function FleetTable({
  fleet,
  groups,
  sort,
  onSort,
  selected,
  onSelected,
  project,
}: {
  fleet: Fleet;
  groups: readonly string[];
  sort: string | undefined;
  onSort: (sort: string | undefined) => void;
  selected: ReadonlySet<string>;
  onSelected: (names: Set<string>) => void;
  project: string | undefined;
}) {
  const t = useT();
  const format = useFormat();
  const navigate = useNavigate();
  const rows = useMemo(() => sortedRows(fleet, sort), [fleet, sort]);
  const columns = useMemo(
    (): Column<Row>[] => [
      {
        id: "name",
        title: t("fleet.table.cluster"),
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
        title: t("fleet.table.connection"),
        sort: "state",
        width: 150,
        cell: (r) => <ConnectionText state={r.state} lastSeen={fleet.lastSeen(r.at)} />,
      },
      {
        id: "worst",
        title: t("fleet.table.worst"),
        sort: "worst",
        width: 150,
        cell: (r) =>
          r.worst === "none" ? (
            t("fleet.worst.none")
          ) : (
            <StatusText
              state={stateOf(r.worst)}
              asOf={r.stale && fleet.lastSeen(r.at) && <RelativeTime at={fleet.lastSeen(r.at) as Date} short />}
            >
              {t(`fleet.worst.${r.worst}`)}
            </StatusText>
          ),
      },
      {
        id: "apps",
        title: t("fleet.table.applications"),
        sort: "apps",
        width: 128,
        number: true,
        cell: (r) => format.number(fleet.applications(r.at)),
      },
      {
        id: "healthy",
        title: t("fleet.table.healthy"),
        sort: "healthy",
        width: 90,
        number: true,
        cell: (r) => format.number(fleet.count("healthy", r.at)),
      },
      {
        id: "kubernetes",
        title: t("fleet.table.kubernetes"),
        sort: "kubernetes",
        width: 110,
        cell: (r) => <PlainText text={fleet.kubernetes(r.at)} />,
      },
      {
        id: "agent",
        title: t("fleet.table.agent"),
        sort: "agent",
        width: 100,
        cell: (r) => <PlainText text={fleet.agent(r.at)} />,
      },
      ...groups.map(
        (g): Column<Row> => ({
          id: `label ${g}`,
          title: g,
          width: 110,
          grow: 1,
          cell: (r) => <PlainText text={fleet.label(g, r.at)} />,
        }),
      ),
    ],
    [t, format, fleet, groups, project],
  );
  return (
    <DataTable
      label={t("fleet.table.title")}
      columns={columns}
      rows={rows}
      rowKey={(r) => r.name}
      sort={sort ?? "name"}
      onSort={onSort}
      selected={selected}
      onSelected={onSelected}
      onOpen={(r) => void navigate({ to: paths.cluster, params: { cluster: r.name }, search: { project } })}
      stale={(r) => r.stale}
      compact={(r) => (
        <CompactCell
          name={
            <Link to={paths.cluster} params={{ cluster: r.name }} search={{ project }} tabIndex={-1}>
              <MiddleTruncate text={r.name} most={26} />
            </Link>
          }
          signs={<ConnectionText state={r.state} lastSeen={fleet.lastSeen(r.at)} />}
          more={
            r.worst === "none" ? (
              t("fleet.worst.none")
            ) : (
              <StatusText state={stateOf(r.worst)} asOf={r.stale && ""}>
                {t(`fleet.worst.${r.worst}`)}
              </StatusText>
            )
          }
        />
      )}
    />
  );
}

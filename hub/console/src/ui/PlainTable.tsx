import type { ReactNode } from "react";
import classes from "./PlainTable.module.css";

export interface PlainColumn<R> {
  key: string;
  /** Empty for a column of buttons. */
  title: string;
  cell: (row: R) => ReactNode;
  /** Numbers stand at the right. */
  number?: boolean;
}

/** Said also where it goes without: rows that stand as blocks are no rows to browsers (PlainTable.module.css). */
const role = (role: "table" | "rowgroup" | "row" | "columnheader" | "cell") => ({ role });

/** A short table: of some dozens of rows that all are there. Long ones are DataTable's. */
export function PlainTable<R>({
  label,
  columns,
  rows,
  rowKey,
}: {
  label: string;
  columns: readonly PlainColumn<R>[];
  rows: readonly R[];
  rowKey: (row: R) => string;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className={classes.scroll} data-many={columns.length > 3 || undefined} tabIndex={0} aria-label={label}>
      <table className={classes.table} {...role("table")} aria-label={label}>
        <thead {...role("rowgroup")}>
          <tr {...role("row")}>
            {columns.map((c) =>
              c.title === "" ? (
                <td key={c.key} {...role("cell")} />
              ) : (
                <th key={c.key} scope="col" {...role("columnheader")} data-number={c.number || undefined}>
                  {c.title}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody {...role("rowgroup")}>
          {rows.map((row) => (
            <tr key={rowKey(row)} {...role("row")}>
              {columns.map((c) => (
                <td key={c.key} {...role("cell")} data-number={c.number || undefined} data-title={c.title || undefined}>
                  {c.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

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
    <section className={classes.scroll} tabIndex={0} aria-label={label}>
      <table className={classes.table} aria-label={label}>
        <thead>
          <tr>
            {columns.map((c) =>
              c.title === "" ? (
                <td key={c.key} />
              ) : (
                <th key={c.key} scope="col" data-number={c.number || undefined}>
                  {c.title}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)}>
              {columns.map((c) => (
                <td key={c.key} data-number={c.number || undefined}>
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

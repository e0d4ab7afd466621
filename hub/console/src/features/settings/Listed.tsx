import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useT } from "../../i18n";
import layout from "../../ui/layout.module.css";
import { type PlainColumn, PlainTable } from "../../ui/PlainTable";
import { EmptyView, ErrorView, LoadingView } from "../../ui/states";

/** A short list of settings in all its states, under its title and with its actions. */
export function Listed<R>({
  title,
  help,
  query,
  columns,
  rowKey,
  empty,
  actions,
}: {
  title: string;
  help: string;
  query: UseQueryResult<{ items: R[] }>;
  columns: readonly PlainColumn<R>[];
  rowKey: (r: R) => string;
  /** What to do when there are none, such as the command line. */
  empty?: ReactNode;
  actions?: ReactNode;
}) {
  const t = useT();
  return (
    <section aria-label={title}>
      <div className={layout.head}>
        <div>
          <h2>{title}</h2>
          <p>{help}</p>
        </div>
        {!query.isError && actions}
      </div>
      {query.isPending ? (
        <LoadingView rows={5} />
      ) : query.isError ? (
        <ErrorView error={query.error} onRetry={() => void query.refetch()} />
      ) : query.data.items.length === 0 ? (
        <EmptyView title={t("settings.none")}>{empty}</EmptyView>
      ) : (
        <PlainTable label={title} rows={query.data.items} rowKey={rowKey} columns={columns} />
      )}
    </section>
  );
}

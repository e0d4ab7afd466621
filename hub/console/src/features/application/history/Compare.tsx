import { useMediaQuery } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { HistoryEntry } from "../../../api/types";
import { useT } from "../../../i18n";
import { CliLine } from "../../../ui/CliLine";
import { MergeView } from "../../../ui/MergeView";
import { PlainText } from "../../../ui/PlainText";
import { cli } from "../../../ui/shell";
import { EmptyView, ErrorView, LoadingView } from "../../../ui/states";
import { compareManifests } from "./compare";
import classes from "./History.module.css";
import { manifestsOfQuery } from "./queries";

/** So many objects are drawn. */
const most = 50;

/** What two deployments differ in, rendered anew from their commits. */
export function Compare({ name, before, after }: { name: string; before: HistoryEntry; after: HistoryEntry }) {
  const t = useT();
  const narrow = useMediaQuery("(max-width: 1100px)");
  const a = useQuery(manifestsOfQuery(name, before.revision));
  const b = useQuery(manifestsOfQuery(name, after.revision));
  const got = useMemo(
    () => (a.data === undefined || b.data === undefined ? undefined : compareManifests(a.data.items, b.data.items)),
    [a.data, b.data],
  );
  const title = t("history.compare", {
    a: before.id,
    b: after.id,
    from: before.revision.slice(0, 7),
    to: after.revision.slice(0, 7),
  });
  const error = a.error ?? b.error;
  return (
    <section className={classes.compare} aria-label={title}>
      <h2>{title}</h2>
      {error !== null ? (
        <ErrorView
          error={error}
          onRetry={() => {
            void a.refetch();
            void b.refetch();
          }}
        />
      ) : got === undefined ? (
        <LoadingView rows={6} />
      ) : got.differ.length === 0 ? (
        <EmptyView title={t("history.compare.same", { n: got.same })} />
      ) : (
        <>
          <p className={classes.dim}>{t("history.compare.counts", { n: got.differ.length, same: got.same })}</p>
          {got.differ.slice(0, most).map((d) => (
            <details key={d.id} className={classes.object} open={got.differ.length <= 5 || undefined}>
              <summary>
                <span aria-hidden="true">{d.before === undefined ? "+" : d.after === undefined ? "−" : "~"}</span>{" "}
                <span className="visually-hidden">
                  {t("history.compare.kind", {
                    kind: d.before === undefined ? "new" : d.after === undefined ? "gone" : "changed",
                  })}
                </span>{" "}
                <PlainText text={d.id} />
              </summary>
              <MergeView
                before={d.before ?? ""}
                after={d.after ?? ""}
                labels={[`#${before.id}`, `#${after.id}`]}
                unified={narrow === true}
              />
            </details>
          ))}
          {got.differ.length > most && (
            <p className={classes.dim}>{t("application.andMore", { n: got.differ.length - most })}</p>
          )}
        </>
      )}
      <CliLine command={cli("hawser", "app", "manifests", name, "--revision", before.revision)} />
    </section>
  );
}

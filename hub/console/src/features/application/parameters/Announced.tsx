import { useQuery } from "@tanstack/react-query";
import type { ParameterAnnouncement } from "../../../api/types";
import { useT } from "../../../i18n";
import { PlainText } from "../../../ui/PlainText";
import { plainLine } from "../../../ui/plain";
import { ErrorView, LoadingView } from "../../../ui/states";
import { pluginParametersQuery } from "../queries";
import classes from "./Parameters.module.css";

/** What a config management plugin says of itself that it takes. */
export function Announced({ name, index }: { name: string; index: number }) {
  const t = useT();
  const all = useQuery(pluginParametersQuery(name));
  if (all.isPending) return <LoadingView rows={2} />;
  if (all.isError) return <ErrorView error={all.error} onRetry={() => void all.refetch()} />;
  const of = all.data.find((p) => p.source === index);
  if (of === undefined || of.parameters.length === 0) return null;
  return (
    <section className={classes.announced}>
      <h3>{t("parameters.announced", { name: plainLine(of.plugin) })}</h3>
      <ul className={classes.values}>
        {of.parameters.map((p) => (
          <li key={p.name}>
            <PlainText text={p.name} mono /> {p.required === true && <em>{t("parameters.announced.required")}</em>}{" "}
            {defaultOf(p) !== "" && (
              <span className={classes.dim}>
                {t("parameters.announced.default", { value: plainLine(defaultOf(p)) })}
              </span>
            )}
            <div className={classes.dim}>
              <PlainText text={[p.title, p.tooltip].filter(Boolean).join(" · ")} lines={3} />
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

function defaultOf(p: ParameterAnnouncement): string {
  if (p.collectionType === "array") return (p.array ?? []).join(", ");
  if (p.collectionType === "map")
    return Object.entries(p.map ?? {})
      .map(([k, v]) => `${k}=${v}`)
      .join(", ");
  return p.string ?? "";
}

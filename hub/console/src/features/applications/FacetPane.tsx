import { useState } from "react";
import type { Facet } from "../../api/types";
import { type MessageKey, useFormat, useT } from "../../i18n";
import { healthState } from "../../ui/applicationState";
import { Icon } from "../../ui/Icon";
import { MiddleTruncate } from "../../ui/PlainText";
import type { State } from "../../ui/palette";
import { StatusIcon } from "../../ui/StatusIcon";
import classes from "./FacetPane.module.css";
import { toggled, valuesOf, withoutKey } from "./filter";
import { closed } from "./groups";

/** Facets that are always counted, in the order of the pane. */
export const facetKeys = ["health", "sync", "operation", "freshness", "project", "cluster"] as const;

export const syncStates: Record<string, State> = { synced: "healthy", outofsync: "drifted", unknown: "unknown" };

/** How many values of an open set are shown before somebody asks for more. */
const few = 8;

/** Counts over what the filter finds; a click asks for a value too, or no longer. */
export function FacetPane({
  filter,
  facets,
  labels,
  labelNames,
  onFilter,
  onLabels,
}: {
  filter: string;
  facets: Readonly<Record<string, Facet>>;
  /** Labels that are counted too. */
  labels: readonly string[];
  /** Labels that can be. */
  labelNames: readonly string[];
  onFilter: (filter: string) => void;
  onLabels: (labels: string[]) => void;
}) {
  const t = useT();
  const more = labelNames.filter((l) => !labels.includes(l));
  return (
    <aside className={classes.pane} aria-label={t("applications.facets")}>
      {facetKeys.map((key) => (
        <FacetList
          key={key}
          name={key}
          title={t(`applications.${key}`)}
          facet={facets[key]}
          filter={filter}
          onFilter={onFilter}
        />
      ))}
      {labels.map((l) => (
        <FacetList
          key={`label:${l}`}
          name={`label:${l}`}
          title={l}
          facet={facets[`label:${l}`]}
          filter={filter}
          onFilter={onFilter}
          onRemove={() => onLabels(labels.filter((x) => x !== l))}
        />
      ))}
      {more.length > 0 && (
        <label className={classes.add}>
          <span>{t("applications.facets.label")}</span>
          <select
            value=""
            onChange={(e) => {
              if (e.currentTarget.value !== "") onLabels([...labels, e.currentTarget.value]);
            }}
          >
            <option value="">{t("applications.facets.choose")}</option>
            {more.map((l) => (
              <option key={l} value={l}>
                {l}
              </option>
            ))}
          </select>
        </label>
      )}
    </aside>
  );
}

function FacetList({
  name,
  title,
  facet,
  filter,
  onFilter,
  onRemove,
}: {
  name: string;
  title: string;
  facet: Facet | undefined;
  filter: string;
  onFilter: (filter: string) => void;
  onRemove?: () => void;
}) {
  const t = useT();
  const format = useFormat();
  const [all, setAll] = useState(false);
  const asked = valuesOf(filter, name);
  const counts = facet?.values ?? {};
  const order = closed[name];
  const present = order
    ? order.filter((v) => (counts[v] ?? 0) > 0 || asked.has(v))
    : [...new Set([...Object.keys(counts), ...asked])].sort(
        (a, b) => (counts[b] ?? 0) - (counts[a] ?? 0) || a.localeCompare(b),
      );
  if (present.length === 0 && onRemove === undefined) return null;
  const shown = order || all ? present : present.filter((v, i) => i < few || asked.has(v));
  const word = (value: string) => {
    if (value === "") return t("applications.facets.none");
    if (order === undefined || !order.includes(value)) return undefined;
    return t(`applications.${name}.${value}` as MessageKey);
  };
  return (
    <section className={classes.facet}>
      <header className={classes.head}>
        <h2>
          <MiddleTruncate text={title} most={28} />
        </h2>
        {asked.size > 0 && (
          <button type="button" onClick={() => onFilter(withoutKey(filter, name))}>
            {t("applications.facets.clear")}
            <span className="visually-hidden"> {title}</span>
          </button>
        )}
        {onRemove !== undefined && (
          <button type="button" aria-label={t("applications.facets.remove", { name: title })} onClick={onRemove}>
            <Icon name="close" size={10} />
          </button>
        )}
      </header>
      <ul>
        {shown.map((v) => (
          <li key={v}>
            <button
              type="button"
              className={classes.value}
              aria-pressed={asked.has(v)}
              onClick={() => onFilter(toggled(filter, name, v))}
            >
              {name === "health" && (
                <StatusIcon state={healthState(v.charAt(0).toUpperCase() + v.slice(1))} size={14} />
              )}
              {name === "sync" && <StatusIcon state={syncStates[v] ?? "unknown"} size={14} />}
              <span className={classes.word}>{word(v) ?? <MiddleTruncate text={v} most={26} />}</span>
              <span className={classes.count}>{format.number(counts[v] ?? 0)}</span>
            </button>
          </li>
        ))}
      </ul>
      {!order && present.length > few && (
        <button type="button" className={classes.more} onClick={() => setAll(!all)}>
          {all ? t("applications.facets.less") : t("applications.facets.more", { n: present.length - shown.length })}
        </button>
      )}
      {(facet?.others ?? 0) > 0 && (all || present.length <= few || order !== undefined) && (
        <p className={classes.others}>{t("applications.facets.others", { n: facet?.others ?? 0 })}</p>
      )}
    </section>
  );
}

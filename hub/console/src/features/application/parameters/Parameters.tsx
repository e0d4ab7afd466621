import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { AppView, Source } from "../../../api/types";
import { type MessageKey, useT } from "../../../i18n";
import { Facts } from "../../../ui/Facts";
import { MiddleTruncate, PlainText } from "../../../ui/PlainText";
import { plain } from "../../../ui/plain";
import { EmptyView } from "../../../ui/states";
import { toYAML } from "../../../ui/yaml";
import { applicationQuery } from "../queries";
import { Announced } from "./Announced";
import { type Field, fieldsOf, isSet, nameOf, type Place, placesOf, type Row, read, toolOf } from "./fields";
import classes from "./Parameters.module.css";
import { ParametersForm } from "./ParametersForm";

/** What the sources of an application are rendered with, one after the other; each can be changed at its place. */
export default function Parameters({ name }: { name: string }) {
  const t = useT();
  const app = useQuery(applicationQuery(name)).data;
  const [editing, setEditing] = useState<string>();
  if (app === undefined) return null;
  const places = placesOf(app.application);
  if (places.length === 0) return <EmptyView title={t("parameters.none.title")}>{t("parameters.none.body")}</EmptyView>;
  return (
    <div className={classes.page}>
      {places.map((place, i) => (
        <SourceOf
          key={place.pointer}
          app={app}
          place={place}
          index={i}
          editing={editing === place.pointer}
          onEdit={(on) => setEditing(on ? place.pointer : undefined)}
        />
      ))}
    </div>
  );
}

function SourceOf({
  app,
  place,
  index,
  editing,
  onEdit,
}: {
  app: AppView;
  place: Place;
  index: number;
  editing: boolean;
  onEdit: (on: boolean) => void;
}) {
  const t = useT();
  const { source } = place;
  const tool = toolOf(source);
  const refOnly = source.ref !== undefined && !source.path && !source.chart;
  const title =
    place.position === undefined ? t("parameters.source.only") : t("parameters.source", { n: place.position });
  return (
    <section className={classes.source} aria-label={title}>
      <header className={classes.head}>
        <div className={classes.titles}>
          <h2>
            {title}
            {source.name !== undefined && source.name !== "" && (
              <span className={classes.dim}>
                {" "}
                <PlainText text={source.name} />
              </span>
            )}
          </h2>
          <p className={classes.where}>
            <Where source={source} />
          </p>
          {place.dry === true && <p className={classes.dim}>{t("parameters.dry")}</p>}
        </div>
        {!refOnly && !editing && (
          <span className={classes.tool}>
            {tool === undefined ? t("parameters.tool.none") : t(`parameters.tool.${tool}`)}
          </span>
        )}
        {!refOnly && !editing && (
          <Button
            variant="default"
            size="compact-sm"
            disabled={app.deleting}
            aria-label={t("parameters.edit.of", { n: index + 1 })}
            onClick={() => onEdit(true)}
          >
            {t("parameters.edit")}
          </Button>
        )}
      </header>
      {refOnly ? (
        <p className={classes.dim}>{t("parameters.refOnly")}</p>
      ) : editing ? (
        <ParametersForm name={app.name} pointer={place.pointer} onClose={() => onEdit(false)} />
      ) : (
        <Shown source={source} />
      )}
      {tool === "plugin" && <Announced name={app.name} index={index} />}
    </section>
  );
}

function Where({ source }: { source: Source }) {
  const at = [source.chart ?? source.path, source.targetRevision].filter((x) => x !== undefined && x !== "");
  return (
    <>
      <MiddleTruncate text={source.repoURL} most={64} />
      {at.map((x) => (
        <span key={x}>
          {" · "}
          <MiddleTruncate text={x ?? ""} most={48} />
        </span>
      ))}
    </>
  );
}

/** What is set of a source. */
function Shown({ source }: { source: Source }) {
  const t = useT();
  const set = fieldsOf(toolOf(source)).filter((f) => isSet(read(source, f)));
  if (set.length === 0) return <p className={classes.dim}>{t("parameters.none")}</p>;
  return (
    <Facts
      facts={set.map((f) => ({
        name: t(`parameters.field.${nameOf(f)}` as MessageKey),
        value: <Value source={source} field={f} />,
      }))}
    />
  );
}

function Value({ source, field }: { source: Source; field: Field }) {
  const t = useT();
  const value = read(source, field);
  if (typeof value === "boolean") return t("parameters.on");
  if (typeof value === "string")
    return field.kind === "block" ? (
      <Block text={value} label={t(`parameters.field.${nameOf(field)}` as MessageKey)} />
    ) : (
      <PlainText text={value} lines={3} mono />
    );
  return (
    <ul className={classes.values}>
      {value.map((row, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other name
        <li key={i}>
          <Entry row={row} field={field} />
        </li>
      ))}
    </ul>
  );
}

function Entry({ row, field }: { row: Row; field: Field }) {
  const t = useT();
  if (row.fixed !== undefined || row.patch !== undefined || row.shape !== undefined)
    return (
      <Block
        text={toYAML((field.entries?.stored([row]) as unknown[] | undefined)?.[0])}
        label={t(`parameters.field.${nameOf(field)}` as MessageKey)}
      />
    );
  return (
    <>
      {field.entries?.named === true && (
        <>
          <PlainText text={row.name} mono />
          <span className={classes.dim}> = </span>
        </>
      )}
      <PlainText text={row.value} lines={3} mono />
      {row.mark === true && field.entries?.mark !== undefined && (
        <span className={classes.mark}> {t(field.entries.mark)}</span>
      )}
    </>
  );
}

/** A text of several lines, which scrolls with the keyboard too. */
export function Block({ text, label }: { text: string; label: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached with Tab
    // biome-ignore lint/a11y/useSemanticElements: no heading is worth it
    <pre className={classes.block} tabIndex={0} role="region" aria-label={label}>
      {plain(text)}
    </pre>
  );
}

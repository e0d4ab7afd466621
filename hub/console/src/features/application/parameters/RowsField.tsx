import { ActionIcon, Button, Checkbox, NativeSelect, Textarea, TextInput } from "@mantine/core";
import { useId, useRef } from "react";
import { type MessageKey, useT } from "../../../i18n";
import { Icon } from "../../../ui/Icon";
import { PlainText } from "../../../ui/PlainText";
import { plain, plainLine } from "../../../ui/plain";
import { toYAML } from "../../../ui/yaml";
import { type Field, itemsOf, type Mistake, type Row } from "./fields";
import classes from "./Parameters.module.css";
import { PatchRow } from "./PatchRow";

/** A list, or names with values: a row for each, and what is wrong with one beside it. */
export function RowsField({
  field,
  label,
  rows,
  mistakes,
  onChange,
}: {
  field: Field;
  label: string;
  rows: readonly Row[];
  mistakes: readonly Mistake[];
  onChange: (rows: readonly Row[]) => void;
}) {
  const t = useT();
  const id = useId();
  const box = useRef<HTMLFieldSetElement>(null);
  const named = field.entries?.named === true;
  // A row that is new is to be written, and after one is gone the next is where one was.
  const focus = (row: number) =>
    requestAnimationFrame(() => {
      const inputs = box.current?.querySelectorAll<HTMLElement>(`[data-first="${id}"]`);
      (
        inputs?.[Math.min(row, inputs.length - 1)] ?? box.current?.querySelector<HTMLElement>(`[data-add="${id}"]`)
      )?.focus();
    });
  const change = (i: number, part: Partial<Row>) => onChange(rows.map((r, at) => (at === i ? { ...r, ...part } : r)));
  const errorOf = (i: number | undefined) => {
    const said = mistakes.filter((m) => m.row === i).map((m) => m.message);
    return said.length === 0 ? undefined : <PlainText text={said.join(" ")} lines={4} />;
  };
  const shapes = field.tool === "plugin" && field.id === "parameters";
  return (
    <fieldset ref={box} className={classes.rows} aria-describedby={errorOf(undefined) === undefined ? undefined : id}>
      <legend>{label}</legend>
      {rows.map((row, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other name
        <div key={i} className={classes.row}>
          {row.fixed !== undefined ? (
            <pre className={classes.block}>{plain(toYAML(row.fixed))}</pre>
          ) : row.patch !== undefined ? (
            <PatchRow
              n={i + 1}
              first={id}
              row={row}
              patch={row.patch}
              error={errorOf(i)}
              onChange={(part) => change(i, part)}
            />
          ) : (
            <>
              {named && (
                <TextInput
                  data-first={id}
                  className={classes.name}
                  aria-label={t("parameters.row.name", { field: label, n: i + 1 })}
                  value={row.name}
                  placeholder={field.placeholder}
                  spellCheck={false}
                  autoComplete="off"
                  onChange={(e) => change(i, { name: e.currentTarget.value })}
                />
              )}
              {shapes && (
                <NativeSelect
                  className={classes.shape}
                  aria-label={t("parameters.shape.of", { field: label, n: i + 1 })}
                  data={[
                    { value: "", label: t("parameters.shape.text") },
                    { value: "array", label: t("parameters.shape.array") },
                    { value: "map", label: t("parameters.shape.map") },
                  ]}
                  value={row.shape ?? ""}
                  onChange={(e) => change(i, reshaped(row, e.currentTarget.value))}
                />
              )}
              {row.shape !== undefined ? (
                <div className={classes.items}>
                  <RowsField
                    field={{ ...field, id: "items", entries: itemsOf(row.shape), placeholder: undefined }}
                    label={t("parameters.row.value", { field: label, n: i + 1 })}
                    rows={row.items ?? []}
                    mistakes={[]}
                    onChange={(items) => change(i, { items })}
                  />
                  {errorOf(i) !== undefined && <div className={classes.error}>{errorOf(i)}</div>}
                </div>
              ) : row.value.includes("\n") ? (
                <Textarea
                  data-first={named ? undefined : id}
                  className={classes.value}
                  aria-label={t(named ? "parameters.row.value" : "parameters.row.entry", { field: label, n: i + 1 })}
                  value={row.value}
                  error={errorOf(i)}
                  spellCheck={false}
                  autosize
                  maxRows={8}
                  onChange={(e) => change(i, { value: e.currentTarget.value })}
                />
              ) : (
                <TextInput
                  data-first={named ? undefined : id}
                  className={classes.value}
                  aria-label={t(named ? "parameters.row.value" : "parameters.row.entry", { field: label, n: i + 1 })}
                  value={row.value}
                  error={errorOf(i)}
                  placeholder={named ? undefined : field.placeholder}
                  spellCheck={false}
                  autoComplete="off"
                  onChange={(e) => change(i, { value: e.currentTarget.value })}
                />
              )}
              {field.entries?.mark !== undefined && (
                <Checkbox
                  className={classes.check}
                  label={t(field.entries.mark as MessageKey)}
                  checked={row.mark === true}
                  onChange={(e) => change(i, { mark: e.currentTarget.checked })}
                />
              )}
            </>
          )}
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={t("parameters.remove", {
              name: plainLine(row.name || row.value || String(i + 1)),
              field: label,
            })}
            onClick={() => {
              onChange(rows.filter((_, at) => at !== i));
              focus(i);
            }}
          >
            <Icon name="close" size={12} />
          </ActionIcon>
        </div>
      ))}
      {errorOf(undefined) !== undefined && (
        <div id={id} className={classes.error}>
          {errorOf(undefined)}
        </div>
      )}
      <Button
        data-add={id}
        variant="subtle"
        size="compact-sm"
        px={0}
        aria-label={t("parameters.add.to", { field: label })}
        onClick={() => {
          const row = field.entries?.blank ?? { name: "", value: "" };
          onChange([...rows, field.entries?.mark === undefined ? row : { ...row, mark: false }]);
          focus(rows.length);
        }}
      >
        {t("parameters.add")}
      </Button>
    </fieldset>
  );
}

/** A parameter of another shape, with what was written as far as that has a place. */
function reshaped(row: Row, shape: string): Partial<Row> {
  const values = row.items?.map((r) => r.value) ?? (row.value === "" ? [] : [row.value]);
  if (shape === "array") return { shape, value: "", items: values.map((value) => ({ name: "", value })) };
  if (shape === "map")
    return {
      ...{ shape, value: "" },
      items: row.items ?? values.map((value) => ({ name: "", value })),
    };
  return { shape: undefined, items: undefined, value: values[0] ?? "" };
}

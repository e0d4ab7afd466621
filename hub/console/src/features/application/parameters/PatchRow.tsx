import { Checkbox, NativeSelect, Textarea, TextInput } from "@mantine/core";
import type { ReactNode } from "react";
import { useT } from "../../../i18n";
import { type PatchOf, patchOptions, type Row, targets } from "./fields";
import classes from "./Parameters.module.css";

const examples: Partial<Record<(typeof targets)[number], string>> = {
  kind: "Deployment",
  name: "web",
  group: "apps",
  version: "v1",
  labelSelector: "app=web",
};

/** One patch of a kustomization: its text or its file, what it changes, and what it may change of a name. */
export function PatchRow({
  n,
  first,
  row,
  patch,
  error,
  onChange,
}: {
  n: number;
  /** Marks what the focus goes to. */
  first: string;
  row: Row;
  patch: PatchOf;
  error: ReactNode;
  onChange: (part: Partial<Row>) => void;
}) {
  const t = useT();
  const change = (part: Partial<PatchOf>) => onChange({ patch: { ...patch, ...part } });
  return (
    <fieldset className={classes.patch}>
      <legend className="visually-hidden">{t("parameters.patch", { n })}</legend>
      <NativeSelect
        className={classes.shape}
        label={t("parameters.patch.from")}
        data={[
          { value: "", label: t("parameters.patch.inline") },
          { value: "file", label: t("parameters.patch.file") },
        ]}
        value={patch.file ? "file" : ""}
        onChange={(e) => change({ file: e.currentTarget.value === "file" })}
      />
      {patch.file ? (
        <TextInput
          data-first={first}
          label={t("parameters.patch.path")}
          placeholder="patches/replicas.yaml"
          value={row.value}
          error={error}
          spellCheck={false}
          autoComplete="off"
          onChange={(e) => onChange({ value: e.currentTarget.value })}
        />
      ) : (
        <Textarea
          data-first={first}
          label={t("parameters.patch.text")}
          placeholder={"- op: replace\n  path: /spec/replicas\n  value: 3"}
          classNames={{ input: classes.mono }}
          value={row.value}
          error={error}
          autosize
          minRows={3}
          maxRows={16}
          spellCheck={false}
          onChange={(e) => onChange({ value: e.currentTarget.value })}
        />
      )}
      <div className={classes.target}>
        {targets.map((key) => (
          <TextInput
            key={key}
            label={t(`parameters.patch.${key}`)}
            placeholder={examples[key]}
            value={patch.target[key] ?? ""}
            spellCheck={false}
            autoComplete="off"
            onChange={(e) => change({ target: { ...patch.target, [key]: e.currentTarget.value } })}
          />
        ))}
      </div>
      {patchOptions.map((key) => (
        <Checkbox
          key={key}
          label={t(`parameters.patch.${key}`)}
          checked={patch.options[key] === true}
          onChange={(e) => {
            const { [key]: _, ...rest } = patch.options;
            change({ options: e.currentTarget.checked ? { ...rest, [key]: true } : rest });
          }}
        />
      ))}
    </fieldset>
  );
}

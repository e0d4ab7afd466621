import { Button, Group, Modal, Select, Stack, Switch, Textarea, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { type MessageKey, useT } from "../../i18n";
import type { Field, RuleTable, Values } from "./rules";

/** Asks for the values of one rule. Nothing is stored by it: the rule becomes a part of the draft. */
export function RuleDialog({
  table,
  values: initial,
  title,
  onDone,
  onClose,
}: {
  table: RuleTable;
  values: Values;
  title: string;
  onDone: (v: Values) => void;
  onClose: () => void;
}) {
  const t = useT();
  const [values, setValues] = useState(initial);
  const [tried, setTried] = useState(false);
  const errors: Record<string, MessageKey> = { ...table.check?.(values) };
  for (const f of table.fields)
    if (f.required && String(values[f.key] ?? "").trim() === "") errors[f.key] = "projects.rule.required";
  const submit = (e: FormEvent) => {
    e.preventDefault();
    e.stopPropagation();
    if (Object.keys(errors).length > 0) {
      setTried(true);
      return;
    }
    onDone(values);
    onClose();
  };
  const field = (f: Field, first: boolean) => {
    const common = {
      label: t(f.label),
      description: f.help === undefined ? undefined : t(f.help),
      error: tried && errors[f.key] !== undefined ? t(errors[f.key] as MessageKey) : undefined,
      required: f.required,
      withAsterisk: f.required,
      "data-autofocus": first || undefined,
    };
    const set = (v: string | boolean) => setValues((old) => ({ ...old, [f.key]: v }));
    switch (f.kind) {
      case "flag":
        return (
          <Switch
            key={f.key}
            label={t(f.label)}
            checked={values[f.key] === true}
            onChange={(e) => set(e.currentTarget.checked)}
          />
        );
      case "choice":
        return (
          <Select
            key={f.key}
            {...common}
            allowDeselect={false}
            data={(f.choices ?? []).map((c) => ({ value: c.value, label: t(c.label) }))}
            value={String(values[f.key])}
            onChange={(v) => v !== null && set(v)}
          />
        );
      case "lines":
        return (
          <Textarea
            key={f.key}
            {...common}
            autosize
            minRows={2}
            maxRows={10}
            placeholder={f.placeholder}
            value={String(values[f.key])}
            onChange={(e) => set(e.currentTarget.value)}
            spellCheck={false}
          />
        );
      default:
        return (
          <TextInput
            key={f.key}
            {...common}
            required={false}
            placeholder={f.placeholder}
            value={String(values[f.key])}
            onChange={(e) => set(e.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
          />
        );
    }
  };
  return (
    <Modal opened onClose={onClose} title={title} size="md" closeButtonProps={{ "aria-label": t("ui.close") }}>
      <form onSubmit={submit} noValidate>
        <Stack gap="sm">
          {table.fields.map((f, i) => field(f, i === table.fields.findIndex((x) => x.kind !== "choice")))}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              {t("ui.cancel")}
            </Button>
            <Button type="submit">{t("projects.rule.done")}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

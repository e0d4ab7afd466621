import { Button, Checkbox, Select, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { Application, AppView } from "../../../api/types";
import { api, idempotencyKey, Problem } from "../../../client";
import { type MessageKey, useT } from "../../../i18n";
import { CliLine } from "../../../ui/CliLine";
import { PlainText } from "../../../ui/PlainText";
import { plainLine } from "../../../ui/plain";
import { ErrorView, LoadingView } from "../../../ui/states";
import { toast } from "../../../ui/toast";
import { applicationQuery, pluginParametersQuery, storedApplicationQuery } from "../queries";
import { commandOf } from "./command";
import {
  type Draft,
  type Drafted,
  draftOf,
  type Field,
  fieldsOf,
  isSet,
  type Mistake,
  mistakesOf,
  nameOf,
  type Place,
  placesOf,
  rebase,
  same,
  type Tool,
  tidy,
  toolOf,
  tools,
  withSource,
  write,
} from "./fields";
import classes from "./Parameters.module.css";
import { RowsField } from "./RowsField";

/** The application as it is stored, with its version: what a form begins with. */
interface Stored {
  view: AppView;
  application: Application;
  etag?: string;
}

/** The parameters of one source, to be changed. It begins with what is stored at that moment. */
export function ParametersForm({ name, pointer, onClose }: { name: string; pointer: string; onClose: () => void }) {
  const stored = useQuery(storedApplicationQuery(name));
  if (stored.isPending) return <LoadingView rows={6} />;
  if (stored.isError) return <ErrorView error={stored.error} onRetry={() => void stored.refetch()} />;
  const { value: view, etag } = stored.data;
  const place = placesOf(view.application).find((p) => p.pointer === pointer);
  if (view.application === undefined || place === undefined)
    return <ErrorView error={new Problem({ code: "answer_invalid" })} onRetry={() => void stored.refetch()} />;
  return (
    <Form
      first={{ view, application: view.application, etag }}
      place={place}
      load={async () => {
        const { value, etag } = await api.getApplication(name);
        if (value.application === undefined) throw new Problem({ code: "answer_invalid" });
        return { view: value, application: value.application, etag };
      }}
      onClose={onClose}
    />
  );
}

function Form({
  first,
  place: firstPlace,
  load,
  onClose,
}: {
  first: Stored;
  place: Place;
  load: () => Promise<Stored>;
  onClose: () => void;
}) {
  const t = useT();
  const client = useQueryClient();
  const [stored, setStored] = useState(first);
  const [place, setPlace] = useState(firstPlace);
  const [tool, setTool] = useState<Tool | undefined>(toolOf(place.source));
  const of = fieldsOf(tool);
  const [draft, setDraft] = useState<Draft>(() => draftOf(place.source, of));
  const [more, setMore] = useState(false);
  const { name } = stored.view;
  const before = draftOf(place.source, of);
  const changed = of.some((f) => !same(tidy(draft[nameOf(f)] ?? ""), before[nameOf(f)]));
  const save = useMutation({
    mutationFn: async () => {
      // Rows in which nothing is written go, so that the hub's numbers of them are the form's.
      setDraft(Object.fromEntries(Object.entries(draft).map(([k, d]) => [k, tidy(d)])));
      await api.putApplication(name, withSource(stored.application, place, write(place.source, of, draft)), {
        ifMatch: stored.etag,
        idempotencyKey: idempotencyKey(),
      });
    },
    onSuccess: () => {
      toast(t("parameters.saved"), plainLine(name));
      void client.invalidateQueries({ queryKey: applicationQuery(name).queryKey, exact: true });
      void client.invalidateQueries({ queryKey: pluginParametersQuery(name).queryKey });
      onClose();
    },
  });
  const again = useMutation({
    mutationFn: load,
    onSuccess: (now) => {
      const at = placesOf(now.application).find((p) => p.pointer === place.pointer);
      if (at === undefined) {
        onClose();
        return;
      }
      setDraft(rebase(draft, before, draftOf(at.source, of)));
      setStored(now);
      setPlace(at);
      save.reset();
    },
  });
  const problem = save.isError ? Problem.of(save.error) : undefined;
  const conflict = problem?.code === "version_conflict";
  const { mistakes, all } = mistakesOf(
    problem === undefined || conflict
      ? []
      : problem.errors.length > 0
        ? problem.errors
        : [{ field: problem.field, detail: problem.message, fix: problem.fix }],
    place,
    of,
  );
  const wrong = (f: Field) => mistakes.filter((m) => m.name === nameOf(f));
  const set = (f: Field, d: Drafted) => setDraft((old) => ({ ...old, [nameOf(f)]: d }));
  const rare = of.filter((f) => f.rare === true);
  const open = more || rare.some((f) => isSet(before[nameOf(f)]) || wrong(f).length > 0);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (changed && !save.isPending) save.mutate();
  };
  const control = (f: Field) => (
    <Control
      key={nameOf(f)}
      field={f}
      value={draft[nameOf(f)] ?? before[nameOf(f)] ?? ""}
      wrong={wrong(f)}
      onChange={(d) => set(f, d)}
    />
  );
  const file = of.some(
    (f) => f.file !== undefined && isSet(draft[nameOf(f)]) && !same(draft[nameOf(f)], before[nameOf(f)]),
  );
  return (
    <form className={classes.form} onSubmit={submit}>
      {toolOf(place.source) === undefined && (
        <Select
          className={classes.short}
          label={t("parameters.tool")}
          placeholder={t("parameters.tool.choose")}
          data={tools.map((value) => ({ value, label: t(`parameters.tool.${value}`) }))}
          value={tool ?? null}
          clearable
          searchable
          onChange={(v) => {
            const next = (v ?? undefined) as Tool | undefined;
            setTool(next);
            setDraft(draftOf(place.source, fieldsOf(next)));
            save.reset();
          }}
        />
      )}
      {of.filter((f) => f.rare !== true).map(control)}
      {rare.length > 0 && (
        <details open={open} onToggle={(e) => setMore(e.currentTarget.open)}>
          <summary className={classes.more}>{t("parameters.more")}</summary>
          <div className={classes.form}>{rare.map(control)}</div>
        </details>
      )}
      {conflict ? (
        <div role="alert" className={classes.alert}>
          <p>{t("parameters.changed")}</p>
          <Button variant="default" size="compact-sm" loading={again.isPending} onClick={() => again.mutate()}>
            {t("parameters.changed.load")}
          </Button>
        </div>
      ) : (
        problem !== undefined && !all && <ErrorView error={problem} />
      )}
      {again.isError && <ErrorView error={again.error} />}
      {changed && (
        <>
          <CliLine command={commandOf(name, place, tool, of, draft)} />
          {file && <p className={classes.dim}>{t("parameters.file")}</p>}
        </>
      )}
      <div className={classes.buttons}>
        <span className={classes.dim}>{t(`parameters.follows.${follows(stored.view)}`)}</span>
        <Button variant="default" onClick={onClose}>
          {t("ui.cancel")}
        </Button>
        <Button type="submit" disabled={!changed} loading={save.isPending}>
          {t("parameters.save")}
        </Button>
      </div>
    </form>
  );
}

/** What becomes of what is stored. */
function follows(app: AppView): "auto" | "manual" | "pinned" {
  if (app.pin !== undefined) return "pinned";
  return app.autoSync ? "auto" : "manual";
}

function Control({
  field,
  value,
  wrong,
  onChange,
}: {
  field: Field;
  value: Drafted;
  wrong: readonly Mistake[];
  onChange: (d: Drafted) => void;
}) {
  const t = useT();
  const label = t(`parameters.field.${nameOf(field)}` as MessageKey);
  const error = wrong.length === 0 ? undefined : <PlainText text={wrong.map((m) => m.message).join(" ")} lines={4} />;
  if (field.kind === "rows")
    return (
      <RowsField
        field={field}
        label={label}
        rows={Array.isArray(value) ? value : []}
        mistakes={wrong}
        onChange={onChange}
      />
    );
  if (field.kind === "switch")
    return (
      <Checkbox
        label={label}
        checked={value === true}
        error={error}
        onChange={(e) => onChange(e.currentTarget.checked)}
      />
    );
  const common = { label, value: String(value), error, spellCheck: false, autoComplete: "off" };
  if (field.kind === "block")
    return (
      <Textarea
        {...common}
        classNames={{ input: classes.mono }}
        autosize
        minRows={4}
        maxRows={20}
        onChange={(e) => onChange(e.currentTarget.value)}
      />
    );
  return (
    <TextInput
      {...common}
      className={classes.short}
      placeholder={field.placeholder}
      onChange={(e) => onChange(e.currentTarget.value)}
    />
  );
}

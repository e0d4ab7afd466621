import { Autocomplete, Button, Checkbox, Modal, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, idempotencyKey, Problem } from "../../../client";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { CliLine } from "../../../ui/CliLine";
import { CodeEditor } from "../../../ui/CodeEditor";
import layout from "../../../ui/layout.module.css";
import { PlainText } from "../../../ui/PlainText";
import { toYAML } from "../../../ui/yaml";
import { commandOf, type Draft, manifestOf } from "./manifest";
import { placesQuery } from "./queries";

/** Makes an application, of a form or of the whole object as YAML. The hub says what is wrong with it. */
export function NewApplication({ project, onClose }: { project: string | undefined; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const go = useNavigate();
  const places = useQuery(placesQuery);
  const [draft, setDraft] = useState<Draft>({
    name: "",
    project: project ?? "default",
    repository: "",
    path: "",
    revision: "",
    cluster: "",
    namespace: "",
    automated: true,
    makeNamespace: true,
  });
  // Once it is written as YAML, the YAML is what counts: a form cannot hold all of it.
  const [text, setText] = useState<string>();
  const set = (change: Partial<Draft>) => {
    check.reset();
    create.reset();
    setDraft({ ...draft, ...change });
  };
  const write = (changed: string | undefined) => {
    check.reset();
    create.reset();
    setText(changed);
  };
  const check = useMutation({
    mutationFn: async () => {
      const { items } = await api.apply(text ?? JSON.stringify(manifestOf(draft)), { dryRun: true });
      const wrong = items.find((x) => x.error !== undefined)?.error;
      if (wrong !== undefined) throw new Problem(wrong);
      return items;
    },
  });
  const create = useMutation({
    mutationFn: () =>
      api.createApplication(text ?? manifestOf(draft), { mustBeNew: true, idempotencyKey: idempotencyKey() }),
    onSuccess: ({ value }) => {
      void client.invalidateQueries({ queryKey: ["applications"] });
      void go({
        to: paths.application,
        params: { application: value.metadata.name ?? draft.name },
        search: { project },
      });
    },
  });
  const failed = create.error ?? check.error;
  const problem = failed === null ? undefined : Problem.of(failed);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    create.mutate();
  };
  const complete =
    text !== undefined
      ? text.trim() !== ""
      : [draft.name, draft.repository, draft.cluster].every((word) => word.trim() !== "");
  const field = { autoComplete: "off", spellCheck: false } as const;
  return (
    <Modal
      opened
      onClose={onClose}
      title={t("applications.new")}
      size="lg"
      closeButtonProps={{ "aria-label": t("ui.close") }}
    >
      <form onSubmit={submit} className={layout.form}>
        {text === undefined ? (
          <>
            <div className={layout.pair}>
              <TextInput
                {...field}
                label={t("applications.name")}
                placeholder="shop"
                required
                value={draft.name}
                onChange={(e) => set({ name: e.currentTarget.value })}
                data-autofocus
              />
              <Autocomplete
                {...field}
                label={t("applications.project")}
                required
                value={draft.project}
                onChange={(project) => set({ project })}
                data={places.data?.projects ?? []}
                limit={50}
              />
            </div>
            <TextInput
              {...field}
              label={t("applications.new.repository")}
              placeholder="https://git.example.com/shop.git"
              required
              value={draft.repository}
              onChange={(e) => set({ repository: e.currentTarget.value })}
            />
            <div className={layout.pair}>
              <TextInput
                {...field}
                label={t("applications.new.path")}
                placeholder="deploy"
                value={draft.path}
                onChange={(e) => set({ path: e.currentTarget.value })}
              />
              <TextInput
                {...field}
                label={t("applications.new.revision")}
                placeholder="HEAD"
                value={draft.revision}
                onChange={(e) => set({ revision: e.currentTarget.value })}
              />
            </div>
            <div className={layout.pair}>
              <Autocomplete
                {...field}
                label={t("applications.cluster")}
                required
                value={draft.cluster}
                onChange={(cluster) => set({ cluster })}
                data={places.data?.clusters ?? []}
                limit={50}
              />
              <TextInput
                {...field}
                label={t("applications.namespace")}
                placeholder="shop"
                value={draft.namespace}
                onChange={(e) => set({ namespace: e.currentTarget.value })}
              />
            </div>
            <Checkbox
              label={t("applications.new.automated")}
              checked={draft.automated}
              onChange={(e) => set({ automated: e.currentTarget.checked })}
            />
            <Checkbox
              label={t("applications.new.makeNamespace")}
              checked={draft.makeNamespace}
              onChange={(e) => set({ makeNamespace: e.currentTarget.checked })}
            />
          </>
        ) : (
          <div style={{ height: "min(420px, 50dvh)", display: "flex" }}>
            <CodeEditor text={text} onChange={write} language="yaml" label={t("applications.new.yaml")} />
          </div>
        )}
        <CliLine command={text === undefined ? commandOf(draft) : "hawser app create -f application.yaml"} />
        {problem !== undefined && (
          <div role="alert" className={layout.bad}>
            <PlainText text={[problem.message, problem.fix].filter(Boolean).join(" ")} lines={6} />{" "}
            <code>{problem.id || problem.code}</code>
          </div>
        )}
        <div role="status">{check.isSuccess && t("applications.new.good")}</div>
        <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
          <Button
            variant="subtle"
            style={{ marginRight: "auto" }}
            onClick={() => write(text === undefined ? toYAML(manifestOf(draft)) : undefined)}
          >
            {text === undefined ? t("applications.new.asYAML") : t("applications.new.asForm")}
          </Button>
          <Button variant="default" onClick={() => check.mutate()} loading={check.isPending} disabled={!complete}>
            {t("applications.new.check")}
          </Button>
          <Button type="submit" loading={create.isPending} disabled={!complete}>
            {t("applications.new.create")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

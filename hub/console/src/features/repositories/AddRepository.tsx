import { Button, Checkbox, Select, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { RepositoryRequest } from "../../api/types";
import { api, idempotencyKey, Problem } from "../../client";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import layout from "../../ui/layout.module.css";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { SideSheet } from "../../ui/SideSheet";
import { cli } from "../../ui/shell";
import { ErrorView } from "../../ui/states";
import { toast } from "../../ui/toast";
import { CredentialFields, Rest } from "./CredentialFields";
import {
  blankCredential,
  type CredentialDraft,
  credentialKeys,
  fieldsOf,
  flagsOf,
  isWhole,
  mistakesIn,
  some,
  ways,
} from "./credential";
import { TrialSteps } from "./Trial";
import { useTrial } from "./useTrial";

const types = ["git", "helm", "oci"] as const;
interface Form extends CredentialDraft {
  url: string;
  type: (typeof types)[number];
  name: string;
  project: string;
  enableSubmodules: boolean;
  enableLFS: boolean;
}

const blank: Form = {
  ...blankCredential,
  ...{ url: "", type: "git", name: "", project: "", enableSubmodules: false, enableLFS: false },
};

/** What the hub is sent: only what belongs to the chosen way to log in. */
export function requestOf(f: Form): RepositoryRequest {
  return {
    url: f.url.trim(),
    type: f.type,
    name: some(f.name),
    project: some(f.project),
    ...fieldsOf(f),
    enableSubmodules: f.type === "git" ? f.enableSubmodules || undefined : undefined,
    enableLFS: f.type === "git" ? f.enableLFS || undefined : undefined,
  };
}

/** The same on the command line. */
export function commandOf(f: Form): string {
  const r = requestOf(f);
  const option = (name: string, v: string | undefined) => (v === undefined ? [] : [name, v]);
  return cli(
    "hawser",
    "repo",
    "add",
    r.url || "URL",
    ...(r.type === "git" ? [] : option("--type", r.type)),
    ...option("--name", r.name),
    ...option("--project", r.project),
    ...flagsOf(r),
    r.enableSubmodules && "--enable-submodules",
    r.enableLFS && "--enable-lfs",
  );
}

/** Registers a repository; it can be tried first, and the hub stores only what answers. */
export function AddRepository({ project, onClose }: { project: string | undefined; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const [form, setForm] = useState<Form>({ ...blank, project: project ?? "" });
  const trial = useTrial();
  const set = <K extends keyof Form>(key: K, v: Form[K]) => setForm((old) => ({ ...old, [key]: v }));
  const add = useMutation({
    mutationFn: () => api.addRepository(requestOf(form), { idempotencyKey: idempotencyKey() }),
    onSuccess: (stored) => {
      void client.invalidateQueries({ queryKey: ["repositories"] });
      toast(t("repositories.added", { url: plainLine(stored.value.url) }));
      onClose();
    },
  });
  const problem = add.isError ? Problem.of(add.error) : undefined;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    add.mutate();
  };
  const input = (key: "url" | "name" | "project", placeholder = "", focus = false) => (
    <TextInput
      label={t(`repositories.field.${key}`)}
      placeholder={placeholder}
      value={form[key]}
      onChange={(e) => set(key, e.currentTarget.value)}
      error={problem?.field === key ? <PlainText text={problem.message} lines={3} /> : undefined}
      autoComplete="off"
      spellCheck={false}
      data-autofocus={focus || undefined}
    />
  );
  const box = (key: "enableSubmodules" | "enableLFS") => (
    <Checkbox
      label={t(`repositories.field.${key}`)}
      checked={form[key]}
      onChange={(e) => set(key, e.currentTarget.checked)}
    />
  );
  const ready = form.url.trim() !== "" && isWhole(form) && Object.keys(mistakesIn(form)).length === 0;
  return (
    <SideSheet title={t("repositories.add")} onClose={onClose} width={560}>
      <form onSubmit={submit} className={layout.form} style={{ padding: 16 }}>
        {input("url", "https://git.example.com/team/app.git", true)}
        <Select
          label={t("repositories.type")}
          data={types.map((value) => ({ value, label: t(`repositories.type.${value}`) }))}
          value={form.type}
          onChange={(v) => v !== null && set("type", v as Form["type"])}
          allowDeselect={false}
        />
        <CredentialFields
          draft={form}
          onChange={(part) => setForm((old) => ({ ...old, ...part }))}
          ways={ways.filter((w) => w !== "keep" && (w !== "app" || form.type === "git"))}
          type={form.type}
          stored={false}
          problem={problem}
          more={
            <>
              <div className={layout.pair}>
                {input("name", "charts")}
                {input("project", t("repositories.anyProject"))}
              </div>
              {form.type === "git" && box("enableSubmodules")}
              {form.type === "git" && box("enableLFS")}
            </>
          }
        />
        <CliLine command={commandOf(form)} />
        {trial.trial !== undefined && <TrialSteps trial={trial.trial} />}
        {trial.problem !== undefined && <ErrorView error={trial.problem} />}
        <Rest problem={problem} beside={["url", ...credentialKeys]} />
        <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
          <Button
            variant="default"
            onClick={() => void trial.run(requestOf(form))}
            disabled={!ready}
            loading={trial.running}
          >
            {t("repositories.test")}
          </Button>
          <Button type="submit" loading={add.isPending} disabled={!ready}>
            {t("repositories.add.do")}
          </Button>
        </div>
      </form>
    </SideSheet>
  );
}

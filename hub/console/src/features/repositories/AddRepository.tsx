import { Button, Checkbox, Collapse, PasswordInput, Select, Textarea, TextInput } from "@mantine/core";
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
import { TrialSteps } from "./Trial";
import { useTrial } from "./useTrial";

const types = ["git", "helm", "oci"] as const;
const ways = ["none", "password", "token", "ssh"] as const;

interface Form {
  url: string;
  type: (typeof types)[number];
  name: string;
  project: string;
  way: (typeof ways)[number];
  username: string;
  password: string;
  bearerToken: string;
  sshKey: string;
  knownHosts: string;
  caBundle: string;
  proxy: string;
  insecureSkipVerify: boolean;
  insecureIgnoreHostKey: boolean;
  enableSubmodules: boolean;
  enableLFS: boolean;
}

const blank: Form = {
  url: "",
  type: "git",
  name: "",
  project: "",
  way: "none",
  username: "",
  password: "",
  bearerToken: "",
  sshKey: "",
  knownHosts: "",
  caBundle: "",
  proxy: "",
  insecureSkipVerify: false,
  insecureIgnoreHostKey: false,
  enableSubmodules: false,
  enableLFS: false,
};

/** What the hub is sent: only what belongs to the chosen way to log in. */
export function requestOf(f: Form): RepositoryRequest {
  const some = (x: string) => (x.trim() === "" ? undefined : x.trim());
  const key = (x: string) => (x.trim() === "" ? undefined : `${x.trim()}\n`);
  return {
    url: f.url.trim(),
    type: f.type,
    name: some(f.name),
    project: some(f.project),
    ...(f.way === "password" && { username: some(f.username), password: f.password || undefined }),
    ...(f.way === "token" && { bearerToken: some(f.bearerToken) }),
    ...(f.way === "ssh" && {
      sshKey: key(f.sshKey),
      knownHosts: key(f.knownHosts),
      insecureIgnoreHostKey: f.insecureIgnoreHostKey || undefined,
    }),
    caBundle: key(f.caBundle),
    proxy: some(f.proxy),
    insecureSkipVerify: f.insecureSkipVerify || undefined,
    enableSubmodules: f.type === "git" ? f.enableSubmodules || undefined : undefined,
    enableLFS: f.type === "git" ? f.enableLFS || undefined : undefined,
  };
}

/** The same on the command line, which reads secrets from files and never from its words. */
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
    ...option("--username", r.username),
    ...(r.password === undefined ? [] : ["--password-stdin"]),
    ...(r.bearerToken === undefined ? [] : ["--bearer-token-file", "token"]),
    ...(r.sshKey === undefined ? [] : ["--ssh-key-file", "id_ed25519"]),
    ...(r.knownHosts === undefined ? [] : ["--known-hosts-file", "known_hosts"]),
    ...(r.caBundle === undefined ? [] : ["--ca-file", "ca.pem"]),
    ...option("--proxy", r.proxy),
    r.insecureSkipVerify && "--insecure-skip-tls-verify",
    r.insecureIgnoreHostKey && "--insecure-ignore-host-key",
    r.enableSubmodules && "--enable-submodules",
    r.enableLFS && "--enable-lfs",
  );
}

/** Registers a repository; it can be tried first, and the hub stores only what answers. */
export function AddRepository({ project, onClose }: { project: string | undefined; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const [form, setForm] = useState<Form>({ ...blank, project: project ?? "" });
  const [more, setMore] = useState(false);
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
  const input = (key: "url" | "name" | "project" | "username" | "proxy", placeholder = "", focus = false) => (
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
  const area = (key: "sshKey" | "knownHosts" | "caBundle", placeholder: string) => (
    <Textarea
      label={t(`repositories.field.${key}`)}
      placeholder={placeholder}
      value={form[key]}
      onChange={(e) => set(key, e.currentTarget.value)}
      autosize
      minRows={3}
      maxRows={8}
      spellCheck={false}
      autoComplete="off"
    />
  );
  const box = (key: "insecureSkipVerify" | "insecureIgnoreHostKey" | "enableSubmodules" | "enableLFS") => (
    <Checkbox
      label={t(`repositories.field.${key}`)}
      checked={form[key]}
      onChange={(e) => set(key, e.currentTarget.checked)}
    />
  );
  const secret = (key: "password" | "bearerToken") => (
    <PasswordInput
      label={t(`repositories.field.${key}`)}
      value={form[key]}
      onChange={(e) => set(key, e.currentTarget.value)}
      autoComplete="new-password"
      visibilityToggleButtonProps={{ "aria-label": t("repositories.show") }}
    />
  );
  return (
    <SideSheet title={t("repositories.add")} onClose={onClose} width={560}>
      <form onSubmit={submit} className={layout.form} style={{ padding: 16 }}>
        {input("url", "https://git.example.com/team/app.git", true)}
        <div className={layout.pair}>
          <Select
            label={t("repositories.type")}
            data={types.map((value) => ({ value, label: t(`repositories.type.${value}`) }))}
            value={form.type}
            onChange={(v) => v !== null && set("type", v as Form["type"])}
            allowDeselect={false}
          />
          <Select
            label={t("repositories.way")}
            data={ways.map((value) => ({ value, label: t(`repositories.way.${value}`) }))}
            value={form.way}
            onChange={(v) => v !== null && set("way", v as Form["way"])}
            allowDeselect={false}
          />
        </div>
        {form.way === "password" && (
          <div className={layout.pair}>
            {input("username", "git")}
            {secret("password")}
          </div>
        )}
        {form.way === "token" && secret("bearerToken")}
        {form.way === "ssh" && (
          <>
            {area("sshKey", "-----BEGIN OPENSSH PRIVATE KEY-----")}
            {area("knownHosts", "git.example.com ssh-ed25519 AAAA…")}
            {box("insecureIgnoreHostKey")}
          </>
        )}
        <div>
          <Button variant="subtle" px={0} onClick={() => setMore(!more)} aria-expanded={more}>
            {t("repositories.more")}
          </Button>
        </div>
        <Collapse expanded={more}>
          <div className={layout.form}>
            <div className={layout.pair}>
              {input("name", "charts")}
              {input("project", t("repositories.anyProject"))}
              {input("proxy", "http://proxy:3128")}
            </div>
            {area("caBundle", "-----BEGIN CERTIFICATE-----")}
            {box("insecureSkipVerify")}
            {form.type === "git" && box("enableSubmodules")}
            {form.type === "git" && box("enableLFS")}
          </div>
        </Collapse>
        <CliLine command={commandOf(form)} />
        {trial.trial !== undefined && <TrialSteps trial={trial.trial} />}
        {trial.problem !== undefined && <ErrorView error={trial.problem} />}
        {problem !== undefined && problem.field !== "url" && (
          <div role="alert" className={layout.bad}>
            <PlainText text={[problem.message, problem.fix].filter(Boolean).join(" ")} lines={6} />{" "}
            <code>{problem.id || problem.code}</code>
          </div>
        )}
        <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
          <Button
            variant="default"
            onClick={() => void trial.run(requestOf(form))}
            disabled={form.url.trim() === ""}
            loading={trial.running}
          >
            {t("repositories.test")}
          </Button>
          <Button type="submit" loading={add.isPending} disabled={form.url.trim() === ""}>
            {t("repositories.add.do")}
          </Button>
        </div>
      </form>
    </SideSheet>
  );
}

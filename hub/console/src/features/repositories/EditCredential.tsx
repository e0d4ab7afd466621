import { Button, Checkbox, PasswordInput, Select, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Repository, RepositoryTemplate } from "../../api/types";
import { api, idempotencyKey, Problem } from "../../client";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import layout from "../../ui/layout.module.css";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { toast } from "../../ui/toast";
import { changeOf, commandOfEdit, type Edit, editOf, isWhole, type Way, ways } from "./credentialChange";

type Target =
  | { what: "repo"; stored: Repository; etag: string | undefined }
  | { what: "repocreds"; stored: RepositoryTemplate | undefined; etag: string | undefined };

/**
 * Changes a repository or a credential template, its credential too, or stores a new template. What
 * is stored of secrets is not shown; a new one takes its place, and the hub tries a repository first.
 */
export function EditCredential({ target, project, onDone }: { target: Target; project?: string; onDone: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const { what, stored, etag } = target;
  const [before] = useState(() => editOf(stored, project));
  const [edit, setEdit] = useState<Edit>(before);
  const set = <K extends keyof Edit>(key: K, v: Edit[K]) => setEdit((old) => ({ ...old, [key]: v }));
  const change = changeOf(edit, before);
  const save = useMutation({
    mutationFn: async (): Promise<unknown> => {
      if (stored === undefined)
        return api.addRepositoryTemplate(
          { ...changeOf(edit, editOf(undefined)), url: edit.url.trim() },
          { idempotencyKey: idempotencyKey() },
        );
      if (what === "repo") return api.changeRepository(stored.id, change, { ifMatch: etag });
      return api.changeRepositoryTemplate(stored.id, change, { ifMatch: etag });
    },
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["repositories"] });
      toast(t("repositories.edit.saved", { url: plainLine(edit.url) }));
      onDone();
    },
  });
  const problem = save.isError ? Problem.of(save.error) : undefined;
  const input = (key: "url" | "name" | "project" | "username" | "proxy", placeholder = "") => (
    <TextInput
      label={t(`repositories.field.${key}`)}
      placeholder={placeholder}
      value={edit[key]}
      onChange={(e) => set(key, e.currentTarget.value)}
      autoComplete="off"
      spellCheck={false}
    />
  );
  const secret = (key: "password" | "bearerToken") => (
    <PasswordInput
      label={t(`repositories.field.${key}`)}
      value={edit[key]}
      onChange={(e) => set(key, e.currentTarget.value)}
      autoComplete="new-password"
      visibilityToggleButtonProps={{ "aria-label": t("repositories.show") }}
    />
  );
  const area = (key: "sshKey" | "knownHosts" | "caBundle", placeholder: string) => (
    <Textarea
      label={t(`repositories.field.${key}`)}
      description={stored !== undefined && key !== "sshKey" ? t("repositories.edit.stays") : undefined}
      placeholder={placeholder}
      value={edit[key]}
      onChange={(e) => set(key, e.currentTarget.value)}
      autosize
      minRows={3}
      maxRows={8}
      spellCheck={false}
      autoComplete="off"
    />
  );
  const possible = stored === undefined ? (["password", "token", "ssh"] as const) : ways;
  const nothing = stored !== undefined && Object.keys(change).length === 0;
  return (
    <form
      className={layout.form}
      aria-label={t(stored === undefined ? "repositories.templates.add" : "repositories.edit")}
      onSubmit={(e) => {
        e.preventDefault();
        save.mutate();
      }}
    >
      {stored === undefined && input("url", "https://git.example.com/team")}
      <div className={layout.pair}>
        {what === "repo" && input("name", "charts")}
        {input("project", t("repositories.anyProject"))}
      </div>
      <Select
        label={t("repositories.way")}
        description={stored === undefined ? undefined : t("repositories.edit.secrets")}
        data={possible.map((value) => ({
          value,
          label: value === "keep" ? t("repositories.edit.keep") : t(`repositories.way.${value}`),
        }))}
        value={edit.way}
        onChange={(v) => v !== null && set("way", v as Way)}
        allowDeselect={false}
      />
      {edit.way === "password" && (
        <div className={layout.pair}>
          {input("username", "git")}
          {secret("password")}
        </div>
      )}
      {edit.way === "token" && secret("bearerToken")}
      {edit.way === "ssh" && (
        <>
          {area("sshKey", "-----BEGIN OPENSSH PRIVATE KEY-----")}
          {area("knownHosts", "git.example.com ssh-ed25519 AAAA…")}
        </>
      )}
      {area("caBundle", "-----BEGIN CERTIFICATE-----")}
      {input("proxy", "http://proxy:3128")}
      <Checkbox
        label={t("repositories.field.insecureSkipVerify")}
        checked={edit.insecureSkipVerify}
        onChange={(e) => set("insecureSkipVerify", e.currentTarget.checked)}
      />
      <CliLine command={commandOfEdit(what, edit)} />
      {problem !== undefined && (
        <div role="alert" className={layout.bad}>
          <PlainText text={[problem.message, problem.fix].filter(Boolean).join(" ")} lines={6} />{" "}
          <code>{problem.id || problem.code}</code>
        </div>
      )}
      <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
        <Button variant="default" onClick={onDone}>
          {t("ui.cancel")}
        </Button>
        <Button type="submit" disabled={nothing || !isWhole(edit)} loading={save.isPending}>
          {t(stored === undefined ? "repositories.templates.add.do" : "repositories.edit.save")}
        </Button>
      </div>
    </form>
  );
}

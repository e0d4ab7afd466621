import { Button, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Repository, RepositoryTemplate } from "../../api/types";
import { api, idempotencyKey, Problem } from "../../client";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import layout from "../../ui/layout.module.css";
import { plainLine } from "../../ui/plain";
import { toast } from "../../ui/toast";
import { CredentialFields, Rest } from "./CredentialFields";
import { credentialKeys, ways } from "./credential";
import { changeOf, commandOfEdit, type Edit, editOf, isWhole } from "./credentialChange";

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
  const input = (key: "url" | "name" | "project", placeholder = "") => (
    <TextInput
      label={t(`repositories.field.${key}`)}
      placeholder={placeholder}
      value={edit[key]}
      onChange={(e) => set(key, e.currentTarget.value)}
      autoComplete="off"
      spellCheck={false}
    />
  );
  const possible = stored === undefined ? ways.filter((w) => w !== "keep" && w !== "none") : ways;
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
      <CredentialFields
        draft={edit}
        onChange={(part) => setEdit((old) => ({ ...old, ...part }))}
        ways={possible}
        type={stored !== undefined && "type" in stored ? stored.type : undefined}
        stored={stored !== undefined}
        problem={problem}
      />
      <CliLine command={commandOfEdit(what, edit)} />
      <Rest problem={problem} beside={credentialKeys} />
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

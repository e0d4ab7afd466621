import { Button, Checkbox, Modal, Select, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { APIToken } from "../../api/types";
import { api, idempotencyKey, Problem } from "../../client";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import layout from "../../ui/layout.module.css";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { Secret } from "../../ui/Secret";
import { cli } from "../../ui/shell";
import { formatGrants, parseGrants } from "./grants";
import { Listed } from "./Listed";
import { tokensQuery } from "./queries";

const lives = ["24h", "168h", "720h", "2160h", "8760h"] as const;

/** API tokens: issued once, never shown again, revoked. */
export function Tokens() {
  const t = useT();
  const client = useQueryClient();
  const tokens = useQuery(tokensQuery);
  const [creating, setCreating] = useState(false);
  const [revoke, setRevoke] = useState<APIToken>();
  return (
    <>
      <Listed
        title={t("settings.tokens")}
        help={t("settings.tokens.help")}
        query={tokens}
        rowKey={(r) => r.id}
        actions={<Button onClick={() => setCreating(true)}>{t("settings.tokens.new")}</Button>}
        empty={<CliLine command="hawser token create ci --grant 'operator:team-*' --ttl 720h" />}
        columns={[
          { key: "name", title: t("settings.name"), cell: (r) => <MiddleTruncate text={r.name} /> },
          {
            key: "may",
            title: t("settings.may"),
            cell: (r) => (r.admin ? t("settings.admin") : <PlainText text={formatGrants(r.grants) || "–"} />),
          },
          { key: "created", title: t("settings.created"), cell: (r) => <RelativeTime at={r.createdAt} /> },
          {
            key: "used",
            title: t("settings.used"),
            cell: (r) => (r.lastUsed === undefined ? t("ui.never") : <RelativeTime at={r.lastUsed} />),
          },
          { key: "expires", title: t("settings.expires"), cell: (r) => <RelativeTime at={r.expiresAt} /> },
          {
            key: "do",
            title: "",
            cell: (r) => (
              <span className={layout.rowButtons}>
                <Button
                  variant="subtle"
                  color="red"
                  aria-label={t("settings.tokens.revoke.name", { name: plainLine(r.name) })}
                  onClick={() => setRevoke(r)}
                >
                  {t("settings.tokens.revoke")}
                </Button>
              </span>
            ),
          },
        ]}
      />
      {creating && <NewToken onClose={() => setCreating(false)} />}
      {revoke !== undefined && (
        <ConfirmDialog
          title={t("settings.tokens.revoke.name", { name: plainLine(revoke.name) })}
          action={t("settings.tokens.revoke")}
          cli={cli("hawser", "token", "delete", revoke.id)}
          onConfirm={async () => {
            await api.deleteToken(revoke.id);
            void client.invalidateQueries({ queryKey: tokensQuery.queryKey });
          }}
          onClose={() => setRevoke(undefined)}
        >
          {t("settings.tokens.revoke.what")}
        </ConfirmDialog>
      )}
    </>
  );
}

function NewToken({ onClose }: { onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [ttl, setTTL] = useState<string>("720h");
  const [admin, setAdmin] = useState(false);
  const [text, setText] = useState("");
  const grants = parseGrants(text);
  const issue = useMutation({
    mutationFn: () =>
      api.createToken(
        { name: name.trim(), ttl, ...(admin ? { admin: true } : { grants: grants ?? [] }) },
        { idempotencyKey: idempotencyKey() },
      ),
    onSuccess: () => void client.invalidateQueries({ queryKey: tokensQuery.queryKey }),
  });
  const problem = issue.isError ? Problem.of(issue.error) : undefined;
  const may = name.trim() !== "" && (admin || (grants !== undefined && grants.length > 0));
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (may) issue.mutate();
  };
  return (
    <Modal
      opened
      onClose={onClose}
      closeOnClickOutside={false}
      title={t("settings.tokens.new")}
      closeButtonProps={{ "aria-label": t("ui.close") }}
    >
      {issue.data !== undefined ? (
        <Secret value={issue.data.token} onDone={onClose} />
      ) : (
        <form onSubmit={submit} className={layout.form}>
          <TextInput
            label={t("settings.name")}
            placeholder="ci"
            value={name}
            onChange={(e) => setName(e.currentTarget.value)}
            autoComplete="off"
            data-autofocus
          />
          <Select
            label={t("settings.ttl")}
            data={lives.map((value) => ({ value, label: t("settings.days", { n: Number.parseInt(value, 10) / 24 }) }))}
            value={ttl}
            onChange={(v) => v !== null && setTTL(v)}
            allowDeselect={false}
          />
          <Grants text={text} onText={setText} admin={admin} onAdmin={setAdmin} />
          <CliLine
            command={cli(
              "hawser",
              "token",
              "create",
              name.trim() || "NAME",
              ...(admin ? ["--admin"] : (grants ?? []).flatMap((g) => ["--grant", `${g.role}:${g.project}`])),
              "--ttl",
              ttl,
            )}
          />
          <Failed problem={problem} />
          <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
            <Button variant="default" onClick={onClose}>
              {t("ui.cancel")}
            </Button>
            <Button type="submit" disabled={!may} loading={issue.isPending}>
              {t("settings.tokens.issue")}
            </Button>
          </div>
        </form>
      )}
    </Modal>
  );
}

/** What somebody may do: everything, or roles in projects. */
export function Grants({
  text,
  onText,
  admin,
  onAdmin,
}: {
  text: string;
  onText: (x: string) => void;
  admin: boolean;
  onAdmin: (x: boolean) => void;
}) {
  const t = useT();
  return (
    <>
      <Checkbox
        label={t("settings.admin.everything")}
        checked={admin}
        onChange={(e) => onAdmin(e.currentTarget.checked)}
      />
      {!admin && (
        <Textarea
          label={t("settings.grants")}
          description={t("settings.grants.help")}
          placeholder={"operator:team-*\nviewer:*"}
          value={text}
          onChange={(e) => onText(e.currentTarget.value)}
          error={parseGrants(text) === undefined ? t("settings.grants.invalid") : undefined}
          autosize
          minRows={2}
          maxRows={8}
          spellCheck={false}
        />
      )}
    </>
  );
}

/** Why a form was not taken. */
export function Failed({ problem }: { problem: Problem | undefined }) {
  if (problem === undefined) return null;
  return (
    <div role="alert" className={layout.bad}>
      <PlainText text={[problem.message, problem.fix].filter(Boolean).join(" ")} lines={6} />{" "}
      <code>{problem.id || problem.code}</code>
    </div>
  );
}

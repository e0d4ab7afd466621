import { Button, Select, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, idempotencyKey } from "../../client";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { Icon } from "../../ui/Icon";
import layout from "../../ui/layout.module.css";
import { PlainTable } from "../../ui/PlainTable";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { Secret } from "../../ui/Secret";
import { SideSheet } from "../../ui/SideSheet";
import { cli } from "../../ui/shell";
import { ErrorView, LoadingView } from "../../ui/states";
import { toastProblem } from "../../ui/toast";
import { roleTokensQuery } from "./queries";

const lives = ["24h", "168h", "720h", "2160h", "8760h"] as const;

/** Tokens of a role of a project: issued once, shown once, revoked. */
export function RoleTokens({ project, role, onClose }: { project: string; role: string; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const tokens = useQuery(roleTokensQuery(project, role));
  const [name, setName] = useState("");
  const [ttl, setTTL] = useState<string>("720h");
  const [revoke, setRevoke] = useState<{ id: string; name?: string }>();
  const again = () => void client.invalidateQueries({ queryKey: roleTokensQuery(project, role).queryKey });
  const issue = useMutation({
    mutationFn: () =>
      api.createRoleToken(project, role, { name: name.trim() || undefined, ttl }, { idempotencyKey: idempotencyKey() }),
    onSuccess: () => {
      setName("");
      again();
    },
    onError: (e) => toastProblem(t, e),
  });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    issue.mutate();
  };
  return (
    <SideSheet title={t("projects.tokens.title", { role: plainLine(role) })} onClose={onClose}>
      <div className={layout.form} style={{ padding: 16 }}>
        <form onSubmit={submit} className={layout.form}>
          <div className={layout.pair}>
            <TextInput
              label={t("projects.tokens.name")}
              placeholder="ci"
              value={name}
              onChange={(e) => setName(e.currentTarget.value)}
              autoComplete="off"
            />
            <Select
              label={t("projects.tokens.ttl")}
              data={lives.map((value) => ({
                value,
                label: t("projects.tokens.days", { n: Number.parseInt(value, 10) / 24 }),
              }))}
              value={ttl}
              onChange={(v) => v !== null && setTTL(v)}
              allowDeselect={false}
            />
          </div>
          <div>
            <Button type="submit" loading={issue.isPending}>
              {t("projects.tokens.issue")}
            </Button>
          </div>
          <CliLine command={cli("hawser", "project", "role", "create-token", project, role, "--ttl", ttl)} />
        </form>
        {issue.data !== undefined && <Secret value={issue.data.token} onDone={() => issue.reset()} />}
      </div>
      {tokens.isPending ? (
        <LoadingView rows={3} />
      ) : tokens.isError ? (
        <ErrorView error={tokens.error} onRetry={() => void tokens.refetch()} />
      ) : tokens.data.items.length === 0 ? (
        <p className={layout.help} style={{ padding: "0 16px" }}>
          {t("projects.tokens.empty")}
        </p>
      ) : (
        <PlainTable
          label={t("projects.tokens.title", { role: plainLine(role) })}
          rows={tokens.data.items}
          rowKey={(r) => r.id}
          columns={[
            {
              key: "name",
              title: t("projects.tokens.name"),
              cell: (r) => <MiddleTruncate text={r.name || r.id} most={24} />,
            },
            { key: "by", title: t("projects.tokens.by"), cell: (r) => <PlainText text={r.createdBy} /> },
            {
              key: "used",
              title: t("projects.tokens.used"),
              cell: (r) => (r.lastUsed === undefined ? t("ui.never") : <RelativeTime at={r.lastUsed} />),
            },
            { key: "expires", title: t("projects.tokens.expires"), cell: (r) => <RelativeTime at={r.expiresAt} /> },
            {
              key: "do",
              title: "",
              cell: (r) => (
                <Button
                  variant="subtle"
                  color="red"
                  leftSection={<Icon name="trash" size={12} />}
                  aria-label={t("projects.tokens.revoke.name", { name: plainLine(r.name || r.id) })}
                  onClick={() => setRevoke(r)}
                >
                  {t("projects.tokens.revoke")}
                </Button>
              ),
            },
          ]}
        />
      )}
      {revoke !== undefined && (
        <ConfirmDialog
          title={t("projects.tokens.revoke.name", { name: plainLine(revoke.name || revoke.id) })}
          action={t("projects.tokens.revoke")}
          cli={cli("hawser", "project", "role", "delete-token", project, role, revoke.id)}
          onConfirm={async () => {
            await api.deleteRoleToken(project, role, revoke.id);
            again();
          }}
          onClose={() => setRevoke(undefined)}
        >
          {t("projects.tokens.revoke.what")}
        </ConfirmDialog>
      )}
    </SideSheet>
  );
}

import { Button, Modal, PasswordInput, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { Account } from "../../api/types";
import { api, idempotencyKey, Problem } from "../../client";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import layout from "../../ui/layout.module.css";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusText } from "../../ui/StatusIcon";
import { cli } from "../../ui/shell";
import { formatGrants, parseGrants } from "./grants";
import { Listed } from "./Listed";
import { accountsQuery } from "./queries";
import { Failed, Grants } from "./Tokens";

/** Local users, who log in with a password. */
export function Accounts() {
  const t = useT();
  const client = useQueryClient();
  const accounts = useQuery(accountsQuery);
  const [editing, setEditing] = useState<Account | "new">();
  const [asking, setAsking] = useState<{ what: "disable" | "enable" | "delete"; account: Account }>();
  const again = () => void client.invalidateQueries({ queryKey: accountsQuery.queryKey });
  return (
    <>
      <Listed
        title={t("settings.accounts")}
        help={t("settings.accounts.help")}
        query={accounts}
        rowKey={(r) => r.id}
        actions={<Button onClick={() => setEditing("new")}>{t("settings.accounts.new")}</Button>}
        empty={<CliLine command="hawser account create ann --grant 'operator:team-*'" />}
        columns={[
          { key: "name", title: t("settings.name"), cell: (r) => <MiddleTruncate text={r.name} /> },
          {
            key: "state",
            title: t("settings.state"),
            cell: (r) => (
              <StatusText state={r.enabled ? "healthy" : "suspended"}>
                {t(r.enabled ? "settings.accounts.enabled" : "settings.accounts.disabled")}
              </StatusText>
            ),
          },
          {
            key: "may",
            title: t("settings.may"),
            cell: (r) => (r.admin ? t("settings.admin") : <PlainText text={formatGrants(r.grants) || "–"} />),
          },
          {
            key: "login",
            title: t("settings.accounts.login"),
            cell: (r) => (r.lastLogin === undefined ? t("ui.never") : <RelativeTime at={r.lastLogin} />),
          },
          {
            key: "password",
            title: t("settings.accounts.password"),
            cell: (r) => <RelativeTime at={r.passwordChangedAt} />,
          },
          {
            key: "do",
            title: "",
            cell: (r) => (
              <span className={layout.rowButtons}>
                <Button
                  variant="subtle"
                  onClick={() => setEditing(r)}
                  aria-label={t("settings.accounts.edit.name", { name: plainLine(r.name) })}
                >
                  {t("settings.accounts.edit")}
                </Button>
                <Button
                  variant="subtle"
                  onClick={() => setAsking({ what: r.enabled ? "disable" : "enable", account: r })}
                  aria-label={t(r.enabled ? "settings.accounts.disable.name" : "settings.accounts.enable.name", {
                    name: plainLine(r.name),
                  })}
                >
                  {t(r.enabled ? "settings.accounts.disable" : "settings.accounts.enable")}
                </Button>
                <Button
                  variant="subtle"
                  color="red"
                  onClick={() => setAsking({ what: "delete", account: r })}
                  aria-label={t("settings.accounts.delete.name", { name: plainLine(r.name) })}
                >
                  {t("settings.accounts.delete")}
                </Button>
              </span>
            ),
          },
        ]}
      />
      {editing !== undefined && (
        <AccountDialog
          account={editing === "new" ? undefined : editing}
          onDone={again}
          onClose={() => setEditing(undefined)}
        />
      )}
      {asking !== undefined && (
        <ConfirmDialog
          title={t(`settings.accounts.${asking.what}.name`, { name: plainLine(asking.account.name) })}
          action={t(`settings.accounts.${asking.what}`)}
          dangerous={asking.what !== "enable"}
          type={asking.what === "delete" ? asking.account.name : undefined}
          cli={cli("hawser", "account", asking.what, asking.account.name)}
          onConfirm={async () => {
            await (asking.what === "delete"
              ? api.deleteAccount(asking.account.name)
              : api.changeAccount(asking.account.name, { enabled: asking.what === "enable" }));
            again();
          }}
          onClose={() => setAsking(undefined)}
        >
          {t(`settings.accounts.${asking.what}.what`)}
        </ConfirmDialog>
      )}
    </>
  );
}

function AccountDialog({
  account,
  onDone,
  onClose,
}: {
  /** Left out for a new one. */
  account: Account | undefined;
  onDone: () => void;
  onClose: () => void;
}) {
  const t = useT();
  const [name, setName] = useState(account?.name ?? "");
  const [password, setPassword] = useState("");
  const [admin, setAdmin] = useState(account?.admin ?? false);
  const [text, setText] = useState(formatGrants(account?.grants).replace(/, /g, "\n"));
  const grants = parseGrants(text);
  const save = useMutation({
    mutationFn: () => {
      const may = admin ? { admin: true, grants: [] } : { admin: false, grants: grants ?? [] };
      return account === undefined
        ? api.createAccount(
            { name: name.trim(), password, admin: may.admin, grants: admin ? undefined : may.grants },
            { idempotencyKey: idempotencyKey() },
          )
        : api.changeAccount(account.name, { ...may, password: password === "" ? undefined : password });
    },
    onSuccess: () => {
      onDone();
      onClose();
    },
  });
  const may = (account !== undefined || (name.trim() !== "" && password !== "")) && (admin || grants !== undefined);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (may) save.mutate();
  };
  const rights = admin ? ["--admin"] : (grants ?? []).flatMap((g) => ["--grant", `${g.role}:${g.project}`]);
  return (
    <Modal
      opened
      onClose={onClose}
      title={
        account === undefined
          ? t("settings.accounts.new")
          : t("settings.accounts.edit.name", { name: plainLine(account.name) })
      }
      closeButtonProps={{ "aria-label": t("ui.close") }}
    >
      <form onSubmit={submit} className={layout.form}>
        {account === undefined && (
          <TextInput
            label={t("settings.name")}
            value={name}
            onChange={(e) => setName(e.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
            data-autofocus
          />
        )}
        <PasswordInput
          label={t(account === undefined ? "settings.accounts.passwordFirst" : "settings.accounts.passwordNew")}
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
          autoComplete="new-password"
          visibilityToggleButtonProps={{ "aria-label": t("settings.accounts.show") }}
        />
        <Grants text={text} onText={setText} admin={admin} onAdmin={setAdmin} />
        {account !== undefined && <p className={layout.help}>{t("settings.accounts.edit.what")}</p>}
        <CliLine
          command={
            account === undefined
              ? cli("hawser", "account", "create", name.trim() || "NAME", ...rights)
              : cli(
                  "hawser",
                  "account",
                  "set",
                  account.name,
                  ...(account.admin && !admin ? ["--no-admin"] : []),
                  ...rights,
                  password !== "" && "--password",
                )
          }
        />
        <Failed problem={save.isError ? Problem.of(save.error) : undefined} />
        <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={onClose}>
            {t("ui.cancel")}
          </Button>
          <Button type="submit" disabled={!may} loading={save.isPending}>
            {t("settings.save")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

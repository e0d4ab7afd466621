import { Button, Modal, Textarea } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { GpgKey } from "../../api/types";
import { api, idempotencyKey, Problem } from "../../client";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import layout from "../../ui/layout.module.css";
import { PlainText } from "../../ui/PlainText";
import { RelativeTime } from "../../ui/RelativeTime";
import { StatusText } from "../../ui/StatusIcon";
import { cli } from "../../ui/shell";
import { Listed } from "./Listed";
import { gpgKeysQuery } from "./queries";
import { Failed } from "./Tokens";

/** Public GnuPG keys that projects may trust. */
export function GpgKeys() {
  const t = useT();
  const client = useQueryClient();
  const keys = useQuery(gpgKeysQuery);
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<GpgKey>();
  const [text, setText] = useState("");
  const again = () => void client.invalidateQueries({ queryKey: gpgKeysQuery.queryKey });
  const add = useMutation({
    mutationFn: () => api.addGPGKeys({ keyData: text }, { idempotencyKey: idempotencyKey() }),
    onSuccess: () => {
      setText("");
      setAdding(false);
      again();
    },
  });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    add.mutate();
  };
  return (
    <>
      <Listed
        title={t("settings.gpg")}
        help={t("settings.gpg.help")}
        query={keys}
        rowKey={(r) => r.keyID}
        actions={<Button onClick={() => setAdding(true)}>{t("settings.gpg.add")}</Button>}
        empty={<CliLine command="hawser gpg add --from key.asc" />}
        columns={[
          { key: "id", title: t("settings.gpg.id"), cell: (r) => <PlainText text={r.keyID} mono /> },
          { key: "owner", title: t("settings.gpg.owner"), cell: (r) => <PlainText text={r.owner} /> },
          { key: "type", title: t("settings.gpg.type"), cell: (r) => <PlainText text={r.subType} /> },
          {
            key: "state",
            title: t("settings.state"),
            cell: (r) => (
              <StatusText state={r.revoked ? "degraded" : "healthy"}>
                {t(r.revoked ? "settings.gpg.revoked" : "settings.gpg.valid")}
              </StatusText>
            ),
          },
          {
            key: "expires",
            title: t("settings.expires"),
            cell: (r) => (r.expiresAt === undefined ? t("ui.never") : <RelativeTime at={r.expiresAt} />),
          },
          { key: "added", title: t("settings.created"), cell: (r) => <RelativeTime at={r.addedAt} /> },
          {
            key: "do",
            title: "",
            cell: (r) => (
              <span className={layout.rowButtons}>
                <Button
                  variant="subtle"
                  color="red"
                  onClick={() => setRemoving(r)}
                  aria-label={t("settings.gpg.remove.name", { id: r.keyID })}
                >
                  {t("settings.gpg.remove")}
                </Button>
              </span>
            ),
          },
        ]}
      />
      {adding && (
        <Modal
          opened
          onClose={() => setAdding(false)}
          title={t("settings.gpg.add")}
          size="lg"
          closeButtonProps={{ "aria-label": t("ui.close") }}
        >
          <form onSubmit={submit} className={layout.form}>
            <Textarea
              label={t("settings.gpg.armored")}
              placeholder="-----BEGIN PGP PUBLIC KEY BLOCK-----"
              value={text}
              onChange={(e) => setText(e.currentTarget.value)}
              autosize
              minRows={8}
              maxRows={18}
              spellCheck={false}
              data-autofocus
            />
            <CliLine command="hawser gpg add --from key.asc" />
            <Failed problem={add.isError ? Problem.of(add.error) : undefined} />
            <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
              <Button variant="default" onClick={() => setAdding(false)}>
                {t("ui.cancel")}
              </Button>
              <Button type="submit" disabled={text.trim() === ""} loading={add.isPending}>
                {t("settings.gpg.add.do")}
              </Button>
            </div>
          </form>
        </Modal>
      )}
      {removing !== undefined && (
        <ConfirmDialog
          title={t("settings.gpg.remove.name", { id: removing.keyID })}
          action={t("settings.gpg.remove")}
          cli={cli("hawser", "gpg", "remove", removing.keyID)}
          onConfirm={async () => {
            await api.deleteGPGKey(removing.keyID);
            again();
          }}
          onClose={() => setRemoving(undefined)}
        >
          {t("settings.gpg.remove.what")}
        </ConfirmDialog>
      )}
    </>
  );
}

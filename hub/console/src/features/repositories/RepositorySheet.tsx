import { Button, Checkbox } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Repository } from "../../api/types";
import { api } from "../../client";
import { useFormat, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { Facts } from "../../ui/Facts";
import layout from "../../ui/layout.module.css";
import { MiddleTruncate, PlainText, SafeLink } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { SideSheet } from "../../ui/SideSheet";
import { cli } from "../../ui/shell";
import { ErrorView, LoadingView } from "../../ui/states";
import { quotedTerm } from "../../ui/terms";
import { EditCredential } from "./EditCredential";
import { repositoryQuery, usersQuery } from "./queries";
import { RepositoryState } from "./RepositoryState";
import { TrialSteps } from "./Trial";
import { useTrial } from "./useTrial";

/** One repository: how it answers and why not, what opens it, and who uses it. */
export function RepositorySheet({ id, project, onClose }: { id: string; project?: string; onClose: () => void }) {
  const t = useT();
  const repository = useQuery(repositoryQuery(id));
  const r = repository.data?.value;
  return (
    <SideSheet
      title={r === undefined ? t("repositories.title") : <MiddleTruncate text={r.url} most={48} />}
      onClose={onClose}
      width={560}
    >
      {repository.isPending ? (
        <LoadingView rows={6} />
      ) : r === undefined ? (
        <ErrorView error={repository.error} onRetry={() => void repository.refetch()} />
      ) : (
        <Details key={id} repository={r} etag={repository.data?.etag} project={project} onClose={onClose} />
      )}
    </SideSheet>
  );
}

function Details({
  repository: r,
  etag,
  project,
  onClose,
}: {
  repository: Repository;
  etag: string | undefined;
  project: string | undefined;
  onClose: () => void;
}) {
  const t = useT();
  const format = useFormat();
  const client = useQueryClient();
  const users = useQuery(usersQuery(r.url));
  const trial = useTrial();
  const [deleting, setDeleting] = useState(false);
  const [force, setForce] = useState(false);
  const [editing, setEditing] = useState(false);
  const c = r.credential;
  const list = (x: string[] | undefined) => (x === undefined || x.length === 0 ? undefined : x.join(", "));
  const test = async () => {
    if ((await trial.run({ url: r.url })) !== undefined) void client.invalidateQueries({ queryKey: ["repositories"] });
  };
  if (editing)
    return (
      <div style={{ padding: 16 }}>
        <EditCredential target={{ what: "repo", stored: r, etag }} onDone={() => setEditing(false)} />
      </div>
    );
  return (
    <div className={layout.form} style={{ padding: 16 }}>
      <div style={{ margin: "-16px -16px -12px" }}>
        <Facts
          facts={[
            { name: t("repositories.state"), value: <RepositoryState repository={r} /> },
            ...(r.state === "error" && r.errorCode
              ? [{ name: t("repositories.code"), value: <code>{plainLine(r.errorCode)}</code> }]
              : []),
            ...(r.since ? [{ name: t("repositories.since"), value: <RelativeTime at={r.since} /> }] : []),
            {
              name: t("repositories.checked"),
              value: r.lastCheck === undefined ? t("ui.never") : <RelativeTime at={r.lastCheck} />,
            },
            { name: t("repositories.url"), value: <SafeLink href={r.url} /> },
            { name: t("repositories.type"), value: plainLine(r.type) },
            ...(r.name ? [{ name: t("repositories.field.name"), value: <PlainText text={r.name} /> }] : []),
            {
              name: t("repositories.field.project"),
              value: r.project ? <PlainText text={r.project} /> : t("repositories.anyProject"),
            },
            {
              name: t("repositories.way"),
              value: r.inheritedFrom ? (
                t("repositories.credential.template", { url: plainLine(r.inheritedFrom) })
              ) : (
                <PlainText text={list(c?.kinds) ?? t("repositories.way.none")} />
              ),
            },
            ...(c?.username
              ? [{ name: t("repositories.field.username"), value: <PlainText text={c.username} /> }]
              : []),
            ...(list(c?.insecure)
              ? [
                  {
                    name: t("repositories.insecure"),
                    value: <span className={layout.bad}>{plainLine(list(c?.insecure) ?? "")}</span>,
                  },
                ]
              : []),
            ...(list(c?.options)
              ? [{ name: t("repositories.options"), value: plainLine(list(c?.options) ?? "") }]
              : []),
            ...(c?.proxy ? [{ name: t("repositories.field.proxy"), value: <PlainText text={c.proxy} /> }] : []),
            {
              name: t("repositories.users"),
              value:
                users.data === undefined ? (
                  "…"
                ) : (
                  <Link to={paths.applications} search={{ project, q: quotedTerm("repo", r.url) }}>
                    {format.number(users.data)}
                  </Link>
                ),
            },
          ]}
        />
      </div>
      <div className={layout.buttons}>
        <Button onClick={() => void test()} loading={trial.running}>
          {t("repositories.test")}
        </Button>
        <Button variant="default" onClick={() => setEditing(true)}>
          {t("repositories.edit")}
        </Button>
        <Button variant="default" color="red" onClick={() => setDeleting(true)}>
          {t("repositories.delete")}
        </Button>
      </div>
      {trial.trial !== undefined && <TrialSteps trial={trial.trial} />}
      {trial.problem !== undefined && <ErrorView error={trial.problem} onRetry={() => void test()} />}
      <CliLine command={cli("hawser", "repo", "test", r.url)} />
      {deleting && (
        <ConfirmDialog
          title={t("repositories.delete.title")}
          action={t("repositories.delete")}
          cli={cli("hawser", "repo", "remove", r.url, force && "--force")}
          onConfirm={async () => {
            await api.deleteRepository(r.id, { force: force || undefined }, { ifMatch: etag });
            void client.invalidateQueries({ queryKey: ["repositories"] });
            onClose();
          }}
          onClose={() => setDeleting(false)}
        >
          <div className={layout.form}>
            <PlainText text={r.url} lines={3} />
            <span>{t("repositories.delete.what", { n: users.data ?? 0 })}</span>
            {(users.data ?? 0) > 0 && (
              <Checkbox
                label={t("repositories.delete.force")}
                checked={force}
                onChange={(e) => setForce(e.currentTarget.checked)}
              />
            )}
          </div>
        </ConfirmDialog>
      )}
    </div>
  );
}

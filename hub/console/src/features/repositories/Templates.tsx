import { Button } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { RepositoryTemplate } from "../../api/types";
import { api } from "../../client";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import layout from "../../ui/layout.module.css";
import { PlainTable } from "../../ui/PlainTable";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { SideSheet } from "../../ui/SideSheet";
import { cli } from "../../ui/shell";
import { EmptyView, ErrorView, LoadingView } from "../../ui/states";
import { EditCredential } from "./EditCredential";
import { templateQuery, templatesQuery } from "./queries";

/** Credential templates: one credential for all repositories below a URL. */
export function Templates({ onEdit, onAdd }: { onEdit: (id: string) => void; onAdd: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const templates = useQuery(templatesQuery);
  const [deleting, setDeleting] = useState<RepositoryTemplate>();
  const add = <Button onClick={onAdd}>{t("repositories.templates.add")}</Button>;
  return (
    <section aria-label={t("repositories.templates")}>
      <div className={layout.head}>
        <div>
          <h2>{t("repositories.templates")}</h2>
          <p>{t("repositories.templates.help")}</p>
        </div>
        {(templates.data?.total ?? 0) > 0 && add}
      </div>
      {templates.isPending ? (
        <LoadingView rows={4} />
      ) : templates.isError ? (
        <ErrorView error={templates.error} onRetry={() => void templates.refetch()} />
      ) : templates.data.items.length === 0 ? (
        <EmptyView title={t("repositories.templates.none")} actions={add}>
          <CliLine command="hawser repocreds add https://git.example.com/team --username git --password-stdin" />
        </EmptyView>
      ) : (
        <PlainTable
          label={t("repositories.templates")}
          rows={templates.data.items}
          rowKey={(r) => r.id}
          columns={[
            { key: "url", title: t("repositories.url"), cell: (r) => <MiddleTruncate text={r.url} most={60} /> },
            {
              key: "project",
              title: t("repositories.field.project"),
              cell: (r) => (r.project ? <PlainText text={r.project} /> : t("repositories.anyProject")),
            },
            {
              key: "way",
              title: t("repositories.way"),
              cell: (r) => <PlainText text={r.credential?.kinds?.join(", ") || "–"} />,
            },
            {
              key: "do",
              title: "",
              cell: (r) => (
                <span className={layout.rowButtons}>
                  <Button
                    variant="subtle"
                    onClick={() => onEdit(r.id)}
                    aria-label={t("repositories.templates.edit.name", { url: plainLine(r.url) })}
                  >
                    {t("repositories.edit")}
                  </Button>
                  <Button
                    variant="subtle"
                    color="red"
                    onClick={() => setDeleting(r)}
                    aria-label={t("repositories.templates.delete.name", { url: plainLine(r.url) })}
                  >
                    {t("repositories.delete")}
                  </Button>
                </span>
              ),
            },
          ]}
        />
      )}
      {deleting !== undefined && (
        <ConfirmDialog
          title={t("repositories.templates.delete.title")}
          action={t("repositories.delete")}
          cli={cli(
            "hawser",
            "repocreds",
            "remove",
            deleting.url,
            ...(deleting.project ? ["--project", deleting.project] : []),
          )}
          onConfirm={async () => {
            await api.deleteRepositoryTemplate(deleting.id);
            await client.invalidateQueries({ queryKey: ["repositories"] });
          }}
          onClose={() => setDeleting(undefined)}
        >
          <div className={layout.form}>
            <PlainText text={deleting.url} lines={3} />
            <span>{t("repositories.templates.delete.what")}</span>
          </div>
        </ConfirmDialog>
      )}
    </section>
  );
}

/** The sheet that changes a template. */
export function TemplateSheet({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useT();
  const template = useQuery(templateQuery(id));
  const r = template.data?.value;
  return (
    <SideSheet
      title={r === undefined ? t("repositories.templates") : <MiddleTruncate text={r.url} most={48} />}
      onClose={onClose}
      width={560}
    >
      {template.isPending ? (
        <LoadingView rows={6} />
      ) : r === undefined ? (
        <ErrorView error={template.error} onRetry={() => void template.refetch()} />
      ) : (
        <div style={{ padding: 16 }}>
          <EditCredential
            key={id}
            target={{ what: "repocreds", stored: r, etag: template.data?.etag }}
            onDone={onClose}
          />
        </div>
      )}
    </SideSheet>
  );
}

/** The sheet that stores a new one. */
export function AddTemplateSheet({ project, onClose }: { project: string | undefined; onClose: () => void }) {
  const t = useT();
  return (
    <SideSheet title={t("repositories.templates.add")} onClose={onClose} width={560}>
      <div style={{ padding: 16 }}>
        <EditCredential
          target={{ what: "repocreds", stored: undefined, etag: undefined }}
          project={project}
          onDone={onClose}
        />
      </div>
    </SideSheet>
  );
}

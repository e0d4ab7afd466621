import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { AppProject, ProjectPreview } from "../../api/types";
import { api } from "../../client";
import { useT } from "../../i18n";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { CopyButton } from "../../ui/CopyButton";
import { LineDiff } from "../../ui/LineDiff";
import layout from "../../ui/layout.module.css";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { cli } from "../../ui/shell";
import { toast } from "../../ui/toast";
import { toYAML } from "../../ui/yaml";
import { projectQuery } from "./queries";

/** What of a project people write: without what the hub sets. */
export function manifest(p: AppProject): AppProject {
  const { name, labels, annotations, finalizers } = p.metadata;
  return {
    apiVersion: p.apiVersion,
    kind: p.kind,
    metadata: { name, labels, annotations, finalizers },
    spec: p.spec,
  };
}

/** Shows what a changed project means, and stores it when that is wanted. */
export function SaveDialog({
  before,
  after,
  etag,
  preview,
  onSaved,
  onClose,
}: {
  before: AppProject;
  after: AppProject;
  /** Version that the draft was made of: what somebody else stored since is not overwritten. */
  etag: string | undefined;
  preview: ProjectPreview;
  onSaved: () => void;
  onClose: () => void;
}) {
  const t = useT();
  const client = useQueryClient();
  const name = after.metadata.name;
  const save = useMutation({
    mutationFn: () => api.putProject(name, manifest(after), {}, { ifMatch: etag }),
    onSuccess: (stored) => {
      client.setQueryData(projectQuery(name).queryKey, stored);
      void client.invalidateQueries({ queryKey: ["projects"] });
      toast(t("projects.saved", { name: plainLine(name) }));
      onSaved();
    },
  });
  const yaml = toYAML(manifest(after));
  return (
    <ConfirmDialog
      title={t("projects.save.title", { name: plainLine(name) })}
      action={t("projects.save")}
      dangerous={preview.invalidCount > 0}
      type={preview.invalidCount > 0 ? name : undefined}
      cli={cli("hawser", "project", "apply", "-f", `${name}.yaml`)}
      onConfirm={() => save.mutateAsync()}
      onClose={onClose}
    >
      <div className={layout.form}>
        <ImpactList preview={preview} />
        <LineDiff before={toYAML(manifest(before))} after={yaml} label={t("projects.save.diff")} />
        <div>
          <CopyButton value={yaml} label={t("projects.copyYAML")} />
        </div>
      </div>
    </ConfirmDialog>
  );
}

/** What a change means for applications, what it newly allows, and what is dangerous about it. */
export function ImpactList({ preview }: { preview: ProjectPreview }) {
  const t = useT();
  const most = 20;
  return (
    <div>
      {preview.invalidCount > 0 ? (
        <>
          <strong className={layout.bad}>{t("projects.impact.invalid", { n: preview.invalidCount })}</strong>
          <ul className={layout.list}>
            {preview.invalid.slice(0, most).map((a) => (
              <li key={a.name}>
                <PlainText text={a.name} /> <span className={layout.dim}>({plainLine(a.cluster)})</span>:{" "}
                <PlainText text={a.refusal.message} lines={2} />
              </li>
            ))}
            {preview.invalidCount > most && <li>{t("projects.impact.more", { n: preview.invalidCount - most })}</li>}
          </ul>
        </>
      ) : (
        <p className={layout.help}>{t("projects.impact.none", { n: preview.applications })}</p>
      )}
      {preview.validCount > 0 && <p className={layout.help}>{t("projects.impact.valid", { n: preview.validCount })}</p>}
      {(preview.unknown ?? 0) > 0 && (
        <p className={layout.help}>{t("projects.impact.unknown", { n: preview.unknown ?? 0 })}</p>
      )}
      {preview.widened.length > 0 && (
        <>
          <strong>{t("projects.impact.widened")}</strong>
          <ul className={layout.list}>
            {preview.widened.slice(0, most).map((w) => (
              <li key={w}>
                <PlainText text={w} lines={2} />
              </li>
            ))}
          </ul>
        </>
      )}
      {preview.warnings.length > 0 && (
        <>
          <strong>{t("projects.impact.warnings")}</strong>
          <ul className={layout.list}>
            {preview.warnings.map((w) => (
              <li key={w}>
                <PlainText text={w} lines={3} />
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

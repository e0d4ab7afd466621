import { Checkbox, Radio, Stack, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Job } from "../../api/types";
import { api, idempotencyKey } from "../../client";
import { useT } from "../../i18n";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { ErrorView, LoadingView } from "../../ui/states";
import classes from "./BulkBar.module.css";
import { type BulkKind, type BulkOptions, bulkLine, jobRequest, mostItems, type Target } from "./bulk";
import { previewQuery } from "./queries";

/**
 * Asks before a command to many: how many it is about now, what it does with which
 * options, and for a deletion the number typed. What it starts is one job of the hub.
 */
export function BulkDialog({
  kind,
  target,
  onStarted,
  onClose,
}: {
  kind: BulkKind;
  target: Target;
  onStarted: (job: Job) => void;
  onClose: () => void;
}) {
  const t = useT();
  const client = useQueryClient();
  const [options, setOptions] = useState<BulkOptions>({ prune: false, dryRun: false, hard: false, reason: "" });
  // The same however often it is sent, as after the password was asked for.
  const [key] = useState(idempotencyKey);
  const preview = useQuery(previewQuery(target));
  const set = (o: Partial<BulkOptions>) => setOptions((old) => ({ ...old, ...o }));
  const count = preview.data?.total;
  const ready =
    count !== undefined && count > 0 && count <= mostItems && (kind !== "delete" || options.cascade !== undefined);
  return (
    <ConfirmDialog
      title={count === undefined ? t(`applications.bulk.${kind}`) : t(`applications.bulk.${kind}.title`, { n: count })}
      action={t(`applications.bulk.${kind}`)}
      dangerous={kind === "delete"}
      type={kind === "delete" && count !== undefined ? String(count) : undefined}
      cli={bulkLine(kind, target, options)}
      disabled={!ready}
      onClose={onClose}
      onConfirm={async () => {
        const job = await api.submitJob(jobRequest(kind, target, options), { idempotencyKey: key });
        void client.invalidateQueries({ queryKey: ["jobs"] });
        onStarted(job);
      }}
    >
      {preview.isPending ? (
        <LoadingView rows={4} />
      ) : preview.isError ? (
        <ErrorView error={preview.error} onRetry={() => void preview.refetch()} />
      ) : (
        <Stack gap="sm">
          <div>{t(`applications.bulk.${kind}.what`)}</div>
          {target.query !== undefined && (
            <div className={classes.dim}>
              {t("applications.bulk.query")}{" "}
              <code>
                <PlainText text={target.query.filter === "" ? "name:*" : target.query.filter} />
              </code>
            </div>
          )}
          <ul className={classes.names}>
            {preview.data.names.map((n) => (
              <li key={n}>
                <MiddleTruncate text={n} most={32} />
              </li>
            ))}
          </ul>
          {preview.data.total > preview.data.names.length && (
            <div className={classes.dim}>
              {t("applications.bulk.more", { n: preview.data.total - preview.data.names.length })}
            </div>
          )}
          {preview.data.total > mostItems && (
            <div className={classes.warning} role="alert">
              {t("applications.bulk.tooMany", { most: mostItems })}
            </div>
          )}
          {preview.data.total === 0 && (
            <div className={classes.warning} role="alert">
              {t("applications.bulk.none")}
            </div>
          )}
          {preview.data.stale > 0 && kind !== "refresh" && (
            <div className={classes.warning}>{t("applications.bulk.stale", { n: preview.data.stale })}</div>
          )}
          {(kind === "sync" || kind === "rollback") && (
            <>
              <Checkbox
                label={t("applications.bulk.prune")}
                checked={options.prune}
                onChange={(e) => set({ prune: e.currentTarget.checked })}
              />
              <Checkbox
                label={t("applications.bulk.dryRun")}
                checked={options.dryRun}
                onChange={(e) => set({ dryRun: e.currentTarget.checked })}
              />
              <TextInput
                label={t("applications.bulk.reason")}
                value={options.reason}
                maxLength={500}
                onChange={(e) => set({ reason: e.currentTarget.value })}
              />
            </>
          )}
          {kind === "refresh" && (
            <Checkbox
              label={t("applications.bulk.hard")}
              checked={options.hard}
              onChange={(e) => set({ hard: e.currentTarget.checked })}
            />
          )}
          {kind === "delete" && (
            <Radio.Group
              label={t("applications.bulk.objects")}
              value={options.cascade === undefined ? null : options.cascade ? "delete" : "keep"}
              onChange={(v) => set({ cascade: v === "delete" })}
            >
              <Stack gap={6} mt={6}>
                <Radio value="keep" label={t("applications.bulk.keep")} />
                <Radio value="delete" label={t("applications.bulk.cascade")} />
              </Stack>
            </Radio.Group>
          )}
        </Stack>
      )}
    </ConfirmDialog>
  );
}

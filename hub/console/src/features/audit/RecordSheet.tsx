import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import type { AuditRecord } from "../../api/types";
import { useFormat, useT } from "../../i18n";
import { CopyButton } from "../../ui/CopyButton";
import { Facts } from "../../ui/Facts";
import layout from "../../ui/layout.module.css";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { SideSheet } from "../../ui/SideSheet";
import { LoadingView } from "../../ui/states";
import { Outcome } from "./Outcome";

/** Everything that one record says, and ways to what belongs to it. */
export function RecordSheet({
  seq,
  record,
  searching,
  onFilter,
  onClose,
}: {
  seq: string;
  record: AuditRecord | undefined;
  /** It is looked for further down. */
  searching: boolean;
  onFilter: (next: Record<string, string | undefined>) => void;
  onClose: () => void;
}) {
  const t = useT();
  return (
    <SideSheet title={t("audit.record", { seq: plainLine(seq) })} onClose={onClose}>
      {record !== undefined ? (
        <Details record={record} onFilter={onFilter} />
      ) : searching ? (
        <LoadingView rows={8} />
      ) : (
        <p className={layout.section}>{t("audit.record.missing")}</p>
      )}
    </SideSheet>
  );
}

function Details({
  record: r,
  onFilter,
}: {
  record: AuditRecord;
  onFilter: (next: Record<string, string | undefined>) => void;
}) {
  const t = useT();
  const format = useFormat();
  const text = (v: string | undefined, key?: string): ReactNode =>
    v === undefined || v === "" ? undefined : (
      <span className={layout.buttons}>
        <PlainText text={v} lines={8} />
        {key !== undefined && (
          <Button
            variant="subtle"
            size="compact-xs"
            onClick={() => onFilter({ [key]: v })}
            aria-label={t("audit.only.name", { term: plainLine(v) })}
          >
            {t("audit.only")}
          </Button>
        )}
      </span>
    );
  const facts: [string, ReactNode][] = [
    [t("audit.outcome"), <Outcome key="o" record={r} />],
    [t("audit.at"), format.dateTime(r.at)],
    [t("audit.kind"), t(`audit.kind.${r.kind}`)],
    [t("audit.action"), text(r.action, "action")],
    [t("audit.actor"), text(r.actor, "actor")],
    [t("audit.subject"), text([r.provider, r.subject].filter(Boolean).join(": "))],
    [t("audit.from"), text(r.from)],
    [t("audit.filter.resource"), text(r.resource, "resource")],
    [t("audit.filter.name"), text(r.name, "name")],
    [t("audit.filter.in"), text(r.project, "in")],
    [t("audit.cluster"), text(r.cluster, "cluster")],
    [t("audit.code"), text([r.status ? String(r.status) : "", r.code ?? ""].filter(Boolean).join(" "))],
    [t("audit.reason"), text(r.reason)],
    [t("audit.fields"), text(r.fields?.join(", "))],
    [t("audit.dryRun.title"), r.dryRun ? t("audit.dryRun.what") : undefined],
    [t("audit.suppressed"), r.suppressed ? format.number(r.suppressed) : undefined],
    [t("audit.filter.request"), text(r.request, "request")],
    [t("audit.filter.operation"), text(r.operation, "operation")],
    [t("audit.digest"), text(r.digest)],
    [t("audit.prev"), text(r.prev)],
  ];
  return (
    <div style={{ paddingBottom: 16 }}>
      <Facts facts={facts.filter(([, v]) => v !== undefined && v !== null).map(([name, value]) => ({ name, value }))} />
      <p className={layout.help} style={{ margin: "0 20px 12px" }}>
        {t("audit.noSecrets")}
      </p>
      <div className={layout.buttons} style={{ margin: "0 20px 12px" }}>
        <CopyButton value={JSON.stringify(r, null, 2)} label={t("audit.copyJSON")} />
        <CopyButton value={location.href} label={t("audit.copyLink")} />
      </div>
    </div>
  );
}

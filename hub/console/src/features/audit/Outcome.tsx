import type { AuditRecord } from "../../api/types";
import { useT } from "../../i18n";
import type { State } from "../../ui/palette";
import { StatusText } from "../../ui/StatusIcon";

const states = {
  done: "healthy",
  denied: "suspended",
  rejected: "degraded",
  failed: "degraded",
  unknown: "unknown",
} as const satisfies Record<AuditRecord["outcome"], State>;

/** What came of it; a newer hub may have other words. */
export function Outcome({ record }: { record: AuditRecord }) {
  const t = useT();
  const state = states[record.outcome] ?? "unknown";
  return (
    <StatusText state={state}>
      {record.outcome in states ? t(`audit.outcome.${record.outcome}`) : t("audit.outcome.unknown")}
    </StatusText>
  );
}

import { Button } from "@mantine/core";
import { useT } from "../../i18n";
import { useChord } from "../../ui/chords";
import { plainLine } from "../../ui/plain";
import classes from "./BulkBar.module.css";
import { type BulkKind, bulkKinds, type Target } from "./bulk";

/** What is selected, and what can be done with it as one job. */
export function BulkBar({
  target,
  count,
  total,
  onAll,
  onCommand,
  onClear,
}: {
  target: Target;
  /** How many are selected. */
  count: number;
  /** How many the filter finds. */
  total: number;
  /** Selects all that the filter finds, also those that are not loaded. */
  onAll: () => void;
  onCommand: (kind: BulkKind) => void;
  onClear: () => void;
}) {
  const t = useT();
  const group = t("applications.selection");
  useChord("s", t("applications.bulk.sync"), group, () => onCommand("sync"));
  useChord("Escape", t("applications.selection.clear"), group, onClear);
  return (
    <section className={classes.bar} aria-label={group}>
      <strong role="status">
        {t("applications.selection.count", { n: count })}
        {target.query !== undefined && target.query.filter !== "" && (
          <code className={classes.query}>{plainLine(target.query.filter)}</code>
        )}
      </strong>
      {target.query === undefined && count < total && (
        <Button variant="subtle" size="compact-sm" onClick={onAll}>
          {t("applications.selection.all", { n: total })}
        </Button>
      )}
      <span className={classes.commands}>
        {bulkKinds.map((kind) => (
          <Button
            key={kind}
            size="compact-sm"
            variant={kind === "sync" ? "filled" : "default"}
            color={kind === "delete" ? "red" : undefined}
            onClick={() => onCommand(kind)}
          >
            {t(`applications.bulk.${kind}`)}…
          </Button>
        ))}
        <Button variant="subtle" size="compact-sm" onClick={onClear}>
          {t("applications.selection.clear")}
        </Button>
      </span>
    </section>
  );
}

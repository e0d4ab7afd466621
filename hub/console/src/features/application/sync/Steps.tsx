import { Checkbox, TextInput } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";
import { type MessageKey, useT } from "../../../i18n";
import { MiddleTruncate, PlainText } from "../../../ui/PlainText";
import { FilteredEmpty } from "../../../ui/states";
import { type Plan, type Step, type StepKind, stepKinds, stepSigns } from "./plan";
import classes from "./Sync.module.css";

export const stepWords: Record<StepKind, MessageKey> = {
  blocked: "sync.step.blocked",
  prune: "sync.step.prune",
  replace: "sync.step.replace",
  change: "sync.step.change",
  create: "sync.step.create",
  kept: "sync.step.kept",
  hook: "sync.step.hook",
  same: "sync.step.same",
};

/** The objects of a plan: counted by what would become of them, filtered, and chosen (Shift chooses up to there). */
export function Steps({
  plan,
  chosen,
  onChoose,
}: {
  plan: Plan;
  chosen: ReadonlySet<string>;
  onChoose: (ids: ReadonlySet<string>) => void;
}) {
  const t = useT();
  const [kind, setKind] = useState<StepKind>();
  const [text, setText] = useState("");
  const last = useRef<number>(undefined);
  const scroll = useRef<HTMLDivElement>(null);
  const shown = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return plan.steps.filter(
      (s) => (kind === undefined || s.kind === kind) && words.every((w) => s.id.toLowerCase().includes(w)),
    );
  }, [plan, kind, text]);
  const rows = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => 32,
    getItemKey: (i) => shown[i]?.id ?? i,
    overscan: 20,
  });
  const all = shown.length > 0 && shown.every((s) => chosen.has(s.id));
  const some = shown.some((s) => chosen.has(s.id));
  const put = (steps: readonly Step[], on: boolean) => {
    const next = new Set(chosen);
    for (const s of steps) {
      if (on) next.add(s.id);
      else next.delete(s.id);
    }
    onChoose(next);
  };
  return (
    <>
      <div className={classes.counts}>
        {stepKinds.map(
          (k) =>
            (plan.counts[k] ?? 0) > 0 && (
              <button
                key={k}
                type="button"
                className={classes.count}
                data-kind={k}
                aria-pressed={kind === k}
                onClick={() => setKind(kind === k ? undefined : k)}
              >
                <span aria-hidden="true">{stepSigns[k]}</span> {t(stepWords[k], { n: plan.counts[k] })}
              </button>
            ),
        )}
        {plan.same > 0 && <span className={classes.same}>{t("sync.step.same", { n: plan.same })}</span>}
      </div>
      <div className={classes.bar}>
        <Checkbox
          aria-label={t("sync.chooseAll")}
          checked={all}
          indeterminate={some && !all}
          onChange={() => put(shown, !all)}
        />
        <span className={classes.chosen}>{t("sync.chosen", { n: chosen.size, total: plan.steps.length })}</span>
        <TextInput
          className={classes.find}
          placeholder={t("sync.filter")}
          aria-label={t("sync.filter")}
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
        />
      </div>
      {shown.length === 0 ? (
        <FilteredEmpty
          total={plan.steps.length}
          onClear={() => {
            setKind(undefined);
            setText("");
          }}
        />
      ) : (
        <div ref={scroll} className={classes.scroll}>
          <ul className={classes.steps} style={{ height: rows.getTotalSize() }} aria-label={t("sync.steps")}>
            {rows.getVirtualItems().map((row) => {
              const s = shown[row.index] as Step;
              return (
                <li
                  key={row.key}
                  ref={rows.measureElement}
                  data-index={row.index}
                  className={classes.step}
                  data-kind={s.kind}
                  style={{ transform: `translateY(${row.start}px)` }}
                >
                  <Checkbox
                    aria-label={`${t("sync.kind", { kind: s.kind })} ${s.object.kind}/${s.object.name}`}
                    checked={chosen.has(s.id)}
                    onChange={() => {}}
                    onClick={(e) => {
                      const on = !chosen.has(s.id);
                      const from = e.shiftKey && last.current !== undefined ? last.current : row.index;
                      put(shown.slice(Math.min(from, row.index), Math.max(from, row.index) + 1), on);
                      last.current = row.index;
                    }}
                  />
                  <span className={classes.sign} aria-hidden="true">
                    {stepSigns[s.kind]}
                  </span>
                  <span className={classes.object}>
                    <span className={classes.kindName}>{s.object.kind}</span>{" "}
                    <MiddleTruncate text={s.object.name} most={52} />
                    {s.object.namespace !== undefined && (
                      <span className={classes.namespace}>
                        <MiddleTruncate text={s.object.namespace} most={32} />
                      </span>
                    )}
                    {s.message !== undefined && s.kind !== "create" && (
                      <span className={classes.message}>
                        <PlainText text={s.message} lines={3} />
                      </span>
                    )}
                  </span>
                </li>
              );
            })}
          </ul>
        </div>
      )}
    </>
  );
}

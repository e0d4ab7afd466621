import { ActionIcon, Button } from "@mantine/core";
import { type ReactNode, useState } from "react";
import type { RuleCount } from "../../api/types";
import { useFormat, useT } from "../../i18n";
import { Icon } from "../../ui/Icon";
import layout from "../../ui/layout.module.css";
import { type PlainColumn, PlainTable } from "../../ui/PlainTable";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RuleDialog } from "./RuleDialog";
import classes from "./Rules.module.css";
import { countsOf, type Field, listsOf, type Rule, type RuleTable, type Spec, type Values } from "./rules";

/**
 * The rules of one table: what each says and how much it matches now, or would match as
 * drafted. With onChange they can be added, changed and removed; that changes the draft.
 */
export function RuleTableView({
  table,
  spec,
  counts,
  onChange,
  note,
  actions,
}: {
  table: RuleTable;
  spec: Spec;
  /** Undefined while the hub has not counted, or does not for this caller. */
  counts: readonly RuleCount[] | undefined;
  onChange?: (spec: Spec) => void;
  note?: ReactNode;
  /** More buttons of a row. */
  actions?: (rule: Rule) => ReactNode;
}) {
  const t = useT();
  const [open, setOpen] = useState<{ at: number; values: Values }>();
  const rules = table.read(spec);
  const counted = counts === undefined ? undefined : countsOf(spec, counts);
  const inherited = counted?.inherited.filter((c) => listsOf[table.id]?.includes(c.list)) ?? [];
  const replace = (at: number, values: Values | undefined) => {
    const next = rules.slice();
    if (values === undefined) next.splice(at, 1);
    else next[at] = { ...rules[at], values };
    onChange?.(table.write(spec, next));
  };
  const name = (r: Rule) =>
    plainLine(
      table.fields
        .filter((f) => f.kind === "text")
        .map((f) => r.values[f.key])
        .filter((v) => v !== "")
        .join(" "),
    ).slice(0, 80);
  const columns: PlainColumn<Rule>[] = [
    { key: "#", title: "#", number: true, cell: (r) => rules.indexOf(r) + 1 },
    ...table.fields
      .filter((f) => !f.aside)
      .map((f) => ({ key: f.key, title: t(f.label), cell: (r: Rule) => <Value field={f} value={r.values[f.key]} /> })),
    ...(table.counted && counted !== undefined
      ? [
          {
            key: "matches",
            title: t("projects.rule.matches"),
            cell: (r: Rule) => <Matches count={counted.of(r)} />,
          },
        ]
      : []),
    ...(onChange === undefined && actions === undefined
      ? []
      : [
          {
            key: "do",
            title: "",
            cell: (r: Rule) => (
              <span className={layout.rowButtons}>
                {actions?.(r)}
                {onChange !== undefined && (
                  <>
                    <ActionIcon
                      aria-label={t("projects.rule.edit", { rule: name(r) })}
                      onClick={() => setOpen({ at: rules.indexOf(r), values: r.values })}
                    >
                      <Icon name="settings" size={14} />
                    </ActionIcon>
                    <ActionIcon
                      aria-label={t("projects.rule.remove", { rule: name(r) })}
                      onClick={() => replace(rules.indexOf(r), undefined)}
                    >
                      <Icon name="trash" size={14} />
                    </ActionIcon>
                  </>
                )}
              </span>
            ),
          },
        ]),
  ];
  return (
    <section aria-label={t(table.title)} className={classes.table}>
      <div className={layout.head}>
        <div>
          <h2>{t(table.title)}</h2>
          <p>{t(table.help)}</p>
        </div>
        {onChange !== undefined && (
          <Button variant="default" onClick={() => setOpen({ at: rules.length, values: table.blank })}>
            {t(table.add)}
          </Button>
        )}
      </div>
      {note}
      {rules.length === 0 ? (
        <p className={classes.empty}>{t(table.empty)}</p>
      ) : (
        <PlainTable label={t(table.title)} rows={rules} rowKey={(r) => String(rules.indexOf(r))} columns={columns} />
      )}
      {inherited.length > 0 && (
        <div className={classes.inherited}>
          <h3>{t("projects.rule.inherited", { n: inherited.length })}</h3>
          <ul className={layout.list}>
            {inherited.map((c, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: inherited rules have no other name
              <li key={i}>
                <Effect deny={c.denies === true} /> <PlainText text={c.rule} />{" "}
                <span className={layout.dim}>
                  <Matches count={c} />
                </span>
              </li>
            ))}
          </ul>
        </div>
      )}
      {open !== undefined && (
        <RuleDialog
          table={table}
          values={open.values}
          title={t(table.title)}
          onDone={(v) => replace(open.at, v)}
          onClose={() => setOpen(undefined)}
        />
      )}
    </section>
  );
}

function Value({ field, value }: { field: Field; value: string | boolean | undefined }) {
  const t = useT();
  if (field.kind === "flag") return <>{value === true ? t("projects.yes") : "–"}</>;
  if (value === "allow" || value === "deny") return <Effect deny={value === "deny"} />;
  if (field.kind === "choice") {
    const choice = field.choices?.find((c) => c.value === value);
    return <>{choice === undefined ? plainLine(String(value)) : t(choice.label)}</>;
  }
  const text = String(value ?? "");
  if (text === "") return <span className={layout.dim}>–</span>;
  return <PlainText text={text.split("\n").join(", ")} mono={field.kind === "text"} />;
}

/** Allow or deny, as shape and word. */
export function Effect({ deny }: { deny: boolean }) {
  const t = useT();
  return (
    <span className={classes.effect} data-deny={deny || undefined}>
      <Icon name={deny ? "close" : "check"} size={12} />
      {t(deny ? "projects.rule.deny" : "projects.rule.allow")}
    </span>
  );
}

function Matches({ count }: { count: RuleCount | undefined }) {
  const t = useT();
  const format = useFormat();
  if (count === undefined) return <>–</>;
  const parts = [
    count.clusters === undefined ? undefined : t("projects.matches.clusters", { n: count.clusters }),
    t("projects.matches.applications", { n: count.applications }),
    count.objects === undefined || count.objects === 0
      ? undefined
      : t("projects.matches.objects", { n: count.objects, shown: format.number(count.objects) }),
  ];
  return <span className={classes.matches}>{parts.filter(Boolean).join(" · ")}</span>;
}

import { useMemo } from "react";
import { useFormat, useT } from "../i18n";
import { type DiffLine, diffLines } from "./diffLines";
import classes from "./LineDiff.module.css";
import { plainLine } from "./plain";

const context = 3;
const most = 2000;
const signs = { same: " ", added: "+", removed: "−" } as const;

/** What changes between two short texts, with three lines around each change. */
export function LineDiff({ before, after, label }: { before: string; after: string; label: string }) {
  const t = useT();
  const format = useFormat();
  const shown = useMemo(() => near(diffLines(before, after)), [before, after]);
  if (shown.length === 0) return <p className={classes.none}>{t("ui.diff.none")}</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className={classes.diff} aria-label={label} tabIndex={0}>
      {shown.slice(0, most).map((l, i) =>
        l === undefined ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name
          <div key={i} className={classes.gap} aria-hidden="true">
            ⋯
          </div>
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name
          <div key={i} className={classes.line} data-kind={l.kind}>
            <span aria-hidden="true">{signs[l.kind]}</span>
            {l.kind !== "same" && (
              <span className="visually-hidden">{t(l.kind === "added" ? "ui.diff.added" : "ui.diff.removed")}</span>
            )}
            <bdi>{plainLine(l.text)}</bdi>
          </div>
        ),
      )}
      {shown.length > most && (
        <div className={classes.gap}>{t("ui.diff.more", { n: format.number(shown.length - most) })}</div>
      )}
    </section>
  );
}

/** The changed lines and those around them; undefined stands for what is left out. */
function near(all: readonly DiffLine[]): (DiffLine | undefined)[] {
  const keep = new Set<number>();
  all.forEach((l, i) => {
    if (l.kind !== "same") for (let j = i - context; j <= i + context; j++) keep.add(j);
  });
  const out: (DiffLine | undefined)[] = [];
  all.forEach((l, i) => {
    if (keep.has(i)) out.push(l);
    else if (keep.size > 0 && (keep.has(i - 1) || i === 0)) out.push(undefined);
  });
  return out;
}

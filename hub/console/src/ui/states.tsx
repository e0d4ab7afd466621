// What a view shows when it does not show its things: while it loads, when there is
// nothing, when nobody may see it, when it failed, when a part is missing.
import { Button, Skeleton } from "@mantine/core";
import { type ReactNode, useEffect, useState } from "react";
import { useT } from "../i18n";
import { Problem } from "../problem";
import { CopyButton } from "./CopyButton";
import { Explanation } from "./Explanation";
import { explained } from "./explained";
import { PlainText } from "./PlainText";
import classes from "./states.module.css";

/** Rows of a table that has not come yet, in the geometry of the table; nothing within the first 100 ms. */
export function LoadingView({ rows = 20, label }: { rows?: number; label?: string }) {
  const t = useT();
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), 100);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div role="status" aria-label={label ?? t("ui.loading")} aria-busy="true" className={classes.loading}>
      {shown &&
        Array.from({ length: rows }, (_, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all alike
          <Skeleton key={i} height={12} width={`${92 - ((i * 37) % 40)}%`} className={classes.skeletonRow} />
        ))}
    </div>
  );
}

interface Message {
  title: string;
  children?: ReactNode;
  /** Buttons or links: what to do about it. */
  actions?: ReactNode;
}

/** Nothing is there yet: what this is, one thing to do, and its command line. */
export function EmptyView({ title, children, actions }: Message) {
  return (
    <section className={classes.message}>
      <h2>{title}</h2>
      {children !== undefined && <div className={classes.body}>{children}</div>}
      {actions !== undefined && <div className={classes.actions}>{actions}</div>}
    </section>
  );
}

/** There are things, and the filter leaves none. `drop` tells which word of it does. */
export function FilteredEmpty({
  total,
  drop,
  onDrop,
  onClear,
}: {
  total: number;
  drop?: { term: string; leaves: number };
  onDrop?: (term: string) => void;
  onClear: () => void;
}) {
  const t = useT();
  return (
    <section className={classes.message} role="status">
      <h2>{t("ui.filteredEmpty.title", { total })}</h2>
      <div className={classes.actions}>
        {drop !== undefined && onDrop !== undefined && (
          <Button variant="default" onClick={() => onDrop(drop.term)}>
            {t("ui.filteredEmpty.drop", { term: drop.term, leaves: drop.leaves })}
          </Button>
        )}
        <Button variant="default" onClick={onClear}>
          {t("ui.filteredEmpty.clear")}
        </Button>
      </div>
    </section>
  );
}

/** Not allowed: why, and who can change it. The explanation of the problem is shown, or `children` in its place. */
export function DeniedView({ problem, children }: { problem: Problem; children?: ReactNode }) {
  const t = useT();
  const why = explained(problem.explain);
  return (
    <section className={classes.message} role="alert">
      <h2>
        {t("ui.denied.title")} <span className={classes.code}>{problem.id || problem.code}</span>
      </h2>
      <div className={classes.body}>
        <p>
          <PlainText text={problem.message} lines={6} />
        </p>
        {problem.fix !== undefined && (
          <p>
            <PlainText text={problem.fix} lines={6} />
          </p>
        )}
        {children ?? (why !== undefined && <Explanation of={why} />)}
        {why === undefined && <p className={classes.dim}>{t("ui.denied.ask")}</p>}
      </div>
      <div className={classes.actions}>
        <CopyButton value={details(problem)} label={t("ui.error.copy")} />
      </div>
    </section>
  );
}

/** What went wrong in one sentence, its code, and what to do; a denial is shown as one. */
export function ErrorView({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const t = useT();
  const problem = Problem.of(error);
  if (problem.isDenied) return <DeniedView problem={problem} />;
  return (
    <section className={classes.message} role="alert">
      <h2>
        {problem.isUnreachable && !problem.id // with a number it is the hub that says so
          ? t("ui.error.unreachable")
          : problem.isNotFound
            ? t("ui.error.notFound")
            : t("ui.error.title")}{" "}
        <span className={classes.code}>{problem.id || problem.code}</span>
      </h2>
      <div className={classes.body}>
        <p>
          <PlainText text={problem.message} lines={6} />
        </p>
        {problem.fix !== undefined && (
          <p>
            <PlainText text={problem.fix} lines={6} />
          </p>
        )}
      </div>
      <div className={classes.actions}>
        {onRetry !== undefined && <Button onClick={onRetry}>{t("ui.error.retry")}</Button>}
        <CopyButton value={details(problem)} label={t("ui.error.copy")} />
      </div>
    </section>
  );
}

/** The text for whoever helps: everything that is known, and no secret. */
export function details(p: Problem): string {
  const lines: [string, string | number | undefined][] = [
    ["code", [p.id, p.code].filter(Boolean).join(" ")],
    ["status", p.status || undefined],
    ["detail", p.message],
    ["field", p.field],
    ["found", p.found],
    ["allowed", p.allowed],
    ["fix", p.fix],
    ["request", p.requestId],
    ["trace", p.traceId],
  ];
  const out = lines.filter(([, v]) => v !== undefined && v !== "").map(([k, v]) => `${k}: ${v}`);
  out.push(`page: ${location.pathname}`);
  return out.join("\n");
}

/** A part is missing or old: says which, above what there is. */
export function PartialBanner({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className={classes.partial} role="status">
      <span className={classes.partialMark} aria-hidden="true" />
      <span className={classes.partialText}>{children}</span>
      {action}
    </div>
  );
}

import type { Job } from "../../api/types";
import { useT } from "../../i18n";
import classes from "./jobs.module.css";

/** How much of a job is done and how it went; in words for readers. */
export function Progress({ job }: { job: Pick<Job, "total" | "pending" | "accepted" | "failed" | "cancelled"> }) {
  const t = useT();
  const share = (n: number) => `${(100 * n) / Math.max(1, job.total)}%`;
  return (
    <div
      className={classes.progress}
      role="progressbar"
      aria-valuemin={0}
      aria-valuemax={job.total}
      aria-valuenow={job.total - job.pending}
      aria-label={t("jobs.progress", { done: job.total - job.pending, total: job.total, failed: job.failed })}
    >
      <span data-part="accepted" style={{ width: share(job.accepted) }} />
      <span data-part="failed" style={{ width: share(job.failed) }} />
      <span data-part="cancelled" style={{ width: share(job.cancelled) }} />
    </div>
  );
}

/** One check of an explanation, in the order in which the hub made them. */
export interface ExplainedCheck {
  rule: string;
  result: "passed" | "failed" | "not evaluated";
  message: string;
  matched?: string;
  nearest?: string;
  differs?: string;
}

/** Why something is or is not allowed, as POST /explain answers it and a 403 carries it. */
export interface Explained {
  allowed: boolean;
  id?: string;
  question?: string;
  project?: string;
  projectVersion?: number;
  changedAt?: string;
  changedBy?: string;
  canChange?: string;
  checks: ExplainedCheck[];
  refusals?: { message: string; fix?: string }[];
  refused?: number;
}

/** What a problem carries, when it is an explanation; a newer or broken hub may send something else. */
export function explained(x: unknown): Explained | undefined {
  if (x === null || typeof x !== "object") return undefined;
  const e = x as Partial<Explained>;
  if (typeof e.allowed !== "boolean" || !Array.isArray(e.checks) || e.checks.length === 0) return undefined;
  if (!e.checks.every((c) => typeof c?.rule === "string" && typeof c.message === "string")) return undefined;
  return e as Explained;
}

import type { Problem as ProblemDocument, ProblemItem } from "./api/types";

/** What went wrong, as the hub says it, or as the browser does when there is no hub. */
export class Problem extends Error {
  /** Stable word, such as destination_not_permitted. */
  readonly code: string;
  /** Stable number, such as HW-4103; "" when the code has none. */
  readonly id: string;
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  readonly field?: string;
  readonly found?: string;
  readonly allowed?: string;
  readonly fix?: string;
  readonly requestId?: string;
  readonly traceId?: string;
  /** All problems, when there are several. */
  readonly errors: readonly ProblemItem[];
  /** Why a permission was refused: the checks in order, as POST /explain answers them. */
  readonly explain?: unknown;
  /** Seconds after which the hub asks to be tried again. */
  readonly retryAfter?: number;

  constructor(document: Partial<ProblemDocument>, retryAfter?: number) {
    super(document.detail ?? document.title ?? "");
    this.name = "Problem";
    this.code = document.code ?? "answer_invalid";
    this.id = document.id ?? "";
    this.status = document.status ?? 0;
    this.field = document.field;
    this.found = document.found;
    this.allowed = document.allowed;
    this.fix = document.fix;
    this.requestId = document.requestId;
    this.traceId = document.traceId;
    this.errors = document.errors ?? [];
    this.explain = document.explain;
    this.retryAfter = retryAfter;
  }

  /** The hub did not answer, or something before it did in its place. */
  get isUnreachable(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
  get isDenied(): boolean {
    return this.status === 403;
  }
  get isNotFound(): boolean {
    return this.status === 404;
  }
  get isConflict(): boolean {
    return this.status === 409 || this.status === 412;
  }

  /** Any thrown thing as a Problem. */
  static of(e: unknown): Problem {
    if (e instanceof Problem) return e;
    return new Problem({ code: "console_failed", detail: e instanceof Error ? e.message : String(e) });
  }
}

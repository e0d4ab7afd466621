// The one way to the hub. Features call `api.listClusters(...)`; whatever goes wrong
// arrives as a `Problem`.
import { Client } from "./api/client";
import type { Problem as ProblemDocument } from "./api/types";
import { Problem } from "./problem";

export { Problem } from "./problem";

/** What the frame does for the transport; without a frame, as in tests, nothing. */
export interface Hooks {
  /** The session has ended: the frame shows the login, and comes back afterwards. */
  loginNeeded: () => void;
  /** Asks for the password once more; true when it was confirmed, so that the request is repeated. */
  confirmLogin: () => Promise<boolean>;
}

const none: Hooks = { loginNeeded: () => {}, confirmLogin: () => Promise.resolve(false) };
let hooks: Hooks = none;

/** Sets what the frame does; the function that it returns takes it back. */
export function setHooks(h: Hooks): () => void {
  hooks = h;
  return () => {
    if (hooks === h) hooks = none;
  };
}

/** Paths whose 401 means wrong credentials, and no ended session. */
const loginPaths = ["/api/v1/login", "/api/v1/session/confirm"];

async function problemOf(answer: Response): Promise<Problem> {
  const after = Number(answer.headers.get("Retry-After"));
  const document = (await answer.json().catch(() => undefined)) as Partial<ProblemDocument> | undefined;
  return new Problem(
    document !== null && typeof document === "object" && "code" in document
      ? { ...document, status: answer.status }
      : {
          status: answer.status,
          title: answer.statusText,
          code: answer.status >= 502 && answer.status <= 504 ? "hub_unreachable" : "answer_invalid",
          detail: `HTTP ${answer.status} ${answer.statusText}`.trim(),
        },
    Number.isFinite(after) && after > 0 ? after : undefined,
  );
}

async function once(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(input, { ...init, credentials: "same-origin" });
  } catch (e) {
    if (e instanceof DOMException && e.name === "AbortError") throw e;
    throw new Problem({ code: "hub_unreachable", detail: e instanceof Error ? e.message : String(e) });
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

/**
 * fetch that throws a Problem for every answer that is none of success. An ended
 * session leads to the login; a command that wants a fresh login asks for the
 * password and is sent again, with the same idempotency key.
 */
export async function hubFetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  try {
    return await once(input, init);
  } catch (e) {
    if (!(e instanceof Problem)) throw e;
    if (e.code === "login_confirmation_needed" && (await hooks.confirmLogin())) return once(input, init);
    if (e.status === 401 && !loginPaths.some((p) => String(input).endsWith(p))) hooks.loginNeeded();
    throw e;
  }
}

/** The operations of the hub. */
export const api = new Client({ fetch: hubFetch });

/** A key with which a command happens once however often it is sent. */
export function idempotencyKey(): string {
  return crypto.randomUUID();
}

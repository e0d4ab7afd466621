import { Problem } from "../problem";
import { type ServerEvent, serverEvents } from "./sse";

/** Kinds of things that change, as the hub names them. */
export type LiveType =
  | "application"
  | "applicationset"
  | "cluster"
  | "job"
  | "operation"
  | "project"
  | "repository"
  | "settings";

/** One thing that changed; of several changes of it the newest. */
export interface LiveEvent {
  type: LiveType;
  /** The body as the hub sent it: of an application {uid, name, view?, deleted?}. */
  data: unknown;
}

export type LiveState =
  | { phase: "connecting" }
  /** since: when the stream began. */
  | { phase: "live"; since: number }
  /** lostAt: what is shown is of then; retryAt: when the next attempt is. */
  | { phase: "reconnecting"; lostAt: number; retryAt: number; problem?: Problem }
  | { phase: "paused"; lostAt: number }
  /** The session or a permission ended; no attempt is made. */
  | { phase: "ended"; lostAt: number; problem: Problem };

export interface LiveOptions {
  url: string;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** At most two frames a second: everything that changed in between, each thing once. */
  onFrame: (events: LiveEvent[]) => void;
  /** Events were missed: everything is to be read again. */
  onReset: () => void;
  onState: (s: LiveState) => void;
  /** The hub's version, at the beginning of each stream. */
  onVersion?: (version: string) => void;
  frameEvery?: number;
}

const silence = 60_000; // the hub says something each 15 s

/** What tells one thing from another in a frame. */
function keyOf(type: string, data: unknown): string {
  const d = (data ?? {}) as Record<string, unknown>;
  return `${type} ${String(d.uid ?? d.id ?? d.name ?? d.key ?? "")}`;
}

/**
 * The one stream of events of a tab. It resumes where it was lost, tries again with
 * growing pauses, and can be paused. close ends it for good.
 */
export class LiveConnection {
  private readonly options: LiveOptions;
  private state: LiveState = { phase: "connecting" };
  private lastID = "";
  private attempt = 0;
  private abort?: AbortController;
  private retry?: ReturnType<typeof setTimeout>;
  private watchdog?: ReturnType<typeof setTimeout>;
  private waiting = new Map<string, LiveEvent>();
  private frame?: ReturnType<typeof setTimeout>;
  private lastFrame = 0;
  private closed = false;

  constructor(options: LiveOptions) {
    this.options = options;
  }

  open(): void {
    void this.run();
  }

  close(): void {
    this.closed = true;
    this.stop();
    clearTimeout(this.frame);
  }

  pause(): void {
    this.stop();
    this.to({ phase: "paused", lostAt: this.lostAt() });
  }

  /** Connects now: after a pause, or because waiting is too long. */
  resume(): void {
    if (this.closed || this.state.phase === "live" || this.state.phase === "connecting") return;
    this.stop();
    this.attempt = 0;
    void this.run();
  }

  private stop(): void {
    clearTimeout(this.retry);
    clearTimeout(this.watchdog);
    this.abort?.abort();
    this.abort = undefined;
  }

  private lostAt(): number {
    return "lostAt" in this.state ? this.state.lostAt : Date.now();
  }

  private to(s: LiveState): void {
    this.state = s;
    if (!this.closed) this.options.onState(s);
  }

  private async run(): Promise<void> {
    if (this.closed) return;
    const abort = new AbortController();
    this.abort = abort;
    const mine = () => this.abort === abort && !this.closed;
    let problem: Problem | undefined;
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (this.lastID !== "") headers["Last-Event-ID"] = this.lastID;
      this.watch(abort);
      const answer = await this.options.fetch(this.options.url, { headers, signal: abort.signal, cache: "no-store" });
      if (answer.body === null) throw new Problem({ code: "answer_invalid", status: answer.status });
      for await (const e of serverEvents(this.heard(answer.body, abort))) {
        if (!mine()) return;
        const end = this.take(e);
        if (end !== undefined) {
          this.stop();
          this.to({ phase: "ended", lostAt: Date.now(), problem: end });
          return;
        }
      }
    } catch (e) {
      if (!mine()) return;
      problem = e instanceof Problem ? e : undefined;
      if (problem !== undefined && (problem.status === 401 || problem.status === 403)) {
        this.stop();
        this.to({ phase: "ended", lostAt: this.lostAt(), problem });
        return;
      }
    }
    if (!mine()) return;
    this.stop();
    // A hub that restarts is back in a second; one that is away is not asked often.
    const pause = (problem?.retryAfter ?? Math.min(30, 2 ** this.attempt)) * 1000 * (0.75 + Math.random() / 2);
    this.attempt++;
    this.to({ phase: "reconnecting", lostAt: this.lostAt(), retryAt: Date.now() + pause, problem });
    this.retry = setTimeout(() => void this.run(), pause);
  }

  /** Passes a body on, and ends a connection on which nothing is heard any more. */
  private heard(body: ReadableStream<Uint8Array>, abort: AbortController): ReadableStream<Uint8Array> {
    return body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, controller) => {
          this.watch(abort);
          controller.enqueue(chunk);
        },
      }),
    );
  }

  private watch(abort: AbortController): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => {
      if (this.abort === abort) {
        abort.abort();
        this.abort = undefined;
        this.to({ phase: "reconnecting", lostAt: this.lostAt(), retryAt: Date.now() });
        void this.run();
      }
    }, silence);
  }

  /** Takes one event; answers with why the stream has ended, if it says so. */
  private take(e: ServerEvent): Problem | undefined {
    if (e.id !== "") this.lastID = e.id;
    let data: unknown;
    try {
      data = e.data === "" ? {} : JSON.parse(e.data);
    } catch {
      return undefined; // not of this hub's making
    }
    switch (e.type) {
      case "hello":
        this.attempt = 0;
        this.options.onVersion?.(String((data as { version?: unknown }).version ?? ""));
        this.to({ phase: "live", since: Date.now() });
        return undefined;
      case "reset":
        this.waiting.clear();
        this.options.onReset();
        return undefined;
      case "end":
        return new Problem({ status: 401, ...(data as object) });
    }
    this.waiting.set(keyOf(e.type, data), { type: e.type as LiveType, data });
    this.schedule();
    return undefined;
  }

  private schedule(): void {
    if (this.frame !== undefined) return;
    const wait = Math.max(0, this.lastFrame + (this.options.frameEvery ?? 500) - Date.now());
    this.frame = setTimeout(() => {
      this.frame = undefined;
      this.lastFrame = Date.now();
      const events = [...this.waiting.values()];
      this.waiting.clear();
      if (events.length > 0 && !this.closed) this.options.onFrame(events);
    }, wait);
  }
}

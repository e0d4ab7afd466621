import type { LogNotice, LogSource } from "../../../api/types";

/** A line of a container's log. */
export interface LogLine {
  /** Rises by one from 1, so that a line keeps its place in the page. */
  id: number;
  source: number;
  at?: string;
  text: string;
}

/** Lines that are kept in the page; older ones are let go, and that is said. */
export const most = 50_000;
/** A line is cut here; the whole is in the download. */
export const longest = 20_000;

/** What an answer with logs has brought. It is changed in place by one reader. */
export class LogBuffer {
  lines: LogLine[] = [];
  sources = new Map<number, LogSource>();
  notices: LogNotice[] = [];
  /** Lines that came and are not kept. */
  dropped = 0;
  private next = 1;
  /** Sources whose last line goes on, and that line. */
  private readonly open = new Map<number, LogLine>();

  /** Takes a document of the answer. */
  add(d: Record<string, unknown>): void {
    if (Array.isArray(d.sources)) for (const s of d.sources as LogSource[]) this.sources.set(s.source, s);
    if (d.notice !== undefined && d.notice !== null) this.notices.push(d.notice as LogNotice);
    if (typeof d.text !== "string" || typeof d.source !== "number") return;
    const going = this.open.get(d.source);
    if (going !== undefined) {
      if (going.text.length < longest) going.text = (going.text + d.text).slice(0, longest);
    }
    const line = going ?? {
      id: this.next++,
      source: d.source,
      at: typeof d.at === "string" ? d.at : undefined,
      text: d.text.slice(0, longest),
    };
    if (going === undefined) this.lines.push(line);
    if (d.partial === true) this.open.set(d.source, line);
    else this.open.delete(d.source);
    // Not one by one: shifting a long list for each line is slow.
    if (this.lines.length > most * 1.1) {
      const gone = this.lines.length - most;
      this.lines = this.lines.slice(gone);
      this.dropped += gone;
    }
  }

  /** pod/container of a source, or only what tells it from the others. */
  name(source: number): string {
    const s = this.sources.get(source);
    return s === undefined ? String(source) : `${s.pod}/${s.container}`;
  }
}

/** Lines that have a text, without regard to case. */
export function matching(lines: readonly LogLine[], text: string): readonly LogLine[] {
  const t = text.trim().toLowerCase();
  return t === "" ? lines : lines.filter((l) => l.text.toLowerCase().includes(t));
}

/** How bad a line is by its own words: a level as loggers write it, at its beginning or as a field. */
export function levelOf(text: string): "error" | "warning" | undefined {
  const head = text.slice(0, 200);
  if (
    /(^|[\s[("'=:])(error|err|fatal|panic|critical|crit|emerg)([\s\])"':,]|$)/i.test(head) ||
    /^[EF]\d{4} /.test(head)
  )
    return "error";
  if (/(^|[\s[("'=:])(warn|warning)([\s\])"':,]|$)/i.test(head) || /^W\d{4} /.test(head)) return "warning";
  return undefined;
}

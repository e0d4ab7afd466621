import type { Grant } from "../../api/types";

/** "operator:team-*" per line as grants; undefined when a line is none. */
export function parseGrants(text: string): Grant[] | undefined {
  const out: Grant[] = [];
  for (const line of text.split(/[\n,]/).map((x) => x.trim())) {
    if (line === "") continue;
    const at = line.indexOf(":");
    if (at <= 0 || at === line.length - 1) return undefined;
    out.push({ role: line.slice(0, at).trim(), project: line.slice(at + 1).trim() });
  }
  return out;
}

/** What somebody may do, in one line. */
export function formatGrants(grants: readonly Grant[] | undefined): string {
  return (grants ?? []).map((g) => `${g.role}:${g.project}`).join(", ");
}

/** "policy.csv: line 3, column 5: …" as the hub writes it. */
export function placeIn(message: string): { line: number; column?: number } | undefined {
  const m = /\bline (\d+)(?:, column (\d+))?/.exec(message);
  if (m === null) return undefined;
  return { line: Number(m[1]), column: m[2] === undefined ? undefined : Number(m[2]) };
}

import { Problem } from "../../../client";

/** How a session ended: by itself, with a problem, or because the connection was lost. */
export type End = { exitCode: number } | { problem: unknown } | { lost: true };

/** The last message of a session. */
export function decodeEnd(bytes: Uint8Array): End {
  let said: unknown;
  try {
    said = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return { lost: true };
  }
  if (typeof said !== "object" || said === null) return { lost: true };
  if ("exitCode" in said && typeof said.exitCode === "number") return { exitCode: said.exitCode };
  if ("code" in said && typeof said.code === "string") return { problem: new Problem({ ...said, code: said.code }) };
  return { lost: true };
}

/** The shell that a container has: bash, else sh. */
export const shellCommand: readonly string[] = ["sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh"];

/** A link that a program writes is followed when it leads to a page, and nowhere else. */
export function pageOf(link: string): string | undefined {
  try {
    const url = new URL(link);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : undefined;
  } catch {
    return undefined;
  }
}

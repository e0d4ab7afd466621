import { hubFetch, Problem } from "../../../client";

/**
 * Documents of an answer that goes on in lines, as they come. Empty lines only say
 * that the hub is there; the line "end" says whether all went well, and an answer
 * that ends without it was cut off. Throws Problems.
 */
export async function* documents(address: string, signal: AbortSignal): AsyncGenerator<Record<string, unknown>> {
  const answer = await hubFetch(address, {
    signal,
    cache: "no-store",
    headers: { Accept: "application/x-ndjson, application/problem+json" },
  });
  if (answer.body === null) throw new Problem({ code: "answer_invalid", status: answer.status });
  const reader = answer.body
    .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
    .getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Problem({ code: "hub_unreachable", detail: "the answer was cut off" });
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.trim() === "") continue;
        let document: unknown;
        try {
          document = JSON.parse(line);
        } catch {
          throw new Problem({ code: "answer_invalid", detail: "a line of the answer is no JSON" });
        }
        if (document === null || typeof document !== "object") continue;
        if ("end" in document) {
          const end = document.end;
          if (end !== null && typeof end === "object") throw new Problem(end);
          return;
        }
        yield document as Record<string, unknown>;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // it may have ended
  }
}

// Reads server-sent events off a response. The browser's own EventSource can neither
// say why it was refused nor resume after that; this can.

export interface ServerEvent {
  id: string;
  type: string;
  data: string;
}

/** Events of a stream as they come, until it ends. Throws what reading throws. */
export async function* serverEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  let event: ServerEvent = { id: "", type: "", data: "" };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const raw of lines) {
        const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
        if (line === "") {
          if (event.type !== "" || event.data !== "") yield event;
          event = { id: "", type: "", data: "" };
          continue;
        }
        const colon = line.indexOf(":");
        if (colon === 0) continue; // a comment: the hub is still there
        const name = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (name === "id") event.id = text;
        else if (name === "event") event.type = text;
        else if (name === "data") event.data += event.data === "" ? text : `\n${text}`;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // the connection may be gone already
  }
}

import { Problem } from "../../../problem";
import { decodeEnd, type End } from "./protocol";

/** What a session tells of itself. */
export interface SessionEvents {
  onOpen: () => void;
  onOutput: (bytes: Uint8Array) => void;
  /** Once, whatever ended it. */
  onEnd: (end: End) => void;
}

/** A command in a container, over a WebSocket of v1.exec.hawser.dev. */
export interface Session {
  input: (bytes: Uint8Array) => void;
  resize: (columns: number, rows: number) => void;
  close: () => void;
}

const protocol = "v1.exec.hawser.dev";
/** What the hub takes in one message. */
const mostAtOnce = 32 * 1024;

function message(channel: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length + 1);
  out[0] = channel;
  out.set(bytes, 1);
  return out;
}

/**
 * Opens a session. `explain` asks the hub why it did not open: a page cannot read the
 * answer to a handshake that failed.
 */
export function openSession(path: string, explain: () => Promise<unknown>, on: SessionEvents): Session {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "http:" ? "ws:" : "wss:";
  const socket = new WebSocket(url, protocol);
  socket.binaryType = "arraybuffer";
  let opened = false;
  let over = false;
  const end = (e: End) => {
    if (over) return;
    over = true;
    on.onEnd(e);
    socket.close();
  };
  socket.onopen = () => {
    opened = true;
    on.onOpen();
  };
  socket.onmessage = (e: MessageEvent<unknown>) => {
    if (!(e.data instanceof ArrayBuffer) || over) return;
    const bytes = new Uint8Array(e.data);
    if (bytes[0] === 1 || bytes[0] === 2) on.onOutput(bytes.subarray(1));
    else if (bytes[0] === 3) end(decodeEnd(bytes.subarray(1)));
  };
  socket.onclose = () => {
    if (opened || over) {
      end({ lost: true });
      return;
    }
    explain().then(
      () => end({ lost: true }),
      // It would have opened: what was between is gone.
      (problem: unknown) => end(Problem.of(problem).code === "websocket_required" ? { lost: true } : { problem }),
    );
  };
  const send = (channel: number, bytes: Uint8Array) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(message(channel, bytes));
  };
  return {
    input: (bytes) => {
      for (let i = 0; i < bytes.length; i += mostAtOnce) send(0, bytes.subarray(i, i + mostAtOnce));
    },
    resize: (columns, rows) => send(4, new TextEncoder().encode(JSON.stringify({ columns, rows }))),
    close: () => {
      over = true;
      socket.close();
    },
  };
}

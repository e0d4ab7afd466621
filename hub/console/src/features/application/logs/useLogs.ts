import { useCallback, useEffect, useState } from "react";
import type { StreamLogsQuery } from "../../../api/client";
import { api, Problem } from "../../../client";
import { documents } from "../events/lines";
import { LogBuffer } from "./buffer";

export interface Logs {
  buffer: LogBuffer;
  /** Rises with what comes: the buffer is one and the same. */
  version: number;
  phase: "connecting" | "following" | "ended";
  problem?: Problem;
  again: () => void;
}

/** What is waited for before the page is drawn again. */
const frame = 250;

/** Reads logs of an application's pods as they come. */
export function useLogs(name: string, query: StreamLogsQuery): Logs {
  const [round, setRound] = useState(0);
  const [state, setState] = useState<Omit<Logs, "again">>(() => ({
    buffer: new LogBuffer(),
    version: 0,
    phase: "connecting",
  }));
  const address = api.streamLogsPath(name, query);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a round reads again
  useEffect(() => {
    const abort = new AbortController();
    const buffer = new LogBuffer();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = (more: Partial<Logs>) => setState((old) => ({ ...old, ...more, buffer, version: old.version + 1 }));
    const flush = () => {
      timer = undefined;
      show({ phase: "following", problem: undefined });
    };
    show({ phase: "connecting", problem: undefined });
    const read = async () => {
      for await (const d of documents(address, abort.signal)) {
        buffer.add(d);
        timer ??= setTimeout(flush, frame);
      }
    };
    const ended = (e?: unknown) => {
      if (abort.signal.aborted) return;
      clearTimeout(timer);
      show({ phase: "ended", problem: e === undefined ? undefined : Problem.of(e) });
    };
    // Where nothing is written no line comes, and that is an answer, too.
    timer = setTimeout(flush, 4 * frame);
    read().then(() => ended(), ended);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [address, round]);
  const again = useCallback(() => setRound((r) => r + 1), []);
  return { ...state, again };
}

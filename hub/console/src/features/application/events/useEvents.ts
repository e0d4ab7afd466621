import { useCallback, useEffect, useState } from "react";
import type { ObjectEvent, ObjectKey } from "../../../api/types";
import { Problem } from "../../../client";
import { objectEventStream } from "../../../routes/urls";
import { objectText } from "../object";
import { named } from "../queries";
import { merge } from "./events";
import { documents } from "./lines";

export interface Events {
  events: readonly ObjectEvent[];
  /** "following" is from the first answer on; "ended" says with `problem` why, if there was one. */
  phase: "connecting" | "following" | "ended";
  problem?: Problem;
  /** Follows again. */
  again: () => void;
}

/** What is waited for before the page is drawn again. */
const frame = 500;

/** Follows what a cluster says about the objects of an application, or about one. */
export function useEvents(name: string, object?: ObjectKey): Events {
  const [round, setRound] = useState(0);
  const [state, setState] = useState<Omit<Events, "again">>({ events: [], phase: "connecting" });
  const text = object === undefined ? undefined : objectText(object);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text is the object; a round follows again
  useEffect(() => {
    const abort = new AbortController();
    let waiting: ObjectEvent[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const flush = () => {
      timer = undefined;
      const more = waiting;
      waiting = [];
      setState((old) => ({ events: merge(old.events, more), phase: "following" }));
    };
    setState((old) => ({ events: round === 0 ? [] : old.events, phase: "connecting" }));
    const follow = async () => {
      for await (const d of documents(objectEventStream(name, object && named(object)), abort.signal)) {
        if (d.event === undefined) continue;
        waiting.push(d.event as ObjectEvent);
        timer ??= setTimeout(flush, frame);
      }
    };
    const ended = (e?: unknown) => {
      if (abort.signal.aborted) return;
      clearTimeout(timer);
      const more = waiting;
      waiting = [];
      setState((old) => ({
        events: merge(old.events, more),
        phase: "ended",
        problem: e === undefined ? undefined : Problem.of(e),
      }));
    };
    // Where nothing has happened no line comes, and that is an answer, too.
    timer = setTimeout(flush, 2 * frame);
    follow().then(() => ended(), ended);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [name, text, round]);
  const again = useCallback(() => setRound((r) => r + 1), []);
  return { ...state, again };
}

import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";
import { hubFetch } from "../client";
import { eventStream } from "../routes/urls";
import { LiveConnection, type LiveEvent, type LiveState, type LiveType } from "./connection";
import { liveInvalidator } from "./rules";

export type { LiveEvent, LiveState, LiveType } from "./connection";

interface Live {
  state: LiveState;
  /** The hub has another version than when the page was loaded. */
  hubChanged: boolean;
  pause: () => void;
  resume: () => void;
  subscribe: (listener: (events: LiveEvent[]) => void) => () => void;
}

const Context = createContext<Live | undefined>(undefined);

/** A tab that nobody looks at for so long is paused, and goes on when it is looked at. */
const hiddenFor = 5 * 60_000;

/** LiveProvider holds the tab's stream of events, and feeds the queries from it. */
export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [state, setState] = useState<LiveState>({ phase: "connecting" });
  const [hubChanged, setHubChanged] = useState(false);
  const listeners = useRef(new Set<(events: LiveEvent[]) => void>());
  const connection = useRef<LiveConnection>(undefined);

  useEffect(() => {
    const invalidate = liveInvalidator(client);
    let version = "";
    const c = new LiveConnection({
      url: eventStream,
      fetch: hubFetch,
      onState: setState,
      onReset: () => void client.invalidateQueries(),
      onFrame: (events) => {
        invalidate(events);
        for (const l of listeners.current) l(events);
      },
      onVersion: (v) => {
        if (version !== "" && v !== version) setHubChanged(true);
        version ||= v;
      },
    });
    connection.current = c;
    c.open();
    let hidden: ReturnType<typeof setTimeout> | undefined;
    let pausedByUs = false;
    const seen = () => {
      clearTimeout(hidden);
      if (document.visibilityState === "hidden") {
        hidden = setTimeout(() => {
          pausedByUs = true;
          c.pause();
        }, hiddenFor);
      } else if (pausedByUs) {
        pausedByUs = false;
        c.resume();
      }
    };
    const online = () => c.resume();
    document.addEventListener("visibilitychange", seen);
    window.addEventListener("online", online);
    return () => {
      clearTimeout(hidden);
      document.removeEventListener("visibilitychange", seen);
      window.removeEventListener("online", online);
      c.close();
    };
  }, [client]);

  const subscribe = useCallback((l: (events: LiveEvent[]) => void) => {
    listeners.current.add(l);
    return () => {
      listeners.current.delete(l);
    };
  }, []);
  const value = useMemo<Live>(
    () => ({
      state,
      hubChanged,
      pause: () => connection.current?.pause(),
      resume: () => connection.current?.resume(),
      subscribe,
    }),
    [state, hubChanged, subscribe],
  );
  return <Context value={value}>{children}</Context>;
}

/** State of the stream; outside of a frame, as in tests of components, it is live. */
export function useLiveState(): Pick<Live, "state" | "hubChanged" | "pause" | "resume"> {
  return (
    useContext(Context) ?? { state: { phase: "live", since: 0 }, hubChanged: false, pause: () => {}, resume: () => {} }
  );
}

/** Hears of changes of some kinds, at most twice a second. For views that patch or count them. */
export function useLive(types: readonly LiveType[], listener: (events: LiveEvent[]) => void): void {
  const subscribe = useContext(Context)?.subscribe;
  const current = useRef(listener);
  useEffect(() => {
    current.current = listener;
  });
  const wanted = types.join(" ");
  useEffect(
    () =>
      subscribe?.((events) => {
        const mine = events.filter((e) => wanted.split(" ").includes(e.type));
        if (mine.length > 0) current.current(mine);
      }),
    [subscribe, wanted],
  );
}

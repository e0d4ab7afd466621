import { useCallback, useEffect, useRef, useState } from "react";
import type { RepositoryRequest } from "../../api/types";
import { Problem } from "../../client";
import { type Trial, tryRepository } from "./tryRepository";

/** Runs tests, one at a time; leaving the view ends the one that runs. */
export function useTrial() {
  const [trial, setTrial] = useState<Trial>();
  const [problem, setProblem] = useState<Problem>();
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const run = useCallback(async (request: RepositoryRequest): Promise<Trial | undefined> => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    setProblem(undefined);
    setTrial({ steps: [] });
    try {
      return await tryRepository(request, (x) => !own.signal.aborted && setTrial(x), own.signal);
    } catch (e) {
      if (!own.signal.aborted) {
        setTrial(undefined);
        setProblem(Problem.of(e));
      }
      return undefined;
    }
  }, []);
  return { trial, problem, run, running: trial !== undefined && trial.ok === undefined };
}

import type { RepositoryProblem, RepositoryRequest, RepositoryStep } from "../../api/types";
import { hubFetch, Problem } from "../../client";
import { repositoryTest } from "../../routes/urls";

/** A test as far as it has come. */
export interface Trial {
  steps: RepositoryStep[];
  /** Credential that was tried: given, repository, template or none; template is then its URL. */
  credential?: string;
  template?: string;
  /** Undefined while it runs. */
  ok?: boolean;
  problem?: RepositoryProblem;
}

/** One line of the answer: a step, or at the end the whole test. */
interface Line {
  step?: RepositoryStep;
  test?: { ok: boolean; credential: string; template?: string; steps: RepositoryStep[]; problem?: RepositoryProblem };
}

/** Has the hub try a repository, and tells each step when it is done. The result is in the last one told. */
export async function tryRepository(
  request: RepositoryRequest,
  told: (trial: Trial) => void,
  signal: AbortSignal,
): Promise<Trial> {
  const answer = await hubFetch(repositoryTest, {
    method: "POST",
    headers: { Accept: "application/x-ndjson", "Content-Type": "application/json" },
    body: JSON.stringify(request),
    signal,
  });
  let trial: Trial = { steps: [] };
  const take = (text: string) => {
    if (text.trim() === "") return;
    const line = JSON.parse(text) as Line;
    if (line.step !== undefined) trial = { ...trial, steps: [...trial.steps, line.step] };
    if (line.test !== undefined)
      trial = {
        steps: line.test.steps,
        credential: line.test.credential,
        template: line.test.template,
        ok: line.test.ok,
        problem: line.test.problem,
      };
    told(trial);
  };
  const reader = answer.body
    ?.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
    .getReader();
  let rest = "";
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const l of lines) take(l);
  }
  take(rest);
  // A stream that was cut is no result.
  if (trial.ok === undefined) throw new Problem({ code: "hub_unreachable", detail: "the answer ended early" });
  return trial;
}

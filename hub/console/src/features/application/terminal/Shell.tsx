import { Button, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useId, useRef, useState } from "react";
import type { ObjectKey } from "../../../api/types";
import { Problem } from "../../../client";
import { useT } from "../../../i18n";
import { CliLine } from "../../../ui/CliLine";
import { Icon } from "../../../ui/Icon";
import { PlainText } from "../../../ui/PlainText";
import { plainLine } from "../../../ui/plain";
import { cli } from "../../../ui/shell";
import { ErrorView, LoadingView } from "../../../ui/states";
import { podQuery } from "../queries";
import { leaveChord } from "./keys";
import { type End, shellCommand } from "./protocol";
import classes from "./Terminal.module.css";

const Screen = lazy(() => import("./Screen"));

type State = { phase: "connecting" } | { phase: "open" } | { phase: "ended"; end: End };

/** A shell in a container of one pod. It ends with the view; another is a button away. */
export function Shell({ name, pod, choice }: { name: string; pod: ObjectKey; choice?: ReactNode }) {
  const t = useT();
  const hint = useId();
  const leave = useRef<HTMLButtonElement>(null);
  const live = useQuery(podQuery(name, pod));
  const [chosen, setChosen] = useState<string>();
  const [state, setState] = useState<State>({ phase: "connecting" });
  const [attempt, setAttempt] = useState(0);
  const [link, setLink] = useState<string>();
  const containers = live.data?.containers ?? [];
  const container = chosen ?? live.data?.usual;
  const again = () => {
    setState({ phase: "connecting" });
    setLink(undefined);
    setAttempt((n) => n + 1);
  };
  const denied =
    state.phase === "ended" && "problem" in state.end && Problem.of(state.end.problem).isDenied
      ? state.end.problem
      : undefined;
  const label = t("terminal.of", { container: plainLine(container ?? ""), pod: plainLine(pod.name) });
  return (
    <div className={classes.page}>
      <div className={classes.bar}>
        {choice}
        <Select
          className={classes.short}
          aria-label={t("terminal.container")}
          data={containers.map((c) => ({ value: c, label: plainLine(c) }))}
          value={container ?? null}
          allowDeselect={false}
          disabled={containers.length < 2}
          onChange={(v) => {
            setChosen(v ?? undefined);
            again();
          }}
        />
        <span className={classes.grow} />
        <Button
          ref={leave}
          variant="default"
          size="compact-sm"
          leftSection={<Icon name="refresh" size={12} />}
          onClick={again}
        >
          {t("terminal.again")}
        </Button>
      </div>
      {live.isPending ? (
        <LoadingView />
      ) : live.isError ? (
        <ErrorView error={live.error} onRetry={() => void live.refetch()} />
      ) : (
        <>
          {denied === undefined && (
            <p
              className={classes.state}
              role="status"
              data-bad={(state.phase === "ended" && !("exitCode" in state.end)) || undefined}
            >
              {link !== undefined ? <PlainText text={link} /> : <Said state={state} />}
            </p>
          )}
          {denied !== undefined ? (
            <ErrorView error={denied} onRetry={again} />
          ) : (
            <div className={classes.around}>
              <Suspense fallback={<LoadingView />}>
                <Screen
                  key={`${attempt} ${container}`}
                  name={name}
                  namespace={pod.namespace}
                  pod={pod.name}
                  container={container}
                  label={label}
                  describedBy={hint}
                  onOpen={() => setState({ phase: "open" })}
                  onEnd={(end) => setState({ phase: "ended", end })}
                  onLink={setLink}
                  onLeave={() => leave.current?.focus()}
                />
              </Suspense>
            </div>
          )}
        </>
      )}
      {denied === undefined && (
        <p className={classes.state} id={hint}>
          {t("terminal.hint", { chord: leaveChord })}
        </p>
      )}
      <div className={classes.cli}>
        <CliLine
          command={cli(
            ...["hawser", "app", "exec", name, "--pod", pod.name],
            pod.namespace !== undefined && "-n",
            pod.namespace ?? false,
            container !== undefined && "-c",
            container ?? false,
            ...["-it", "--", ...shellCommand],
          )}
        />
      </div>
    </div>
  );
}

function Said({ state }: { state: State }) {
  const t = useT();
  if (state.phase === "connecting") return t("terminal.connecting");
  if (state.phase === "open") return t("terminal.open");
  if ("exitCode" in state.end) return t("terminal.ended", { code: state.end.exitCode });
  if ("lost" in state.end) return t("terminal.lost");
  const problem = Problem.of(state.end.problem);
  return (
    <>
      <PlainText text={[problem.message, problem.fix].filter(Boolean).join(" · ")} lines={4} />{" "}
      <code>{problem.id || problem.code}</code>
    </>
  );
}

import type { Cluster, EnrolmentToken } from "../../api/types";

export const stepNames = ["redeemed", "connected", "inventory", "application"] as const;
export type StepName = (typeof stepNames)[number];
export type StepState = "done" | "now" | "later";

/** The checks of an agent's preflight that there are texts for; a newer agent may have more. */
export const checkNames = ["dns", "tcp", "proxy", "tls", "clock", "token", "kubernetes", "rights", "state"] as const;
export const outcomes = ["ok", "warning", "failed", "skipped"] as const;

/** How long nothing may come before it is said. */
export const quietAfter = 90_000;

/**
 * How far an enrolment is. What a cluster of the name did before this token counts for
 * nothing: only after the token is used is it this agent that is heard.
 */
export function stepsOf(
  token: EnrolmentToken | null | undefined,
  cluster: Cluster | null | undefined,
): Record<StepName, StepState> {
  const redeemed = token?.usedAt !== undefined;
  const connected = redeemed && cluster?.connected === true;
  const inventory = connected && cluster?.kubeVersion !== undefined && cluster.kubeVersion !== "";
  const application = inventory && cluster.applications > 0;
  const done = { redeemed, connected, inventory, application };
  const first = stepNames.find((s) => !done[s]);
  return Object.fromEntries(stepNames.map((s) => [s, done[s] ? "done" : s === first ? "now" : "later"])) as Record<
    StepName,
    StepState
  >;
}

/** A command that says whether a hub can be reached from where it runs. */
export function egressTest(hub: string): string {
  return `curl -sko /dev/null --max-time 10 https://${hub}/livez && echo reachable || echo "blocked (curl exit code $?)"`;
}

/** The command with its secret hidden. */
export function masked(command: string, token: string): string {
  return command.replaceAll(token, `${token.slice(0, 4)}••••••••`);
}

// The page's one Trusted Types policy. What browsers would run or read as markup is
// refused as text (the hub's content security policy); a worker's address passes here.

/** The name that the hub's policy allows: policy() of console.go. */
export const policyName = "hawser-worker";

interface Factory {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): URL };
}

/** Throws for what is no script of the build. */
export function workerAddress(url: string): string {
  const at = new URL(url, location.origin);
  if (at.origin !== location.origin || !/^\/(assets|src)\/[\w./-]+$/.test(at.pathname))
    throw new TypeError(`${url} is no worker of this page`);
  return at.href;
}

let policy: ReturnType<Factory["createPolicy"]> | undefined;

/** The address of a worker as browsers that know Trusted Types want it, and as all others do. */
export function trustedWorker(url: string): URL {
  const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
  if (factory === undefined) return new URL(workerAddress(url));
  policy ??= factory.createPolicy(policyName, { createScriptURL: workerAddress });
  return policy.createScriptURL(url);
}

import type { ObjectKey } from "../../api/types";

/** An object as the URL names it: group/kind/namespace/name; names of Kubernetes have no slash. */
export function objectText(k: ObjectKey): string {
  return [k.group ?? "", k.kind, k.namespace ?? "", k.name].join("/");
}

/** The object that a text of the URL names; undefined when it is none. */
export function objectOf(text: string | undefined): ObjectKey | undefined {
  const parts = text?.split("/");
  if (parts?.length !== 4) return undefined;
  const [group, kind, namespace, name] = parts as [string, string, string, string];
  if (kind === "" || name === "") return undefined;
  return { group: group || undefined, kind, namespace: namespace || undefined, name };
}

/** Kind/name, with the namespace where it is not the usual one. */
export function objectLabel(k: ObjectKey, usual?: string): string {
  const name = `${k.kind}/${k.name}`;
  return k.namespace === undefined || k.namespace === usual ? name : `${k.namespace} ${name}`;
}

/** The flags with which the command line names an object of an application. */
export function objectFlags(k: ObjectKey): (string | false)[] {
  return [
    "--kind",
    k.kind,
    k.group !== undefined && "--group",
    k.group ?? false,
    k.namespace !== undefined && "--namespace",
    k.namespace ?? false,
    "--resource-name",
    k.name,
  ];
}

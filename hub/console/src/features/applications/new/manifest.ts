import type { Application } from "../../../api/types";
import { cli } from "../../../ui/shell";

/** What the form asks for; everything else is written as YAML. */
export interface Draft {
  name: string;
  project: string;
  repository: string;
  path: string;
  revision: string;
  cluster: string;
  namespace: string;
  automated: boolean;
  makeNamespace: boolean;
}

/** The application that a draft means. */
export function manifestOf(d: Draft): Application {
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Application",
    metadata: { name: d.name.trim() },
    spec: {
      project: d.project.trim() || "default",
      source: {
        repoURL: d.repository.trim(),
        path: d.path.trim() || ".",
        targetRevision: d.revision.trim() || undefined,
      },
      destination: { name: d.cluster.trim(), namespace: d.namespace.trim() || undefined },
      syncPolicy:
        d.automated || d.makeNamespace
          ? {
              automated: d.automated ? {} : undefined,
              syncOptions: d.makeNamespace ? ["CreateNamespace=true"] : undefined,
            }
          : undefined,
    },
  } as Application;
}

/** The command that makes the same. */
export function commandOf(d: Draft): string {
  return cli(
    "hawser",
    "app",
    "create",
    d.name.trim() || "NAME",
    ...(d.project.trim() ? ["--project", d.project.trim()] : []),
    "--repo",
    d.repository.trim() || "URL",
    "--path",
    d.path.trim() || ".",
    ...(d.revision.trim() ? ["--revision", d.revision.trim()] : []),
    "--dest-name",
    d.cluster.trim() || "CLUSTER",
    ...(d.namespace.trim() ? ["--dest-namespace", d.namespace.trim()] : []),
    ...(d.automated ? ["--sync-policy", "automated"] : []),
    ...(d.makeNamespace ? ["--sync-option", "CreateNamespace=true"] : []),
  );
}

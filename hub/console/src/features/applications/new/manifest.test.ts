import { expect, test } from "vitest";
import { commandOf, type Draft, manifestOf } from "./manifest";

const draft: Draft = {
  name: " shop ",
  project: "team",
  repository: "https://git/x",
  path: "",
  revision: "",
  cluster: "eu",
  namespace: "",
  automated: false,
  makeNamespace: false,
};

test("a draft is an application without what was left empty", () => {
  expect(JSON.parse(JSON.stringify(manifestOf(draft)))).toEqual({
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Application",
    metadata: { name: "shop" },
    spec: { project: "team", source: { repoURL: "https://git/x", path: "." }, destination: { name: "eu" } },
  });
});

test("what is chosen about syncs is in the policy", () => {
  expect(manifestOf({ ...draft, automated: true, makeNamespace: true }).spec.syncPolicy).toEqual({
    automated: {},
    syncOptions: ["CreateNamespace=true"],
  });
});

test("the command makes the same, and quotes what a shell would take apart", () => {
  expect(commandOf({ ...draft, path: "a b; rm", automated: true, makeNamespace: true, namespace: "shop" })).toBe(
    "hawser app create shop --project team --repo https://git/x --path 'a b; rm' --dest-name eu --dest-namespace shop --sync-policy automated --sync-option CreateNamespace=true",
  );
});

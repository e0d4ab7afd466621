import { describe, expect, it } from "vitest";
import { find, ignorePatch, ignoreRule, narrowed, sides, stepsOf } from "./fields";

const object = { group: "apps", kind: "Deployment", namespace: "pay", name: "api" };

describe("paths of differences", () => {
  it.each([
    [".spec.replicas", [{ field: "spec" }, { field: "replicas" }]],
    ['.metadata.annotations["a.b/c"]', [{ field: "metadata" }, { field: "annotations" }, { field: "a.b/c" }]],
    ['.data["\\"]x"]', [{ field: "data" }, { field: '"]x' }]],
    [".args[1]", [{ field: "args" }, { index: 1 }]],
    [".containers[name=web].image", [{ field: "containers" }, { keys: [["name", "web"]] }, { field: "image" }]],
    [
      ".ports[port=80,protocol=TCP]",
      [
        { field: "ports" },
        {
          keys: [
            ["port", "80"],
            ["protocol", "TCP"],
          ],
        },
      ],
    ],
    [".volumeMounts[mountPath=/a,b]", [{ field: "volumeMounts" }, { keys: [["mountPath", "/a,b"]] }]],
    [".finalizers[a.b/c]", [{ field: "finalizers" }, { value: "a.b/c" }]],
  ])("%s", (path, want) => expect(stepsOf(path)).toEqual(want));
  it.each(["", "spec", ".spec[", ".a[]", ".a b", '.a["\\x"]'])("%j is none", (path) =>
    expect(stepsOf(path)).toBeUndefined(),
  );
});

describe("rules that ignore a field", () => {
  it.each([
    [".spec.replicas", { jsonPointers: ["/spec/replicas"] }],
    ['.metadata.annotations["a.b/c~d"]', { jsonPointers: ["/metadata/annotations/a.b~1c~0d"] }],
    [".spec.args[1]", { jsonPointers: ["/spec/args/1"] }],
    [
      ".spec.containers[name=web].image",
      { jqPathExpressions: ['.spec.containers[] | select((.name | tostring) == "web") | .image'] },
    ],
    [
      '.spec.containers[name=web].env["x.y"][0]',
      { jqPathExpressions: ['.spec.containers[] | select((.name | tostring) == "web") | .env["x.y"][0]'] },
    ],
    [
      ".spec.ports[port=80,protocol=TCP]",
      {
        jqPathExpressions: ['.spec.ports[] | select((.port | tostring) == "80" and (.protocol | tostring) == "TCP")'],
      },
    ],
    [".metadata.finalizers[x]", { jqPathExpressions: ['.metadata.finalizers[] | select(tostring == "x")'] }],
  ])("%s", (path, want) => expect(ignoreRule(object, path)).toEqual({ ...object, ...want }));

  it("hold what a stranger named as a string, never as code", () => {
    const rule = ignoreRule(object, ".a[name=\\(env)].b");
    expect(rule?.jqPathExpressions).toEqual(['.a[] | select((.name | tostring) == "\\\\(env)") | .b']);
  });

  it("are added to those there are", () => {
    const rule = ignoreRule(object, ".spec.replicas") ?? object;
    expect(JSON.parse(ignorePatch(rule, false))).toEqual([
      { op: "add", path: "/spec/ignoreDifferences", value: [rule] },
    ]);
    expect(JSON.parse(ignorePatch(rule, true))).toEqual([
      { op: "add", path: "/spec/ignoreDifferences/-", value: rule },
    ]);
  });
});

describe("both sides of an object", () => {
  it("leave out defaults, and keep what somebody has added to a list of named things", () => {
    const desired = { spec: { replicas: 3, containers: [{ name: "web", image: "a" }, { name: "side" }], args: ["x"] } };
    const live = {
      spec: {
        replicas: 1,
        strategy: "x",
        containers: [{ name: "injected" }, { name: "side", pull: "Always" }, { name: "web", image: "b", pull: "y" }],
        args: ["x", "y"],
      },
    };
    expect(narrowed(live, desired)).toEqual({
      spec: {
        replicas: 1,
        containers: [{ name: "web", image: "b" }, { name: "side" }, { name: "injected" }],
        args: ["x", "y"],
      },
    });
  });

  it("have no status and no bookkeeping of the server, and the whole when it is asked for", () => {
    const live = {
      kind: "A",
      apiVersion: "v1",
      b: 2,
      status: {},
      a: 1,
      metadata: { uid: "u", name: "n", managedFields: [], generation: 1 },
    };
    const desired = { apiVersion: "v1", kind: "A", metadata: { name: "n" }, a: 1 };
    const got = sides(desired, live, [], { whole: true, marks: ["", ""] });
    expect(JSON.stringify(got.live)).toBe('{"apiVersion":"v1","kind":"A","metadata":{"name":"n"},"a":1,"b":2}');
    expect(sides(desired, live, [], { whole: false, marks: ["", ""] }).live).toEqual(desired);
  });

  it("show no mask of a Secret as different but where the agent says so", () => {
    const secret = (x: string, field: string) => ({
      kind: "Secret",
      [field]: { a: `redacted:${x}1`, b: `redacted:${x}2` },
    });
    const got = sides(secret("aa", "stringData"), secret("bb", "data"), [{ path: ".data.a" }], {
      whole: true,
      marks: ["(wanted)", "(live)"],
    });
    expect(got.desired).toMatchObject({ stringData: { a: "•••••• (wanted)", b: "••••••" } });
    expect(got.live).toMatchObject({ data: { a: "•••••• (live)", b: "••••••" } });
  });

  it("are missing where there is none", () => {
    expect(sides(undefined, { kind: "A" }, [], { whole: false, marks: ["", ""] })).toEqual({
      desired: undefined,
      live: { kind: "A" },
    });
  });
});

describe("an object among manifests", () => {
  const items = [
    { apiVersion: "v1", kind: "Service", metadata: { name: "api", namespace: "pay" } },
    { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "api" } },
    null,
    "x",
  ];
  it("is found by group, kind, namespace and name", () => {
    expect(find(items, object)).toBe(items[1]);
    expect(find(items, { kind: "Service", namespace: "pay", name: "api" })).toBe(items[0]);
    expect(find(items, { kind: "Service", namespace: "other", name: "api" })).toBeUndefined();
    expect(find(items, { group: "x", kind: "Service", namespace: "pay", name: "api" })).toBeUndefined();
  });
});

import { describe, expect, it } from "vitest";
import type { Application, Source } from "../../../api/types";
import { commandOf } from "./command";
import {
  type Drafted,
  draftOf,
  fieldsOf,
  imageName,
  mistakesOf,
  type Place,
  placesOf,
  type Row,
  rebase,
  toolOf,
  withSource,
  write,
} from "./fields";

const git = { repoURL: "https://git.example/shop", path: "deploy" };

function place(source: Source, position?: number): Place {
  return position === undefined
    ? { source, field: "spec.source", pointer: "/spec/source" }
    : { source, position, field: `spec.sources[${position - 1}]`, pointer: `/spec/sources/${position - 1}` };
}

/** What a form with these fields makes of a source, and its command. */
function changed(source: Source, parts: Record<string, Drafted>, at = place(source)) {
  const tool = toolOf(source);
  const of = fieldsOf(tool);
  const draft = { ...draftOf(source, of), ...parts };
  return { source: write(source, of, draft), command: commandOf("shop", at, tool, of, draft) };
}

const row = (value: string, name = "") => ({ name, value });

describe("the tool of a source", () => {
  it("is that of its options, of a chart Helm", () => {
    expect(toolOf({ ...git, kustomize: {} })).toBe("kustomize");
    expect(toolOf({ ...git, directory: {}, jinja: {} })).toBe("jinja");
    expect(toolOf({ repoURL: "https://charts.example", chart: "shop" })).toBe("helm");
    expect(toolOf(git)).toBeUndefined();
  });
});

describe("the places of sources", () => {
  const app = (spec: object) => ({ metadata: { name: "shop" }, spec, status: {} }) as unknown as Application;
  it("are those of one, of several, and of what is rendered into a branch", () => {
    expect(placesOf(undefined)).toEqual([]);
    expect(placesOf(app({ source: git })).map((p) => p.field)).toEqual(["spec.source"]);
    expect(placesOf(app({ sources: [git, git] })).map((p) => p.pointer)).toEqual([
      "/spec/sources/0",
      "/spec/sources/1",
    ]);
    expect(placesOf(app({ sourceHydrator: { drySource: git } })).map((p) => p.dry)).toEqual([true]);
  });
  it("are written where they are, and nothing else is", () => {
    const other = { ...git, path: "other" };
    const two = app({ project: "team", sources: [git, git] });
    const after = withSource(two, placesOf(two)[1] as Place, other);
    expect(after.spec).toEqual({ project: "team", sources: [git, other] });
    expect(after.status).toBeUndefined();
    const dry = app({ sourceHydrator: { drySource: git, syncSource: { path: "x" } } });
    expect(withSource(dry, placesOf(dry)[0] as Place, other).spec.sourceHydrator).toEqual({
      drySource: other,
      syncSource: { path: "x" },
    });
    const one = app({ source: git });
    expect(withSource(one, placesOf(one)[0] as Place, other).spec.source).toEqual(other);
  });
});

describe("what a form changes", () => {
  const helm = {
    ...git,
    helm: {
      valueFiles: ["a.yaml", "b.yaml"],
      parameters: [
        { name: "tag", value: "1", forceString: true },
        { name: "n", value: "2" },
      ],
      version: "v3",
    },
  };
  it("is only what was changed: the rest is as it was stored", () => {
    const after = changed(helm, { "helm.releaseName": "shop" });
    expect(after.source).toEqual({ ...helm, helm: { ...helm.helm, releaseName: "shop" } });
    expect(after.command).toBe("hawser app set shop --release-name shop");
    expect(changed(helm, {}).source).toBe(helm);
  });
  it("replaces a list of files as a whole, and takes the last away by its name", () => {
    const after = changed(helm, { "helm.valueFiles": [row("b.yaml"), row(""), row("c d.yaml")] });
    expect(after.source.helm?.valueFiles).toEqual(["b.yaml", "c d.yaml"]);
    expect(after.command).toBe("hawser app set shop --values b.yaml --values 'c d.yaml'");
    const none = changed({ ...git, helm: { valueFiles: ["a.yaml"] } }, { "helm.valueFiles": [] });
    expect(none.source).toEqual(git);
    expect(none.command).toBe("hawser app unset shop --values a.yaml");
  });
  it("names the parameters that are new, changed and gone", () => {
    const after = changed(helm, {
      "helm.parameters": [
        { ...row("9", "n"), mark: false },
        { ...row("x'y", "who"), mark: true },
      ],
    });
    expect(after.source.helm?.parameters).toEqual([
      { name: "n", value: "9" },
      { name: "who", value: "x'y", forceString: true },
    ]);
    expect(after.command).toBe(
      "hawser app unset shop --parameter tag && hawser app set shop --helm-set n=9 --helm-set-string 'who=x'\\''y'",
    );
  });
  it("makes the object of values a text when that is written, and only then", () => {
    const source = { ...git, helm: { valuesObject: { a: 1 }, values: "old: true" } };
    expect(draftOf(source, fieldsOf("helm"))["helm.values"]).toBe("a: 1\n");
    expect(changed(source, { "helm.releaseName": "r" }).source.helm?.valuesObject).toEqual({ a: 1 });
    const after = changed(source, { "helm.values": "a: 2\n" });
    expect(after.source.helm).toEqual({ values: "a: 2\n" });
    expect(after.command).toBe("hawser app set shop --values-literal-file values.yaml");
    expect(changed(source, { "helm.values": "" }).command).toBe("hawser app unset shop --values-literal");
  });
  it("knows the images of kustomize by what they replace, and says which source", () => {
    const source = {
      ...git,
      kustomize: { images: ["a=reg:5000/a:1", "reg:5000/b:1"], replicas: [{ name: "web", count: 2 }] },
    };
    const after = changed(
      source,
      {
        "kustomize.images": [row("reg:5000/b:2"), row("c@sha256:ab")],
        "kustomize.replicas": [row("3", "web")],
        "kustomize.namePrefix": "x-",
      },
      place(source, 2),
    );
    expect(after.source.kustomize).toEqual({
      images: ["reg:5000/b:2", "c@sha256:ab"],
      replicas: [{ name: "web", count: 3 }],
      namePrefix: "x-",
    });
    expect(after.command).toBe(
      "hawser app unset shop --source-position 2 --kustomize-image a && " +
        "hawser app set shop --source-position 2 --kustomize-image reg:5000/b:2 --kustomize-image c@sha256:ab --kustomize-replica web=3 --nameprefix x-",
    );
    expect(imageName("reg:5000/b")).toBe("reg:5000/b");
  });
  it("is a patch where the command line has no flag", () => {
    const source = { ...git, kustomize: { commonLabels: { a: "1", b: "2" } } };
    const after = changed(source, { "kustomize.commonLabels": [row("1", "a")] }, place(source, 1));
    expect(after.source.kustomize).toEqual({ commonLabels: { a: "1" } });
    expect(after.command).toBe(
      `hawser app patch shop --patch '[{"op":"add","path":"/spec/sources/0/kustomize","value":{"commonLabels":{"a":"1"}}}]'`,
    );
    expect(changed({ ...git, kustomize: { commonLabels: { a: "1" } } }, { "kustomize.commonLabels": [] }).command).toBe(
      `hawser app patch shop --patch '[{"op":"remove","path":"/spec/source/kustomize"}]'`,
    );
  });
  it("switches on and off, and writes below jsonnet", () => {
    const source = { ...git, directory: { recurse: true } };
    const off = changed(source, { "directory.recurse": false });
    expect(off.source).toEqual(git);
    expect(off.command).toBe("hawser app set shop --directory-recurse=false");
    const after = changed(source, { "directory.jsonnet.tlas": [{ ...row("1 + 1", "n"), mark: true }] });
    expect(after.source.directory).toEqual({
      recurse: true,
      jsonnet: { tlas: [{ name: "n", value: "1 + 1", code: true }] },
    });
    expect(after.command).toBe("hawser app set shop --jsonnet-tla-code 'n=1 + 1'");
  });
  it("keeps lists and maps of a plugin, and patches of a kustomization", () => {
    const list = { name: "files", array: ["a", "b"] };
    const source = { ...git, plugin: { name: "cdk", parameters: [list, { name: "stage", string: "dev" }] } };
    const rows = draftOf(source, fieldsOf("plugin"))["plugin.parameters"] as readonly { name: string; value: string }[];
    const after = changed(source, { "plugin.parameters": [rows[0] as never, row("prod", "stage")] });
    expect(after.source.plugin?.parameters).toEqual([list, { name: "stage", string: "prod" }]);
    expect(after.command).toBe("hawser app set shop --plugin-parameter stage=prod");
    const patches = { ...git, kustomize: { patches: [{ patch: "a" }], namePrefix: "x" } };
    expect(changed(patches, { "kustomize.namePrefix": "" }).source.kustomize).toEqual({ patches: [{ patch: "a" }] });
  });
  it("writes lists and maps of a plugin, and leaves what is several at once", () => {
    const odd = { name: "odd", string: "a", array: ["b"] };
    const source = { ...git, plugin: { name: "cdk", parameters: [odd, { name: "env", map: { a: "1" } }] } };
    const rows = draftOf(source, fieldsOf("plugin"))["plugin.parameters"] as readonly Row[];
    expect(rows[1]).toEqual({ name: "env", value: "", shape: "map", items: [{ name: "a", value: "1" }] });
    const after = changed(source, {
      "plugin.parameters": [
        rows[0] as Row,
        { name: "env", value: "", shape: "map", items: [row("2", "a"), row("", "b"), row("", "")] },
        { name: "files", value: "", shape: "array", items: [row("x"), row("")] },
      ],
    });
    const parameters = [odd, { name: "env", map: { a: "2", b: "" } }, { name: "files", array: ["x"] }];
    expect(after.source.plugin?.parameters).toEqual(parameters);
    expect(after.command).toContain(`hawser app patch shop --patch '[{"op":"add","path":"/spec/source/plugin"`);
  });
  it("writes patches of a kustomization, with what they change and what they may", () => {
    const stored = { path: "p.yaml", target: { kind: "Deployment", name: "web" }, options: { allowNameChange: true } };
    const source = { ...git, kustomize: { patches: [stored, { path: "a", patch: "b" }] } };
    const rows = draftOf(source, fieldsOf("kustomize"))["kustomize.patches"] as readonly Row[];
    expect(rows[1]?.fixed).toEqual({ path: "a", patch: "b" });
    const [first] = rows as [Row];
    const patch = { file: false, target: { kind: "Service", name: "" }, options: {} };
    const after = changed(source, {
      "kustomize.patches": [
        first,
        rows[1] as Row,
        { name: "", value: "- op: test", patch },
        { ...row(""), patch: { file: false, target: {}, options: {} } },
      ],
    });
    expect(after.source.kustomize?.patches).toEqual([
      stored,
      { path: "a", patch: "b" },
      { patch: "- op: test", target: { kind: "Service" } },
    ]);
    expect(after.command).toContain("hawser app patch shop --patch");
  });
});

describe("problems of the hub", () => {
  const of = fieldsOf("helm");
  const at = place({ ...git, helm: {} }, 2);
  it("are beside the fields, and of lists at their rows", () => {
    const said = mistakesOf(
      [
        { field: "spec.sources[1].helm.valueFiles[1]", detail: "no such ref", fix: "write $a/…" },
        { field: "spec.sources[1].helm.values", detail: "no YAML" },
      ],
      at,
      of,
    );
    expect(said).toEqual({
      mistakes: [
        { name: "helm.valueFiles", row: 1, message: "no such ref · write $a/…" },
        { name: "helm.values", row: undefined, message: "no YAML" },
      ],
      all: true,
    });
  });
  it("that are of something else are not taken for these", () => {
    const other = [
      { field: "spec.sources[0].helm.values", detail: "x" },
      { field: "spec.project", detail: "y" },
    ];
    expect(mistakesOf(other, at, of)).toEqual({ mistakes: [], all: false });
    expect(mistakesOf([], at, of).all).toBe(false);
  });
});

describe("a change beside that of somebody else", () => {
  it("is kept, and what was not touched is theirs", () => {
    expect(rebase({ a: "mine", b: "old" }, { a: "old", b: "old" }, { a: "theirs", b: "theirs", c: true })).toEqual({
      a: "mine",
      b: "theirs",
      c: true,
    });
  });
});

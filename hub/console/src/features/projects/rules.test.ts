import { describe, expect, it } from "vitest";
import { countsOf, destinations, integrity, kinds, roles, type Spec, sources, tables, windows } from "./rules";
import { commandOf, kindOf, requestOf } from "./Simulator";
import { formatSelector, parseSelector } from "./selector";

const spec: Spec = {
  description: "d",
  sourceRepos: ["https://a/*", "!https://a/secret"],
  sourceRepoBlacklist: ["https://b"],
  destinations: [
    { name: "eu-*", namespace: "pay" },
    { server: "!https://x", namespace: "*" },
    {
      clusterSelector: {
        matchLabels: { env: "prod" },
        matchExpressions: [{ key: "tier", operator: "In", values: ["a", "b"] }],
      },
    },
  ],
  destinationBlacklist: [{ name: "*", namespace: "kube-*" }],
  sourceNamespaces: ["x"],
  clusterResourceWhitelist: [{ group: "", kind: "Namespace", name: "pay-*" }],
  clusterResourceBlacklist: [{ group: "*", kind: "ClusterRole" }],
  namespaceResourceWhitelist: [{ group: "apps", kind: "*" }],
  namespaceResourceBlacklist: [{ group: "", kind: "Secret" }],
  roles: [{ name: "ci", policies: ["p, a", "p, b"], groups: ["g"], jwtTokens: [{ iat: 1 }] }],
  syncWindows: [{ kind: "deny", schedule: "* * * * *", duration: "1h", applications: ["*"], manualSync: true }],
  signatureKeys: [{ keyID: "4AEE18F83AFDEB23" }],
  sourceIntegrity: { git: { policies: [{ repos: [{ url: "*" }], gpg: { mode: "head", keys: ["K"] } }] } },
  destinationServiceAccounts: [{ server: "*", namespace: "n", defaultServiceAccount: "sa" }],
  limits: { maxApplications: 3 },
};

const clean = (x: unknown) => JSON.parse(JSON.stringify(x));

describe("tables of rules", () => {
  it("write what they read, and leave the rest of the project alone", () => {
    for (const table of tables) expect(clean(table.write(spec, table.read(spec)))).toEqual(spec);
  });
  it("write nothing into a project that has no rules", () => {
    for (const table of tables) expect(clean(table.write({}, table.read({})))).toEqual({});
  });
  it("show what denies above what allows", () => {
    expect(sources.read(spec).map((r) => [r.values.effect, r.values.url])).toEqual([
      ["deny", "https://b"],
      ["allow", "https://a/*"],
      ["deny", "!https://a/secret"],
    ]);
  });
  it("move a rule to the list of its effect", () => {
    const rules = sources.read(spec).map((r) => ({ ...r, values: { ...r.values, effect: "deny" } }));
    const out = sources.write(spec, rules);
    expect(out.sourceRepos).toEqual(["!https://a/secret"]);
    expect(out.sourceRepoBlacklist).toEqual(["https://b", "https://a/*"]);
    const allowed = sources.write(
      spec,
      sources.read(spec).map((r) => ({ ...r, values: { ...r.values, effect: "allow" } })),
    );
    expect(allowed.sourceRepos).toEqual(["https://b", "https://a/*", "https://a/secret"]);
    expect(allowed.sourceRepoBlacklist).toBeUndefined();
  });
  it("never allow all kinds because the last rule of the list went", () => {
    const out = kinds.write({ namespaceResourceWhitelist: [{ group: "", kind: "ConfigMap" }] }, []);
    expect(out.namespaceResourceWhitelist).toEqual([]);
    expect(kinds.write({}, []).namespaceResourceWhitelist).toBeUndefined();
  });
  it("keep what a form does not have", () => {
    const [role] = roles.read(spec);
    const out = roles.write(spec, [{ ...role, values: { ...role?.values, description: "new" } }]);
    expect(out.roles?.[0]).toMatchObject({ jwtTokens: [{ iat: 1 }], description: "new" });
  });
  it("refuse a destination without a place, and a window without a time or a subject", () => {
    expect(destinations.check?.({ name: "", server: "", selector: "" })).toHaveProperty("name");
    expect(destinations.check?.({ name: "x", server: "", selector: "a in b" })).toHaveProperty("selector");
    expect(windows.check?.({ schedule: "daily", duration: "soon", applications: "" })).toEqual({
      applications: expect.any(String),
      schedule: expect.any(String),
      duration: expect.any(String),
    });
    expect(windows.check?.({ schedule: "0 22 * * *", duration: "1h30m", applications: "*" })).toEqual({});
    expect(integrity.write({}, [])).toEqual({});
  });
  it("give each rule its own count, and list those that are inherited", () => {
    const c = countsOf(spec, [
      { list: "sourceRepos", rule: "#1 https://a/*", applications: 3 },
      { list: "sourceRepos", rule: "#2 !https://a/secret", applications: 0, denies: true },
      { list: "sourceRepos", rule: "#1 https://c of project global", applications: 1 },
      { list: "sourceRepoBlacklist", rule: "#1 https://b", applications: 2, denies: true },
    ]);
    expect(sources.read(spec).map((r) => c.of(r)?.applications)).toEqual([2, 3, 0]);
    expect(c.inherited.map((r) => r.rule)).toEqual(["#1 https://c of project global"]);
  });
});

describe("label selectors as text", () => {
  it.each(["env=prod", "env=prod,tier in (a,b)", "a!=b,!c,d", "x notin (a,b)", ""])(
    "%s is read and written",
    (text) => {
      const s = parseSelector(text);
      expect(s).toBeDefined();
      expect(formatSelector(s)).toBe(text);
    },
  );
  it.each(["a b", "a in b", "a=1,a=2"])("%s is none", (text) => {
    expect(parseSelector(text)).toBeUndefined();
  });
});

describe("a question to the simulator", () => {
  it("is the same for the hub and the command line", () => {
    const q = {
      verb: "sync",
      as: "ci",
      source: "https://a b",
      cluster: "eu",
      ns: "pay",
      kind: "apps/Deployment:web Secret",
    };
    expect(clean(requestOf("shop", q))).toEqual({
      verb: "sync",
      subject: "ci",
      project: "shop",
      sources: ["https://a", "b"],
      destination: { name: "eu", namespace: "pay" },
      kinds: [{ group: "apps", kind: "Deployment", name: "web" }, { kind: "Secret" }],
    });
    expect(commandOf("shop", q)).toBe(
      "hawser project simulate shop --verb sync --as ci --source https://a --source b --dest eu --namespace pay --kind apps/Deployment:web --kind Secret",
    );
  });
  it("about an application has nothing else, and cannot be a command of its own", () => {
    const q = { app: "a'; rm -rf ~", source: "https://left", cluster: "eu" };
    expect(clean(requestOf("shop", q))).toEqual({ name: "a'; rm -rf ~" });
    expect(commandOf("shop", q)).toBe(`hawser project simulate --app 'a'\\''; rm -rf ~'`);
    expect(kindOf("Secret:a:b")).toEqual({ group: undefined, kind: "Secret", name: "a:b" });
  });
});

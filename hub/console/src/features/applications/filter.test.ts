import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Problem } from "../../problem";
import {
  around,
  choices,
  placeOf,
  quotedValue,
  termsOf,
  toggled,
  typingAt,
  valuesOf,
  without,
  withoutKey,
} from "./filter";
import { vocabulary } from "./vocabulary";

describe("terms", () => {
  it.each([
    ["", []],
    ["  a   b ", ["a", "b"]],
    ['name:"a b" c', ['name:"a b"', "c"]],
    ['name:"a \\" b" c', ['name:"a \\" b"', "c"]],
    ["NOT project:shop x", ["NOT project:shop", "x"]],
    ["x NOT", ["x", "NOT"]],
    ['open:"never closed x', ['open:"never closed x']],
  ])("%s", (filter, terms) => {
    expect(termsOf(filter).map((t) => t.text)).toEqual(terms);
    for (const t of termsOf(filter)) expect(filter.slice(t.start, t.end)).toBe(t.text);
  });
});

describe("facets in the filter", () => {
  it.each([
    ["", "health", "degraded", "health:degraded"],
    ["health:degraded", "health", "missing", "health:degraded,missing"],
    ["health:degraded,missing api", "health", "degraded", "health:missing api"],
    ["health:degraded api", "health", "degraded", "api"],
    ["-health:degraded", "health", "degraded", "-health:degraded health:degraded"],
    ["", "label:env", "prod", "label:env=prod"],
    ["label:env=prod", "label:env", "a b", 'label:env=prod,"a b"'],
    ["label:env=prod x", "label:env", "", "x -label:env"],
    ["x -label:env", "label:env", "prod", "x label:env=prod"],
    ["x -label:env", "label:env", "", "x"],
    ["", "project", "a,b", 'project:"a,b"'],
    ['project:"a,b",c', "project", "a,b", "project:c"],
  ])("%s with %s %s", (filter, key, value, next) => {
    expect(toggled(filter, key, value)).toBe(next);
    expect(valuesOf(next, key).has(value)).toBe(!valuesOf(filter, key).has(value));
  });
  it("undoes itself, whatever the value is", () => {
    for (const value of ["a", "a b", 'q"uote', "back\\slash", "*", "-x", "~x", "<1", "ü", "a:b", "a=b"])
      expect(toggled(toggled("x", "cluster", value), "cluster", value)).toBe("x");
  });
  it("is cleared of a key", () => {
    expect(withoutKey("health:a x health:b -label:env", "health")).toBe("x -label:env");
    expect(withoutKey("x -label:env label:env=a", "label:env")).toBe("x");
  });
  it("quotes what would mean something else", () => {
    expect(quotedValue("eu-1")).toBe("eu-1");
    expect(quotedValue("")).toBe('""');
    expect(quotedValue('a"b')).toBe('"a\\"b"');
  });
});

describe("without a term", () => {
  it("keeps the rest", () => {
    const filter = 'a name:"b  c" d';
    expect(termsOf(filter).map((t) => without(filter, t))).toEqual(['name:"b  c" d', "a d", 'a name:"b  c"']);
  });
});

describe("where it went wrong", () => {
  const problem = (detail: string) => new Problem({ code: "filter_invalid", detail });
  it("is the character that the hub names", () => {
    expect(placeOf(problem('filter, character 8: "degrded" is no value of health'))).toBe(7);
    expect(placeOf(problem("something else"))).toBeUndefined();
    expect(placeOf(new Problem({ code: "internal", detail: "character 8" }))).toBeUndefined();
  });
  it("is shown with its word", () => {
    expect(around("health:degrded x", 7)).toEqual(["health:", "degrded", " x"]);
    expect(around("name:", 5)).toEqual(["name:", "", ""]);
    expect(around("😀 a:b", 2)).toEqual(["😀 ", "a:b", ""]);
    expect(around("x", 99)).toEqual(["x", "", ""]);
  });
});

describe("completion", () => {
  const counted = { health: { degraded: 41, healthy: 7 }, cluster: { "eu-1": 3, "us-1": 9, "": 1 } };
  const offered = (filter: string, caret = filter.length) =>
    choices(typingAt(filter, caret), counted, ["env", "team"]).map((c) => c.text);
  it.each([
    ["he", ["health:"]],
    ["x -pro", ["project:"]],
    ["health:deg", ["degraded"]],
    ["health:healthy,m", ["missing"]],
    ["is:r", ["ready", "running"]],
    ["not:st", ["stale"]],
    ["cluster:", ["us-1", "eu-1"]],
    ["cluster:eu", ["eu-1"]],
    ["changed:<1", ["<15m", "<1h", "<1d"]],
    ["te", ["team:"]],
    ["label:e", ["env", "team"]],
    ["op:fa", ["failed"]],
    ["nothing:x", []],
  ])("%s", (filter, texts) => {
    expect(offered(filter)).toEqual(texts);
  });
  it("takes the place of what is under the caret alone", () => {
    expect(typingAt("health:deg,missing x", 10)).toMatchObject({
      of: "value",
      key: "health",
      typed: "deg",
      from: 7,
      to: 10,
    });
    expect(typingAt("a NOT pro", 9)).toMatchObject({ of: "key", typed: "pro", from: 6, to: 9 });
  });
});

describe("vocabulary", () => {
  it("is that of docs/filters.md", () => {
    const doc = readFileSync("../../docs/filters.md", "utf8");
    const table = /### Applications\n([\s\S]*?)\nsort:/.exec(doc)?.[1] ?? "";
    const rows = [...table.matchAll(/^\| (`[^|]*`) \| ([^|]*) \|$/gm)].map((m) => [m[1] ?? "", m[2] ?? ""] as const);
    expect(rows.length).toBeGreaterThan(15);
    const keys = rows.map(([names]) => /`([^`]+)`/.exec(names)?.[1] ?? "");
    expect(Object.keys(vocabulary)).toEqual(keys);
    for (const [names, takes] of rows) {
      const words = vocabulary[/`([^`]+)`/.exec(names)?.[1] ?? ""];
      expect(Array.isArray(words) ? words.join(", ") : words, names).toBe(takes.startsWith("NAME") ? "text" : takes);
    }
  });
});

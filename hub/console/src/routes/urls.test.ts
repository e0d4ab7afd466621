import { describe, expect, it } from "vitest";
import { applicationSearch, applicationsSearch, auditSearch, parseSearch, stringifySearch } from "./urls";

describe("a search parameter", () => {
  it.each([
    "123",
    "007",
    "1e5",
    "0x10",
    "true",
    "false",
    "null",
    "[1]",
    "{}",
    '"two words"',
    "12345678901234567890",
    "a+b c&d=e",
  ])("is the text that was written: %s", (q) => {
    const written = stringifySearch({ q, project: undefined, sort: "" });
    expect(parseSearch(written)).toEqual({ q });
    expect(applicationsSearch.parse(parseSearch(written)).q).toBe(q);
  });

  it("written by hand is text, too", () => {
    expect(applicationsSearch.parse(parseSearch("?q=123&sort=-name&q=second"))).toMatchObject({
      q: "123",
      sort: "-name",
    });
    expect(applicationSearch.parse(parseSearch("?rev=1e5&tail=100&container=42"))).toMatchObject({
      rev: "1e5",
      tail: "100",
      container: "42",
    });
  });

  it("that is wrong is left out", () => {
    expect(auditSearch.parse(parseSearch("?sel=12x&kind=nothing&q=1"))).not.toHaveProperty("kind", "nothing");
    expect(auditSearch.parse(parseSearch("?sel=12x")).sel).toBeUndefined();
    expect(auditSearch.parse(parseSearch("?sel=12")).sel).toBe("12");
  });

  it("cannot reach what objects have of their own", () => {
    expect(Object.getPrototypeOf(parseSearch("?__proto__=x"))).toBe(Object.prototype);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it("leaves no question mark when there is nothing to say", () => {
    expect(stringifySearch({ q: undefined })).toBe("");
  });
});

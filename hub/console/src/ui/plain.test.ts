import { describe, expect, it } from "vitest";
import { middle, plain, plainLine, safeHref } from "./plain";
import { cli, quoted } from "./shell";

describe("a stranger's text", () => {
  it.each([
    ["colours of a terminal", "\u001b[31mred\u001b[0m", "red"],
    ["a title of a terminal", "\u001b]0;owned\u0007x", "x"],
    ["a link of a terminal", "\u001b]8;;https://evil\u001b\\text\u001b]8;;\u001b\\", "text"],
    ["one-byte CSI", "\u009b2Jx", "x"],
    ["an escape alone", "a\u001b", "a␛"],
    ["what deletes", "rm\b\bok", "rm␈␈ok"],
    ["a carriage return that overwrites", "bad\rgood", "bad␍good"],
    ["zero", "a\0b", "a␀b"],
    ["text that is turned around", "invoice\u202efdp.exe", "invoice⟨U+202E⟩fdp.exe"],
    ["isolates", "\u2066a\u2069", "⟨U+2066⟩a⟨U+2069⟩"],
    ["what is not seen", "pay\u200bments", "pay⟨U+200B⟩ments"],
    ["tags", "a\u{e0041}", "a⟨U+E0041⟩"],
    ["markup, which is text", "<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
    ["lines and tabs, which stay", "a\r\nb\tc", "a\nb\tc"],
    ["other scripts", "Größe 日本語 👩‍🚀 עברית", "Größe 日本語 👩‍🚀 עברית"],
  ])("%s", (_, text, want) => {
    expect(plain(text)).toBe(want);
  });
  it("is one line where there is one", () => {
    expect(plainLine("a\nb\tc")).toBe("a⏎b c");
  });
  it("takes no time however it is made", () => {
    const start = performance.now();
    for (const text of ["\u001b]".repeat(50_000), "\u001b[".repeat(50_000), "\u202e".repeat(50_000)]) plain(text);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

describe("a name cut in its middle", () => {
  it.each([
    ["short", 10, "short"],
    ["payments-api-7c9f8d-x2x4z", 13, "paymen…-x2x4z"],
    ["👩👩👩👩👩👩", 3, "👩…👩"],
    ["abc", 1, "…"],
  ])("%s in %i", (text, most, want) => {
    expect(middle(text, most)).toBe(want);
    expect(Array.from(middle(text, most)).length).toBeLessThanOrEqual(Math.max(most, 1));
  });
});

describe("an address", () => {
  it.each(["https://git.acme.io/pay/api?x=1#y", "http://10.0.0.1:8080/"])("%s becomes a link", (a) => {
    expect(safeHref(a)).toBe(a);
  });
  it.each([
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "\u0001javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://x/y",
    "//evil.example",
    "/relative",
    "https:",
    "https://hub.acme.io@evil.example/",
    "https://a b/",
    "",
  ])("%j becomes none", (a) => {
    expect(safeHref(a)).toBeUndefined();
  });
});

describe("a command line", () => {
  it.each([
    ["api", "api"],
    ["eu-*", "'eu-*'"],
    ["a b", "'a b'"],
    ["$(reboot)", "'$(reboot)'"],
    ["it's", "'it'\\''s'"],
    ["", "''"],
    ["-rf", "'-rf'"],
  ])("%j is %s", (word, want) => {
    expect(quoted(word)).toBe(want);
  });
  it("leaves out what is not said", () => {
    expect(cli("hawser", "app", "sync", "a;b", undefined, false, "--prune")).toBe("hawser app sync 'a;b' --prune");
  });
});

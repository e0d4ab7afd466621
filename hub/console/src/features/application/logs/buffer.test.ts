import { describe, expect, it } from "vitest";
import { LogBuffer, levelOf, longest, matching, most } from "./buffer";

describe("lines of logs", () => {
  it("are told apart by source, and joined where one goes on", () => {
    const b = new LogBuffer();
    b.add({ sources: [{ source: 1, pod: "a", container: "web" }] });
    b.add({ source: 1, at: "2026-01-01T00:00:00Z", text: "one ", partial: true });
    b.add({ sources: [{ source: 2, pod: "b", container: "web" }] });
    b.add({ source: 2, text: "other" });
    b.add({ source: 1, text: "line" });
    b.add({ source: 1, text: "next" });
    expect(b.lines.map((l) => `${b.name(l.source)} ${l.text}`)).toEqual([
      "a/web one line",
      "b/web other",
      "a/web next",
    ]);
    expect(b.lines[0]?.at).toBe("2026-01-01T00:00:00Z");
  });

  it("are let go when there are too many, and counted", () => {
    const b = new LogBuffer();
    for (let i = 0; i < most * 1.2; i++) b.add({ source: 1, text: String(i) });
    expect(b.lines.length).toBeLessThanOrEqual(most * 1.1);
    expect(b.lines.length + b.dropped).toBe(most * 1.2);
    expect(b.lines.at(-1)?.text).toBe(String(most * 1.2 - 1));
    expect(b.lines.at(-1)?.id).toBe(most * 1.2);
  });

  it("are cut when they are endless", () => {
    const b = new LogBuffer();
    for (let i = 0; i < 10; i++) b.add({ source: 1, text: "x".repeat(longest), partial: true });
    expect(b.lines).toHaveLength(1);
    expect(b.lines[0]?.text).toHaveLength(longest);
  });

  it("keep what was said about a source, and pass over what is none of theirs", () => {
    const b = new LogBuffer();
    b.add({ notice: { source: 1, code: "log_gone", message: "rotated" } });
    b.add({});
    b.add({ source: "1", text: 3 });
    expect(b.notices).toHaveLength(1);
    expect(b.lines).toHaveLength(0);
  });

  it("are found by their text", () => {
    const lines = [{ id: 1, source: 1, text: "Ahoy (x)" }];
    expect(matching(lines, " ahoy (")).toHaveLength(1);
    expect(matching(lines, "nothing")).toHaveLength(0);
    expect(matching(lines, " ")).toBe(lines);
  });
});

describe("levels", () => {
  it.each([
    ["2026-01-01 ERROR no", "error"],
    ['{"level":"error","msg":"x"}', "error"],
    ["level=warn msg=x", "warning"],
    ["E0102 10:00:00 klog", "error"],
    ["W0102 10:00:00 klog", "warning"],
    ["[WARN] x", "warning"],
    ["panic: runtime", "error"],
    ["terrorism is no level", undefined],
    ["GET /errors 200", undefined],
    ["", undefined],
  ])("%s is %s", (text, want) => expect(levelOf(text)).toBe(want));
});

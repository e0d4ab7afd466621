import { type MessageFormatElement, parse, TYPE } from "@formatjs/icu-messageformat-parser";
import { describe, expect, it } from "vitest";
import { allMessages } from "../test/messages";

const { en, de } = allMessages;

/** Names and kinds of the placeholders of a message. */
function placeholders(text: string): string[] {
  const out = new Set<string>();
  const walk = (elements: MessageFormatElement[]) => {
    for (const e of elements) {
      if (e.type === TYPE.literal || e.type === TYPE.pound) continue;
      out.add(`${e.value} ${TYPE[e.type]}`);
      if (e.type === TYPE.plural || e.type === TYPE.select) for (const o of Object.values(e.options)) walk(o.value);
    }
  };
  walk(parse(text, { ignoreTag: true }));
  return [...out].sort();
}

describe("messages", () => {
  it("has the same keys in German", () => {
    expect(Object.keys(de).sort()).toEqual(Object.keys(en).sort());
  });
  it.each(Object.keys(en))("%s has the same placeholders in German", (key) => {
    expect(placeholders(de[key] ?? "")).toEqual(placeholders(en[key] ?? ""));
  });
  it("has no empty message", () => {
    for (const [key, text] of [...Object.entries(en), ...Object.entries(de)]) expect(text.trim(), key).not.toBe("");
  });
});

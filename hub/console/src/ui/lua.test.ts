import { highlightTree, tagHighlighter, tags } from "@lezer/highlight";
import { expect, test } from "vitest";
import { lua, yamlWithLua } from "./lua";

const names = tagHighlighter(
  (["keyword", "string", "number", "comment", "bool", "null", "propertyName"] as const).map((name) => ({
    tag: tags[name],
    class: name,
  })),
);

/** Words that have a colour, with its name. */
function coloured(text: string, of: ReturnType<typeof lua>): string[] {
  const out: string[] = [];
  highlightTree(of.language.parser.parse(text), names, (from, to, name) => out.push(`${name} ${text.slice(from, to)}`));
  return out;
}

test("the words of Lua have their colours, long brackets over several lines", () => {
  const text = `-- a check
hs = {} --[==[ two
lines ]] ]==] if obj.n ~= 0x1F then
  hs.m = "say \\"end\\"" .. [[a
b]] .. 'c'
end
return nil, true, 1.5e3`;
  expect(coloured(text, lua())).toEqual([
    ...["comment -- a check", "comment --[==[ two", "comment lines ]] ]==]", "keyword if"],
    ...["number 0x1F", "keyword then", 'string "say \\"end\\""', "string [[a", "string b]]", "string 'c'"],
    ...["keyword end", "keyword return", "null nil", "bool true", "number 1.5e3"],
  ]);
});

test("scripts within YAML are Lua, other texts are not", () => {
  const text = `discovery.lua: |
  local a = {}
definitions:
- name: x
  action.lua: |
    return obj
- note: |
    return nothing
`;
  const found = coloured(text, yamlWithLua());
  expect(found).toContain("keyword local");
  expect(found.filter((f) => f.startsWith("keyword return"))).toHaveLength(1);
});

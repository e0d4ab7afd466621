// Lua for the editors: colours of its words, alone and within YAML under keys that end in
// ".lua" (custom health checks and actions). Loaded with the editor of a text that has some.
import { yamlLanguage } from "@codemirror/lang-yaml";
import { LanguageSupport, StreamLanguage, type StringStream } from "@codemirror/language";
import { parseMixed } from "@lezer/common";

const words = new Set(
  "and break do else elseif end false for function goto if in local nil not or repeat return then true until while".split(
    " ",
  ),
);
interface State {
  /** Within a long string or comment: how many = it ends with. */
  long?: { level: number; style: "string" | "comment" };
}

/** Goes to the end of a long bracket, or of the line when it does not end there. */
function rest(s: StringStream, state: State): string {
  const { level, style } = state.long as { level: number; style: string };
  const end = `]${"=".repeat(level)}]`;
  const at = s.string.indexOf(end, s.pos);
  if (at < 0) s.skipToEnd();
  else {
    s.pos = at + end.length;
    state.long = undefined;
  }
  return style;
}

function long(s: StringStream, state: State, style: "string" | "comment"): string | undefined {
  const open = s.match(/^\[(=*)\[/) as RegExpMatchArray | null;
  if (open === null) return undefined;
  state.long = { level: open[1]?.length ?? 0, style };
  return rest(s, state);
}

function token(s: StringStream, state: State): string | null {
  if (state.long !== undefined) return rest(s, state);
  if (s.eatSpace()) return null;
  if (s.match("--")) {
    const comment = long(s, state, "comment");
    if (comment !== undefined) return comment;
    s.skipToEnd();
    return "comment";
  }
  const string = s.peek() === "[" ? long(s, state, "string") : undefined;
  if (string !== undefined) return string;
  if (s.match(/^"(?:\\.|[^"\\])*"?|^'(?:\\.|[^'\\])*'?/)) return "string";
  if (s.match(/^0[xX][0-9a-fA-F]+|^(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/)) return "number";
  const name = s.match(/^[A-Za-z_][A-Za-z0-9_]*/) as RegExpMatchArray | null;
  const word = name?.[0] ?? s.next() ?? "";
  if (name === null) return "punctuation";
  if (word === "nil") return "null";
  if (word === "true" || word === "false") return "bool";
  if (words.has(word)) return "keyword";
  return s.match(/^\s*\(/, false) ? "variableName.function" : "variableName";
}

export const luaLanguage = StreamLanguage.define<State>({
  name: "lua",
  startState: () => ({}),
  token,
  languageData: { commentTokens: { line: "--" } },
});

export const lua = () => new LanguageSupport(luaLanguage);

/** YAML whose block texts under keys that end in ".lua" are Lua. */
export const yamlWithLua = () =>
  new LanguageSupport(
    yamlLanguage.configure({
      wrap: parseMixed((node, input) => {
        if (node.name !== "BlockLiteralContent") return null;
        const key = node.node.parent?.parent?.getChild("Key");
        return key !== null && key !== undefined && /\.lua["']?\s*$/.test(input.read(key.from, key.to))
          ? { parser: luaLanguage.parser }
          : null;
      }),
    }),
  );

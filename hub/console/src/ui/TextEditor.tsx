import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import { search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { useEffect, useRef } from "react";
import { codeTheme, highlight } from "./CodeViewEditor";
import { styleNonce } from "./nonce";
import type { TextEditorProps } from "./PolicyEditor";
import { plainLine } from "./plain";

/** The editor of PolicyEditor; loaded by it. Tab leaves it, as everywhere else. */
export default function TextEditor({ text, onChange, problems, label, readOnly, language }: TextEditorProps) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const changing = useRef(new Compartment());
  const speaking = useRef(new Compartment());
  const told = useRef(onChange);
  useEffect(() => {
    told.current = onChange;
  });
  useEffect(() => {
    if (place.current === null) return;
    const v = new EditorView({
      parent: place.current,
      state: EditorState.create({
        extensions: [
          lineNumbers(),
          lintGutter(),
          history(),
          highlightSpecialChars(),
          highlightActiveLine(),
          drawSelection(),
          search({ top: true }),
          codeTheme,
          EditorView.theme({ ".cm-activeLine": { backgroundColor: "var(--hw-bg-hover)" } }),
          keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap]),
          EditorView.cspNonce.of(styleNonce()),
          EditorView.updateListener.of((u) => {
            if (u.docChanged && !u.transactions.some((tr) => tr.isUserEvent("replace.outside")))
              told.current(u.state.doc.toString());
          }),
          changing.current.of([]),
          speaking.current.of([]),
        ],
      }),
    });
    view.current = v;
    return () => {
      view.current = undefined;
      v.destroy();
    };
  }, []);
  useEffect(() => {
    view.current?.dispatch({
      effects: changing.current.reconfigure([
        EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false" }),
        EditorState.readOnly.of(readOnly === true),
      ]),
    });
  }, [label, readOnly]);
  useEffect(() => {
    let here = true;
    const speak = (support: Extension) =>
      here &&
      view.current?.dispatch({ effects: speaking.current.reconfigure([support, syntaxHighlighting(highlight)]) });
    if (language === "yaml") speak(yaml());
    // Most who write YAML write none of it.
    else if (language !== undefined)
      void import("./lua").then((m) => speak(language === "lua" ? m.lua() : m.yamlWithLua()));
    return () => {
      here = false;
      view.current?.dispatch({ effects: speaking.current.reconfigure([]) });
    };
  }, [language]);
  useEffect(() => {
    const v = view.current;
    if (v === undefined || v.state.doc.toString() === text) return;
    v.dispatch({ changes: { from: 0, to: v.state.doc.length, insert: text }, userEvent: "replace.outside" });
  }, [text]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another text has its problems at other places
  useEffect(() => {
    const v = view.current;
    if (v === undefined) return;
    const doc = v.state.doc;
    const found = problems
      .filter((p) => p.line >= 1 && p.line <= doc.lines)
      .map((p): Diagnostic => {
        const line = doc.line(p.line);
        const from = Math.min(line.to, line.from + Math.max(0, (p.column ?? 1) - 1));
        return { from, to: line.to, severity: p.severity, message: plainLine(p.message) };
      });
    v.dispatch(setDiagnostics(v.state, found));
  }, [problems, text]);
  return (
    <div
      ref={place}
      data-keys="own"
      style={{ height: 380, border: "1px solid var(--hw-border)", borderRadius: 6, overflow: "hidden" }}
    />
  );
}

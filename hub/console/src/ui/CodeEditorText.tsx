import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { search, searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import { useEffect, useRef } from "react";
import type { CodeEditorProps } from "./CodeEditor";
import classes from "./CodeView.module.css";
import { codeTheme, highlight } from "./CodeViewEditor";
import { styleNonce } from "./nonce";

/** The editor of CodeEditor; loaded by it. */
export default function CodeEditorText({ text, onChange, language, label }: CodeEditorProps) {
  const place = useRef<HTMLDivElement>(null);
  const first = useRef(text);
  const changed = useRef(onChange);
  useEffect(() => {
    changed.current = onChange;
  }, [onChange]);
  useEffect(() => {
    const parent = place.current;
    if (parent === null) return;
    const view = new EditorView({
      parent,
      state: EditorState.create({
        doc: first.current,
        extensions: [
          lineNumbers(),
          history(),
          highlightSpecialChars(),
          drawSelection(),
          bracketMatching(),
          indentOnInput(),
          search({ top: true }),
          syntaxHighlighting(highlight),
          codeTheme,
          keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap]),
          language === "yaml" ? yaml() : [],
          EditorView.contentAttributes.of({ "aria-label": label }),
          EditorView.cspNonce.of(styleNonce()),
          EditorView.updateListener.of((u) => {
            if (u.docChanged) changed.current(u.state.doc.toString());
          }),
        ],
      }),
    });
    return () => view.destroy();
  }, [language, label]);
  return <div ref={place} className={classes.code} data-keys="own" />;
}

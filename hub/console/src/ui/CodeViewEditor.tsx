import { json } from "@codemirror/lang-json";
import { yaml } from "@codemirror/lang-yaml";
import {
  bracketMatching,
  codeFolding,
  foldGutter,
  foldKeymap,
  HighlightStyle,
  syntaxHighlighting,
} from "@codemirror/language";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import type { CodeViewProps } from "./CodeView";
import classes from "./CodeView.module.css";
import { styleNonce } from "./nonce";

/** Colours of the words of YAML, JSON and Lua: tokens, so the theme of the page is the theme of the text. */
export const highlight = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName), tags.keyword], color: "var(--hw-accent)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--hw-healthy)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--hw-drifted)" },
  { tag: tags.comment, color: "var(--hw-text-dim)", fontStyle: "italic" },
  { tag: [tags.meta, tags.punctuation, tags.separator], color: "var(--hw-text-dim)" },
]);

/** What all editors of the console look like. */
export const codeTheme = EditorView.theme({
  "&": { height: "100%", backgroundColor: "var(--hw-bg-raised)", color: "var(--hw-text)", fontSize: "12.5px" },
  ".cm-scroller": { fontFamily: "var(--hw-mono)", lineHeight: "18px" },
  ".cm-gutters": {
    backgroundColor: "var(--hw-bg-sunken)",
    color: "var(--hw-text-dim)",
    borderRight: "1px solid var(--hw-border)",
  },
  "&.cm-focused": { outline: "2px solid var(--hw-accent)", outlineOffset: "-2px" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": {
    backgroundColor: "var(--hw-bg-selected) !important",
  },
  ".cm-cursor": { borderLeftColor: "var(--hw-text)" },
  ".cm-panels": { backgroundColor: "var(--hw-bg-sunken)", color: "var(--hw-text)", borderColor: "var(--hw-border)" },
  ".cm-textfield": { backgroundColor: "var(--hw-bg)", border: "1px solid var(--hw-border)", color: "var(--hw-text)" },
  ".cm-button": {
    backgroundImage: "none",
    backgroundColor: "var(--hw-bg-raised)",
    border: "1px solid var(--hw-border)",
    color: "var(--hw-text)",
  },
  ".cm-specialChar": { color: "var(--hw-degraded)" },
  ".cm-foldPlaceholder": {
    backgroundColor: "var(--hw-bg-hover)",
    border: "1px solid var(--hw-border)",
    color: "var(--hw-text-dim)",
  },
});

/** The editor of CodeView; loaded by it. */
export default function CodeViewEditor({ text, language, label, wrap }: CodeViewProps) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const changing = useRef(new Compartment());
  useEffect(() => {
    const parent = place.current;
    if (parent === null) return;
    const v = new EditorView({
      parent,
      state: EditorState.create({
        extensions: [
          lineNumbers(),
          codeFolding(),
          foldGutter(),
          highlightSpecialChars(),
          drawSelection(),
          bracketMatching(),
          search({ top: true }),
          highlightSelectionMatches(),
          syntaxHighlighting(highlight),
          codeTheme,
          keymap.of([...searchKeymap, ...foldKeymap]),
          EditorState.readOnly.of(true),
          EditorView.editable.of(false),
          EditorView.cspNonce.of(styleNonce()),
          changing.current.of([]),
        ],
      }),
    });
    view.current = v;
    return () => v.destroy();
  }, []);
  useEffect(() => {
    view.current?.dispatch({
      effects: changing.current.reconfigure([
        language === "yaml" ? yaml() : language === "json" ? json() : [],
        wrap ? EditorView.lineWrapping : [],
        EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
      ]),
    });
  }, [language, wrap, label]);
  useEffect(() => {
    const v = view.current;
    if (v === undefined || v.state.doc.toString() === text) return;
    // Where one reads stays where it is, although the text is another one.
    const top = v.scrollDOM.scrollTop;
    v.dispatch({ changes: { from: 0, to: v.state.doc.length, insert: text } });
    requestAnimationFrame(() => {
      v.scrollDOM.scrollTop = top;
    });
  }, [text]);
  return <div ref={place} className={classes.code} data-keys="own" />;
}

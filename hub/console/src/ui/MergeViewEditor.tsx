import { yaml } from "@codemirror/lang-yaml";
import { syntaxHighlighting } from "@codemirror/language";
import { MergeView, unifiedMergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightSpecialChars, lineNumbers } from "@codemirror/view";
import { useEffect, useRef } from "react";
import { codeTheme, highlight } from "./CodeViewEditor";
import type { MergeViewProps } from "./MergeView";
import classes from "./MergeView.module.css";
import { styleNonce } from "./nonce";

const colours = EditorView.theme({
  "&": { height: "auto" },
  ".cm-changedLine, .cm-insertedLine": { backgroundColor: "var(--hw-added-line) !important" },
  "&.cm-merge-a .cm-changedLine, .cm-deletedChunk, .cm-deletedLine": {
    backgroundColor: "var(--hw-removed-line) !important",
  },
  ".cm-changedText, .cm-insertedLine .cm-changedText": {
    background: "var(--hw-added) !important",
    borderRadius: "2px",
  },
  "&.cm-merge-a .cm-changedText, .cm-deletedText, .cm-deletedLine del": {
    background: "var(--hw-removed) !important",
    borderRadius: "2px",
    textDecoration: "none",
  },
  // On these backgrounds the colours of the language have too little contrast.
  ".cm-changedLine span, .cm-insertedLine span, .cm-deletedLine span, .cm-deletedChunk span": {
    color: "var(--hw-text)",
  },
  ".cm-changeGutter": { width: "3px", paddingLeft: "0" },
  ".cm-changedLineGutter": { backgroundColor: "var(--hw-healthy)" },
  "&.cm-merge-a .cm-changedLineGutter, .cm-deletedLineGutter": { backgroundColor: "var(--hw-degraded)" },
  ".cm-collapsedLines": {
    background: "var(--hw-bg-sunken)",
    color: "var(--hw-text-dim)",
    padding: "2px 8px",
    fontFamily: "var(--hw-font)",
    fontSize: "12px",
  },
});

const limits = { scanLimit: 2000, timeout: 150 };
const folded = { margin: 3, minSize: 6 };

/** The editor of MergeView; loaded by it. */
export default function MergeViewEditor({ before, after, labels, unified }: MergeViewProps) {
  const place = useRef<HTMLDivElement>(null);
  const [nameBefore, nameAfter] = labels;
  useEffect(() => {
    const parent = place.current;
    if (parent === null) return;
    const common = (label: string) => [
      lineNumbers(),
      highlightSpecialChars(),
      drawSelection(),
      yaml(),
      syntaxHighlighting(highlight),
      codeTheme,
      colours,
      EditorState.readOnly.of(true),
      EditorView.editable.of(false),
      EditorView.cspNonce.of(styleNonce()),
      EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
    ];
    const view = unified
      ? new EditorView({
          parent,
          doc: after,
          extensions: [
            ...common(`${nameBefore} → ${nameAfter}`),
            unifiedMergeView({
              original: before,
              mergeControls: false,
              collapseUnchanged: folded,
              diffConfig: limits,
              gutter: true,
            }),
          ],
        })
      : new MergeView({
          parent,
          a: { doc: before, extensions: common(nameBefore) },
          b: { doc: after, extensions: common(nameAfter) },
          collapseUnchanged: folded,
          diffConfig: limits,
          gutter: true,
        });
    return () => view.destroy();
  }, [before, after, unified, nameBefore, nameAfter]);
  return <div ref={place} className={classes.merge} data-keys="own" />;
}

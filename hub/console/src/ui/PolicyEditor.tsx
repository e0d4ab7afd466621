import { lazy, Suspense } from "react";
import { LoadingView } from "./states";

/** What is wrong or doubtful in a text, at a line and a column that begin with 1. */
export interface TextProblem {
  line: number;
  column?: number;
  message: string;
  severity: "error" | "warning";
}

export interface TextEditorProps {
  text: string;
  onChange: (text: string) => void;
  problems: readonly TextProblem[];
  label: string;
  readOnly?: boolean;
  /** What the text is written in, if it is coloured. */
  language?: "yaml" | "lua" | "yamlWithLua";
}

const Editor = lazy(() => import("./TextEditor"));

/** A text to be written, with its problems at their places; the editor comes when it is needed. */
export function PolicyEditor(props: TextEditorProps) {
  return (
    <Suspense fallback={<LoadingView rows={8} />}>
      <Editor {...props} />
    </Suspense>
  );
}

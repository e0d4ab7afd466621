import { lazy, Suspense } from "react";
import { LoadingView } from "./states";

export interface CodeEditorProps {
  /** The text at the beginning; what comes later is onChange's. */
  text: string;
  onChange: (text: string) => void;
  language?: "yaml";
  label: string;
}

const Text = lazy(() => import("./CodeEditorText"));

/** A text to be written, with undo and search (⌘F); Tab leaves it, as it leaves every field. It fills its place. */
export function CodeEditor(props: CodeEditorProps) {
  return (
    <Suspense fallback={<LoadingView />}>
      <Text {...props} />
    </Suspense>
  );
}

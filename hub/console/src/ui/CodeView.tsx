import { lazy, Suspense } from "react";
import { LoadingView } from "./states";

export interface CodeViewProps {
  /** The whole text; strangers' control and bidirectional characters are shown as what they are. */
  text: string;
  language?: "yaml" | "json";
  label: string;
  /** Long lines are broken. */
  wrap?: boolean;
}

const Editor = lazy(() => import("./CodeViewEditor"));

/** A text to be read, with folding and search (⌘F); the editor comes when it is needed. It fills a column. */
export function CodeView(props: CodeViewProps) {
  return (
    <Suspense fallback={<LoadingView />}>
      <Editor {...props} />
    </Suspense>
  );
}

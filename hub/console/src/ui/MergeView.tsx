import { lazy, Suspense } from "react";
import { LoadingView } from "./states";

export interface MergeViewProps {
  before: string;
  after: string;
  /** Names of both sides, for readers. */
  labels: readonly [string, string];
  /** One text with what was and what is, in place of two side by side. */
  unified?: boolean;
}

const Editor = lazy(() => import("./MergeViewEditor"));

/** Two texts of YAML and how they differ, word by word; what is the same is folded away. */
export function MergeView(props: MergeViewProps) {
  return (
    <Suspense fallback={<LoadingView rows={6} />}>
      <Editor {...props} />
    </Suspense>
  );
}

/// <reference lib="webworker" />
// Lays large trees out beside the page, so that it goes on answering.
import { layout } from "./layout";

declare const self: DedicatedWorkerGlobalScope;

self.onmessage = (e: MessageEvent<{ id: number; parents: Int32Array }>) => {
  const l = layout(e.data.parents);
  self.postMessage({ id: e.data.id, layout: l }, [l.x.buffer, l.y.buffer]);
};

import { useEffect, useMemo, useRef, useState } from "react";
import { trustedWorker } from "../../../ui/trusted";
import type { Node } from "./group";
import { type Layout, layout } from "./layout";
import address from "./tree.worker.ts?worker&url";

/** A drawn tree: places belong to exactly these nodes. */
export interface Drawn {
  nodes: readonly Node[];
  layout: Layout;
}

/** Up to so many nodes a layout takes less time than asking a worker does. */
const atOnce = 2000;

/** Places for nodes: at once for few, from a worker for many; until they come, those from before. */
export function useLayout(nodes: readonly Node[]): Drawn | undefined {
  const parents = useMemo(() => Int32Array.from(nodes, (n) => n.parent), [nodes]);
  const small = nodes.length <= atOnce || typeof Worker === "undefined";
  const now = useMemo(() => (small ? { nodes, layout: layout(parents) } : undefined), [small, nodes, parents]);
  const [later, setLater] = useState<Drawn>();
  const worker = useRef<Worker>(undefined);
  const asked = useRef(0);
  useEffect(
    () => () => {
      worker.current?.terminate();
      worker.current = undefined;
    },
    [],
  );
  useEffect(() => {
    if (small) return;
    const id = ++asked.current;
    const here = () => setLater({ nodes, layout: layout(parents) });
    try {
      worker.current ??= new Worker(trustedWorker(address), { type: "module" });
    } catch {
      here();
      return;
    }
    const w = worker.current;
    w.onmessage = (e: MessageEvent<{ id: number; layout: Layout }>) => {
      if (e.data.id === id) setLater({ nodes, layout: e.data.layout });
    };
    w.onerror = here;
    w.postMessage({ id, parents });
  }, [small, nodes, parents]);
  return now ?? later;
}

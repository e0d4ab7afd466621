import type { Node } from "./group";

export type Direction = "parent" | "child" | "before" | "after" | "first" | "last";

/** Where the arrow keys can lead in a drawn tree; made once for each tree. */
export interface Ways {
  byKey: ReadonlyMap<string, number>;
  /** First child of each node, -1 where there is none. */
  child: Int32Array;
  /** Nodes of each column from the top. */
  columns: readonly (readonly number[])[];
  /** Place of each node in its column. */
  row: Int32Array;
}

export function waysOf(nodes: readonly Node[]): Ways {
  const byKey = new Map<string, number>();
  const child = new Int32Array(nodes.length).fill(-1);
  const row = new Int32Array(nodes.length);
  const columns: number[][] = [];
  nodes.forEach((n, i) => {
    byKey.set(n.key, i);
    if (n.parent >= 0 && child[n.parent] === -1) child[n.parent] = i;
    let column = columns[n.depth];
    if (column === undefined) {
      column = [];
      columns[n.depth] = column;
    }
    row[i] = column.length;
    column.push(i);
  });
  return { byKey, child, columns, row };
}

/** Place of the node to which a key leads: the same where there is none. */
export function move(nodes: readonly Node[], ways: Ways, from: number, to: Direction): number {
  const node = nodes[from];
  if (node === undefined) return nodes.length === 0 ? -1 : 0;
  const column = ways.columns[node.depth] ?? [];
  const at = ways.row[from] as number;
  switch (to) {
    case "parent":
      return node.parent < 0 ? from : node.parent;
    case "child":
      return (ways.child[from] as number) < 0 ? from : (ways.child[from] as number);
    case "before":
      return column[at - 1] ?? from;
    case "after":
      return column[at + 1] ?? from;
    case "first":
      return column[0] ?? from;
    case "last":
      return column[column.length - 1] ?? from;
  }
}

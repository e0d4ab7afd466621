/** A line of a comparison: in both, or only before or after. */
export interface DiffLine {
  kind: "same" | "removed" | "added";
  text: string;
}

/** Compares two texts line by line with the fewest changes; above 4 million pairs the whole middle is replaced. */
export function diffLines(before: string, after: string): DiffLine[] {
  const a = before.split("\n");
  const b = after.split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let endA = a.length;
  let endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  const same = (text: string): DiffLine => ({ kind: "same", text });
  const removed = (text: string): DiffLine => ({ kind: "removed", text });
  const added = (text: string): DiffLine => ({ kind: "added", text });
  const middleA = a.slice(start, endA);
  const middleB = b.slice(start, endB);
  const out: DiffLine[] = a.slice(0, start).map(same);
  const n = middleA.length;
  const m = middleB.length;
  if (n * m > 4_000_000) out.push(...middleA.map(removed), ...middleB.map(added));
  else {
    const width = m + 1;
    const long = new Uint32Array((n + 1) * width);
    for (let i = n - 1; i >= 0; i--)
      for (let j = m - 1; j >= 0; j--)
        long[i * width + j] =
          middleA[i] === middleB[j]
            ? (long[(i + 1) * width + j + 1] as number) + 1
            : Math.max(long[(i + 1) * width + j] as number, long[i * width + j + 1] as number);
    let i = 0;
    let j = 0;
    while (i < n || j < m) {
      if (i < n && j < m && middleA[i] === middleB[j]) {
        out.push(same(middleA[i] as string));
        i++;
        j++;
      } else if (i < n && (j === m || (long[(i + 1) * width + j] as number) >= (long[i * width + j + 1] as number)))
        out.push(removed(middleA[i++] as string));
      else out.push(added(middleB[j++] as string));
    }
  }
  out.push(...a.slice(endA).map(same));
  return out;
}

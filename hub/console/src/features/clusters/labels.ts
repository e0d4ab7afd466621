/** Labels as text, one a line. */
export function labelText(labels: Record<string, string>): string {
  return Object.entries(labels)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([k, v]) => `${k}=${v}`)
    .join("\n");
}

/** Labels of a text, and the numbers of lines that are none. Whether names are possible the hub says. */
export function parseLabels(text: string): { labels: Record<string, string>; wrong: number[] } {
  const labels: Record<string, string> = Object.create(null) as Record<string, string>;
  const wrong: number[] = [];
  text.split("\n").forEach((line, i) => {
    const l = line.trim();
    if (l === "") return;
    const at = l.indexOf("=");
    const key = at < 0 ? "" : l.slice(0, at).trim();
    if (key === "" || labels[key] !== undefined) wrong.push(i + 1);
    else labels[key] = l.slice(at + 1).trim();
  });
  return { labels: { ...labels }, wrong };
}

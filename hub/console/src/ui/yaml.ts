// Values of JSON as YAML that reads back as the same values (YAML 1.2, and careful
// with what readers of YAML 1.1 take for something else).

// What a plain scalar must not look like: numbers, booleans, nulls, dates, and what YAML has signs for.
const special =
  /^(?:|~|null|Null|NULL|true|True|TRUE|false|False|FALSE|y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|=|<<|[-+]?(?:\.?[0-9][0-9_,.:eExXoObBa-fA-F+-]*|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)|\d{4}-.*)$/;
const unsafe =
  /^[\s!&*%@`"'#{}[\],|>?-]|^[?:-](?:\s|$)|: |:$| #|\s$|[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]|[\u2028\u2029\ufeff]/;

function scalar(text: string): string {
  if (!special.test(text) && !unsafe.test(text)) return text;
  return JSON.stringify(text)
    .replace(/\u2028/g, "\\u2028")
    .replace(/\u2029/g, "\\u2029")
    .replace(/\ufeff/g, "\\ufeff")
    .replace(/[\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Whether a text may be a literal block: several lines of what can be printed. */
function isBlock(text: string): boolean {
  return (
    text.includes("\n") &&
    !/^[\s]/.test(text) &&
    !/[ \t]\n|[ \t]$/.test(text) &&
    !/[^\n\t\x20-\x7e\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd]|[\u2028\u2029]/.test(text)
  );
}

function block(text: string, indent: string): string {
  const end = /\n*$/.exec(text)?.[0].length ?? 0;
  const chomp = end === 0 ? "-" : end === 1 ? "" : "+";
  const body = (end === 0 ? text : text.slice(0, -1)).split("\n");
  return `|${chomp}\n${body.map((l) => (l === "" ? "" : indent + l)).join("\n")}`;
}

function write(value: unknown, indent: string, inList: boolean): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return isBlock(value) ? block(value, indent) : scalar(value);
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    const lines = value.map((v) => `${indent}- ${write(v, `${indent}  `, true)}`);
    return `\n${lines.join("\n")}`;
  }
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  if (entries.length === 0) return "{}";
  const lines = entries.map(([k, v], i) => {
    // Items of a list stand under its name, as Kubernetes' tools write them.
    const deeper = Array.isArray(v) && v.length > 0 ? indent : `${indent}  `;
    const text = write(v, deeper, false);
    const start = inList && i === 0 ? "" : indent;
    return `${start}${scalar(k)}:${text.startsWith("\n") ? "" : " "}${text}`;
  });
  return (inList ? "" : "\n") + lines.join("\n");
}

/** A value as a document of YAML; keys stay in their order. */
export function toYAML(value: unknown): string {
  return `${write(value, "", false).replace(/^\n/, "")}\n`;
}

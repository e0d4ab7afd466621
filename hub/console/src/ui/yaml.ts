// Values as YAML, to be read and copied: what JSON says, in the form that people keep in Git.

const bare = /^[A-Za-z_./][A-Za-z0-9_./@-]*( [A-Za-z0-9_./@-]+)*$/;
const words = new Set(["true", "false", "null", "yes", "no", "on", "off", "y", "n", "~", ".inf", ".nan", "."]);

function scalar(x: unknown): string {
  if (typeof x !== "string") return JSON.stringify(x);
  return bare.test(x) && !words.has(x.toLowerCase()) ? x : JSON.stringify(x);
}

function lines(x: unknown, indent: string): string[] {
  if (Array.isArray(x))
    return x.flatMap((item) => {
      if (!nested(item)) return [`${indent}- ${flat(item)}`];
      const inner = lines(item, `${indent}  `);
      return [`${indent}- ${(inner[0] ?? "").slice(indent.length + 2)}`, ...inner.slice(1)];
    });
  return Object.entries(x as object)
    .filter(([, v]) => v !== undefined)
    .flatMap(([k, v]) =>
      nested(v)
        ? [`${indent}${scalar(k)}:`, ...lines(v, Array.isArray(v) ? indent : `${indent}  `)]
        : [`${indent}${scalar(k)}: ${flat(v)}`],
    );
}

function nested(x: unknown): boolean {
  if (x === null || typeof x !== "object") return false;
  return Array.isArray(x) ? x.length > 0 : Object.values(x).some((v) => v !== undefined);
}

function flat(x: unknown): string {
  if (Array.isArray(x)) return "[]";
  return x !== null && typeof x === "object" ? "{}" : scalar(x);
}

/** A JSON value as YAML, with a line end. Texts of several lines are quoted on one. */
export function toYAML(value: unknown): string {
  return nested(value) ? `${lines(value, "").join("\n")}\n` : `${flat(value)}\n`;
}

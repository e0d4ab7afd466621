import type { LabelRequirement, LabelSelector } from "../../api/types";

/** A selector as kubectl writes it: env=prod,tier in (a,b),!canary. */
export function formatSelector(s: LabelSelector | undefined): string {
  if (s === undefined) return "";
  return [
    ...Object.entries(s.matchLabels ?? {}).map(([k, v]) => `${k}=${v}`),
    ...(s.matchExpressions ?? []).map(formatRequirement),
  ].join(",");
}

function formatRequirement({ key, operator, values = [] }: LabelRequirement): string {
  switch (operator) {
    case "In":
      return `${key} in (${values.join(",")})`;
    case "NotIn":
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${values.join(",")})`;
    case "DoesNotExist":
      return `!${key}`;
    default:
      return key;
  }
}

const part = /^(?:(!)\s*(\S+)|(\S+?)\s*(==|!=|=)\s*(\S*)|(\S+)\s+(in|notin)\s*\(([^()]*)\)|(\S+))$/;

/** Reads such a text; undefined when it is none. The hub checks keys and values. */
export function parseSelector(text: string): LabelSelector | undefined {
  const matchLabels: Record<string, string> = {};
  const matchExpressions: LabelRequirement[] = [];
  for (const term of text.split(/,(?![^(]*\))/).map((x) => x.trim())) {
    if (term === "") continue;
    const m = part.exec(term);
    if (m === null) return undefined;
    const [, , without, key, sign, value, setKey, set, values, alone] = m;
    if (without !== undefined) matchExpressions.push({ key: without, operator: "DoesNotExist" });
    else if (key !== undefined && value !== undefined) {
      if (sign === "!=") matchExpressions.push({ key, operator: "NotIn", values: [value] });
      else if (key in matchLabels) return undefined;
      else matchLabels[key] = value;
    } else if (setKey !== undefined)
      matchExpressions.push({
        key: setKey,
        operator: set === "in" ? "In" : "NotIn",
        values: (values ?? "").split(",").map((v) => v.trim()),
      });
    else if (alone !== undefined) matchExpressions.push({ key: alone, operator: "Exists" });
  }
  return {
    ...(Object.keys(matchLabels).length > 0 && { matchLabels }),
    ...(matchExpressions.length > 0 && { matchExpressions }),
  };
}

const steps: [Intl.RelativeTimeFormatUnit, number, string][] = [
  ["year", 31_557_600, "y"],
  ["month", 2_629_800, "mo"],
  ["day", 86_400, "d"],
  ["hour", 3600, "h"],
  ["minute", 60, "m"],
  ["second", 1, "s"],
];

/** How long ago, or until, as the language says it; short is "14m". Less than a second is now. */
export function relative(at: number, now: number, locale: string, short: boolean): string {
  if (Number.isNaN(at)) return "";
  const seconds = Math.trunc((at - now) / 1000);
  const [unit, size, letter] = steps.find(([, s]) => Math.abs(seconds) >= s) ?? ["second", 1, "s"];
  const n = Math.trunc(seconds / size);
  if (short) return `${Math.abs(n)}${letter}`;
  return new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(n, unit);
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** The date and the time, here or in UTC, which is named; short has no seconds, and no year when it is this one. */
export function moment(at: Date, locale: string, utc: boolean, short: boolean, now = new Date()): string {
  const thisYear = utc ? at.getUTCFullYear() === now.getUTCFullYear() : at.getFullYear() === now.getFullYear();
  const key = `${locale} ${utc} ${short} ${thisYear}`;
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat(locale, {
      day: "numeric",
      month: "short",
      year: short && thisYear ? undefined : "numeric",
      hour: "2-digit",
      minute: "2-digit",
      second: short ? undefined : "2-digit",
      hourCycle: "h23",
      timeZone: utc ? "UTC" : undefined,
    });
    formats.set(key, format);
  }
  const text = format.format(at);
  return utc ? `${text} UTC` : text;
}

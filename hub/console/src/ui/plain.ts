// Texts of strangers: names, labels, messages, log lines. They are shown as what they
// are, so that nobody can be misled by what they would do to a terminal or a browser.

// ANSI escape sequences: CSI, OSC (up to its end), and the short ones.
const ansi =
  /\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[ -/]*[0-~]|\u009b[0-?]*[ -/]*[@-~]/g;

const bidi = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const invisible = /[\u00ad\u180e\u200b\u200c\u2060-\u2064\ufeff\u{e0000}-\u{e007f}]/gu;
const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029]/g;

const hex = (c: string) => `⟨U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`;

/** Pictures of the C0 control characters, ␀ to ␟, and ␡. */
function picture(c: string): string {
  const n = c.charCodeAt(0);
  if (n < 0x20) return String.fromCharCode(0x2400 + n);
  return n === 0x7f ? "␡" : hex(c);
}

/**
 * A text with nothing in it that does something: escape sequences are removed, other
 * control characters and those that turn or hide text are made visible. Line breaks
 * and tabs stay.
 */
export function plain(text: string): string {
  return text
    .replace(/\r\n/g, "\n")
    .replace(ansi, "")
    .replace(control, picture)
    .replace(bidi, hex)
    .replace(invisible, hex);
}

/** The same on one line. */
export function plainLine(text: string): string {
  return plain(text).replace(/\n/g, "⏎").replace(/\t/g, " ");
}

/** A text cut in its middle, where names differ least; whole characters stay whole. */
export function middle(text: string, most: number): string {
  const chars = Array.from(text);
  if (chars.length <= most) return text;
  const tail = Math.floor((most - 1) / 2);
  const head = most - 1 - tail;
  return `${chars.slice(0, head).join("")}…${tail === 0 ? "" : chars.slice(-tail).join("")}`;
}

/** An address that may become a link: http or https with a host, and nothing else. */
export function safeHref(address: string): string | undefined {
  if (/[\u0000-\u0020\u007f-\u00a0\u2028\u2029]/.test(address.trim())) return undefined;
  let url: URL;
  try {
    url = new URL(address.trim());
  } catch {
    return undefined;
  }
  if ((url.protocol !== "https:" && url.protocol !== "http:") || url.hostname === "") return undefined;
  // Somebody else's name before the host is how addresses mislead.
  if (url.username !== "" || url.password !== "") return undefined;
  return url.href;
}

import { type CSSProperties, type ReactNode, useMemo, useState } from "react";
import { useT } from "../i18n";
import classes from "./PlainText.module.css";
import { middle, plain, plainLine, safeHref } from "./plain";

/** How much of a text is put into the page before somebody asks for more. */
const most = 2000;

/**
 * A stranger's text as text. On one line unless `lines` says how many are shown; very
 * long text is cut, with a button for the rest.
 */
export function PlainText({ text, lines, mono }: { text: string; lines?: number; mono?: boolean }) {
  const t = useT();
  const [whole, setWhole] = useState(false);
  const shown = useMemo(() => {
    const cut = whole ? text : text.slice(0, most);
    return lines === undefined ? plainLine(cut) : plain(cut);
  }, [text, whole, lines]);
  const className = `${lines === undefined ? classes.line : classes.lines}${mono ? " mono" : ""}`;
  return (
    <>
      <bdi
        className={className}
        style={lines === undefined || whole ? undefined : ({ "--lines": lines } as CSSProperties)}
        data-whole={whole || undefined}
        title={lines === undefined && shown.length > 40 ? shown : undefined}
      >
        {shown}
        {!whole && text.length > most && "…"}
      </bdi>
      {lines !== undefined && text.length > most && (
        <button type="button" className={classes.more} onClick={() => setWhole(!whole)}>
          {whole ? t("ui.text.less") : t("ui.text.more", { n: text.length - most })}
        </button>
      )}
    </>
  );
}

/** A link to somewhere outside that a stranger named: only http and https, else text. */
export function SafeLink({ href, children }: { href: string; children?: ReactNode }) {
  const t = useT();
  const to = safeHref(href);
  const shown = children ?? plainLine(middle(href, 80));
  if (to === undefined) return <bdi>{shown}</bdi>;
  return (
    <a href={to} target="_blank" rel="noopener noreferrer nofollow" referrerPolicy="no-referrer">
      <bdi>{shown}</bdi>
      <span className="visually-hidden"> {t("ui.link.newTab")}</span>
      <span aria-hidden="true"> ↗</span>
    </a>
  );
}

/** A name cut in its middle to `most` characters; the whole is its title and what readers hear. */
export function MiddleTruncate({ text, most: limit = 40 }: { text: string; most?: number }) {
  const whole = plainLine(text.slice(0, most));
  const short = middle(whole, limit);
  if (short === whole) return <bdi className={classes.name}>{whole}</bdi>;
  return (
    <bdi className={classes.name} title={whole}>
      <span aria-hidden="true">{short}</span>
      <span className="visually-hidden">{whole}</span>
    </bdi>
  );
}

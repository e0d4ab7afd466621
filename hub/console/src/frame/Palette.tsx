import { Modal } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { useLocale, useT } from "../i18n";
import { loadWords, type Noun } from "../i18n/catalogue";
import { Icon } from "../ui/Icon";
import type { PaletteEntry, PaletteSource } from "../ui/paletteSource";
import { middle, plainLine } from "../ui/plain";
import { usePreferences } from "../ui/preferences";
import { lookCommands, pageCommands } from "./commandSources";
import { frameSource } from "./frameSource";
import classes from "./Palette.module.css";
import { forget, recents, remember } from "./recents";
import { permitted } from "./rights";

const files = import.meta.glob<PaletteSource>("../features/*/palette.ts", { import: "default" });

/** Sources of the frame and of all features, loaded when the palette first opens. */
let sources: Promise<PaletteSource[]> | undefined;
function allSources(): Promise<PaletteSource[]> {
  if (sources !== undefined) return sources;
  // A source says the words of its own noun, whose view may not have been opened.
  const load = Object.entries(files).map(async ([path, file]) => {
    const [source] = await Promise.all([file(), loadWords(path.split("/").at(-2) as Noun)]);
    return source;
  });
  sources = Promise.allSettled(load).then((found) => [
    frameSource,
    ...found.flatMap((f) => (f.status === "fulfilled" ? [f.value] : [])),
  ]);
  return sources;
}

interface Section {
  title: string;
  entries: PaletteEntry[];
}

/** Splits "a:pay" and ">sync" into the prefix and the text. */
export function prefixOf(typed: string, known: readonly string[]): { prefix?: string; text: string } {
  const text = typed.trimStart();
  if (text.startsWith(">")) return { prefix: ">", text: text.slice(1).trim() };
  const colon = text.indexOf(":");
  if (colon > 0 && known.includes(text.slice(0, colon)))
    return { prefix: text.slice(0, colon), text: text.slice(colon + 1).trim() };
  return { text: text.trim() };
}

export default function Palette({ onClose }: { onClose: () => void }) {
  const t = useT();
  const navigate = useNavigate();
  const client = useQueryClient();
  const list = useId();
  const [typed, setTyped] = useState("");
  const [others, setOthers] = useState<PaletteSource[]>([]);
  const look = usePreferences();
  const [locale, setLocale] = useLocale();
  const known = useMemo(
    () => [pageCommands, ...others, lookCommands(look, locale, setLocale)],
    [others, look, locale, setLocale],
  );
  const [sections, setSections] = useState<Section[]>([]);
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState(false);
  const [at, setAt] = useState(0);
  const listed = useRef<HTMLDivElement>(null);

  useEffect(() => {
    let here = true;
    void allSources().then((s) => here && setOthers(s));
    return () => {
      here = false;
    };
  }, []);

  useEffect(() => {
    const abort = new AbortController();
    const { prefix, text } = prefixOf(
      typed,
      known.flatMap((s) => s.prefix ?? []),
    );
    const asked = known.filter((s) => prefix === undefined || s.prefix === prefix);
    const found: (Section | undefined)[] = [];
    const show = () => {
      const out = found.filter((s): s is Section => s !== undefined && s.entries.length > 0);
      setSections(before.length > 0 ? [{ title: t("frame.palette.recent"), entries: before }, ...out] : out);
    };
    let before: PaletteEntry[] = [];
    if (typed.trim() === "")
      void permitted(client, recents()).then((entries) => {
        before = entries;
        if (!abort.signal.aborted) show();
      });
    show();
    setAt(0);
    setFailed(false);
    // Typing is not answered letter by letter; what is at hand is at once.
    const timer = setTimeout(
      () => {
        setBusy(true);
        void Promise.all(
          asked.map(async (s, i) => {
            try {
              const entries = await permitted(client, await s.search(text, { signal: abort.signal, t }));
              if (abort.signal.aborted) return;
              found[i] = { title: s.title(t), entries: entries.slice(0, 20) };
              show();
            } catch {
              if (!abort.signal.aborted) setFailed(true);
            }
          }),
        ).then(() => !abort.signal.aborted && setBusy(false));
      },
      text === "" ? 0 : 80,
    );
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [typed, known, t, client]);

  const flat = useMemo(() => sections.flatMap((s) => s.entries), [sections]);
  const choose = (e: PaletteEntry | undefined) => {
    if (e === undefined) return;
    onClose();
    if (e.to !== undefined) {
      remember(e);
      void navigate({ to: e.to });
    }
    e.run?.();
  };
  const move = (by: number) => {
    if (flat.length === 0) return;
    const next = (at + by + flat.length) % flat.length;
    setAt(next);
    listed.current?.querySelector(`[data-at="${next}"]`)?.scrollIntoView?.({ block: "nearest" });
  };
  let n = -1;
  return (
    <Modal.Root opened onClose={onClose} size={620} yOffset="12vh">
      <Modal.Overlay />
      <Modal.Content aria-label={t("frame.palette.open")}>
        <div className={classes.box}>
          <Icon name="search" />
          <input
            className={classes.input}
            value={typed}
            onChange={(e) => setTyped(e.currentTarget.value)}
            placeholder={t("frame.palette.hint")}
            data-autofocus
            spellCheck={false}
            autoComplete="off"
            role="combobox"
            aria-label={t("frame.palette.hint")}
            aria-expanded="true"
            aria-controls={list}
            aria-activedescendant={flat[at] === undefined ? undefined : `${list}-${at}`}
            onKeyDown={(e) => {
              if (e.key === "ArrowDown" || (e.ctrlKey && e.key === "n")) move(1);
              else if (e.key === "ArrowUp" || (e.ctrlKey && e.key === "p")) move(-1);
              else if (e.key === "Enter" && !e.nativeEvent.isComposing) choose(flat[at]);
              else return;
              e.preventDefault();
            }}
          />
          {busy && <span className={classes.busy} aria-hidden="true" />}
        </div>
        <div className={classes.list} id={list} role="listbox" aria-label={t("frame.palette.results")} ref={listed}>
          {sections.map((s) => (
            // biome-ignore lint/a11y/useSemanticElements: groups of options are no fieldsets
            <div key={s.title} role="group" aria-label={s.title}>
              <div className={classes.title} aria-hidden="true">
                {s.title}
              </div>
              {s.entries.map((e) => {
                n++;
                const index = n;
                return (
                  // biome-ignore lint/a11y/useKeyWithClickEvents: the input has the keys
                  <div
                    key={e.id}
                    id={`${list}-${index}`}
                    data-at={index}
                    role="option"
                    tabIndex={-1}
                    aria-selected={index === at}
                    className={classes.entry}
                    onMouseMove={() => at !== index && setAt(index)}
                    onClick={() => choose(e)}
                  >
                    <Icon name={e.icon ?? "right"} />
                    <bdi className={classes.name}>{plainLine(middle(e.title, 64))}</bdi>
                    {e.hint !== undefined && <bdi className={classes.hint}>{plainLine(middle(e.hint, 48))}</bdi>}
                  </div>
                );
              })}
            </div>
          ))}
        </div>
        <div className={classes.foot}>
          <span role="status">
            {failed
              ? t("frame.palette.failed")
              : !busy && typed.trim() !== "" && flat.length === 0
                ? t("frame.palette.none")
                : ""}
          </span>
          <span className={classes.prefixes}>
            {known
              .filter((s) => s.prefix !== undefined)
              .map((s) => (
                <button
                  type="button"
                  key={s.id}
                  onClick={() => {
                    setTyped(s.prefix === ">" ? ">" : `${s.prefix}:`);
                    document.querySelector<HTMLInputElement>(`[aria-controls="${list}"]`)?.focus();
                  }}
                >
                  <kbd>{s.prefix === ">" ? ">" : `${s.prefix}:`}</kbd> {s.title(t)}
                </button>
              ))}
            {typed === "" && recents().length > 0 && (
              <button
                type="button"
                onClick={() => {
                  forget();
                  setTyped(" ");
                }}
              >
                {t("frame.palette.forget")}
              </button>
            )}
          </span>
        </div>
      </Modal.Content>
    </Modal.Root>
  );
}

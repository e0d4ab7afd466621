import { ActionIcon } from "@mantine/core";
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { useFormat, useT } from "../../i18n";
import { Problem } from "../../problem";
import { useChord } from "../../ui/chords";
import { Icon } from "../../ui/Icon";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import classes from "./FilterBox.module.css";
import { around, type Choice, choices, placeOf, typingAt } from "./filter";

/** After the last key: people type faster than that within a word. */
const pause = 100;

/**
 * The box of the filter. What is typed is tried at the hub while it is typed, and
 * taken when the hub understands it; until then the list stays as it is. What it does
 * not understand is marked where the hub says.
 */
export function FilterBox({
  value,
  onChange,
  onTry,
  counted,
  labels,
}: {
  value: string;
  onChange: (filter: string) => void;
  /** Fails with the hub's problem when the filter is none. */
  onTry: (filter: string) => Promise<unknown>;
  /** Values of keys with their counts, for completion. */
  counted: Readonly<Record<string, Readonly<Record<string, number>>>>;
  labels: readonly string[];
}) {
  const t = useT();
  const format = useFormat();
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [draft, setDraft] = useState(value);
  const [caret, setCaret] = useState(value.length);
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const [fault, setFault] = useState<{ filter: string; problem: Problem }>();
  // What was taken last: a value that comes from elsewhere, as from a facet, is a new draft.
  const [taken, setTaken] = useState(value);
  if (taken !== value) {
    setTaken(value);
    if (draft.trim() !== value) {
      setDraft(value);
      setFault(undefined);
    }
  }
  const functions = useRef({ onChange, onTry });
  useEffect(() => {
    functions.current = { onChange, onTry };
  });
  const wanted = draft.trim();
  useEffect(() => {
    if (wanted === value) {
      setFault(undefined);
      return;
    }
    let left = false;
    const timer = setTimeout(async () => {
      try {
        await functions.current.onTry(wanted);
      } catch (e) {
        const problem = Problem.of(e);
        if (left) return;
        if (problem.code === "filter_invalid") {
          setFault({ filter: wanted, problem });
          return;
        }
        // Whatever else is wrong is said where the list is.
      }
      if (left) return;
      setFault(undefined);
      functions.current.onChange(wanted);
    }, pause);
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [wanted, value]);

  useChord("/", t("applications.filter.focus"), t("applications.title"), () => {
    input.current?.focus();
    input.current?.select();
  });

  const typing = typingAt(draft, caret);
  const offered = open ? choices(typing, counted, labels) : [];
  const shown = offered.length > 0;
  const choose = (c: Choice) => {
    const ends = !c.text.endsWith(":");
    const next = `${draft.slice(0, typing.from)}${c.text}${draft.slice(typing.to)}`;
    const at = typing.from + c.text.length;
    setDraft(next);
    setCaret(at);
    setActive(-1);
    setOpen(!ends);
    requestAnimationFrame(() => input.current?.setSelectionRange(at, at));
  };
  const keys = (e: KeyboardEvent) => {
    switch (e.key) {
      case "ArrowDown":
      case "ArrowUp":
        e.preventDefault();
        if (!shown) {
          setOpen(true);
          return;
        }
        setActive((a) => {
          const n = offered.length;
          return e.key === "ArrowDown" ? (a + 1) % n : (a <= 0 ? n : a) - 1;
        });
        return;
      case "Enter": {
        const c = offered[active];
        if (c !== undefined) {
          e.preventDefault();
          choose(c);
        } else setOpen(false);
        return;
      }
      case "Escape":
        e.preventDefault();
        if (shown) setOpen(false);
        else input.current?.blur();
    }
  };
  const place = fault === undefined ? undefined : placeOf(fault.problem);
  const [before, wrong, rest] = fault === undefined || place === undefined ? ["", "", ""] : around(fault.filter, place);
  const failed = fault !== undefined && fault.filter === wanted && !shown;
  return (
    // biome-ignore lint/a11y/useSemanticElements: <search> is not known everywhere yet
    <div role="search" className={classes.around}>
      <div className={classes.box} data-failed={failed || undefined}>
        <Icon name="search" size={14} />
        <input
          ref={input}
          className={classes.input}
          type="text"
          role="combobox"
          aria-label={t("applications.filter")}
          aria-expanded={shown}
          aria-controls={shown ? `${id}-list` : undefined}
          aria-activedescendant={shown && active >= 0 ? `${id}-${active}` : undefined}
          aria-autocomplete="list"
          aria-invalid={failed}
          aria-describedby={failed ? `${id}-fault` : undefined}
          placeholder={t("applications.filter.example")}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          value={draft}
          onChange={(e) => {
            setDraft(e.currentTarget.value);
            setCaret(e.currentTarget.selectionStart ?? e.currentTarget.value.length);
            setActive(-1);
            setOpen(true);
          }}
          onSelect={(e) => setCaret(e.currentTarget.selectionStart ?? 0)}
          onClick={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={keys}
        />
        {draft !== "" && (
          <ActionIcon
            size={22}
            aria-label={t("applications.filter.clear")}
            onClick={() => {
              setDraft("");
              setOpen(false);
              onChange("");
              input.current?.focus();
            }}
          >
            <Icon name="close" size={12} />
          </ActionIcon>
        )}
      </div>
      {shown && (
        <div className={classes.list} id={`${id}-list`} role="listbox" aria-label={t("applications.filter.choices")}>
          {offered.map((c, i) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the box has the keys
            // biome-ignore lint/a11y/useFocusableInteractive: the box has the focus
            <div
              key={c.text}
              id={`${id}-${i}`}
              role="option"
              aria-selected={i === active}
              className={classes.choice}
              onMouseDown={(e) => e.preventDefault()}
              onClick={() => choose(c)}
            >
              <bdi>{plainLine(c.text)}</bdi>
              {c.count !== undefined && <span className={classes.count}>{format.number(c.count)}</span>}
            </div>
          ))}
        </div>
      )}
      {failed && (
        <div className={classes.fault} id={`${id}-fault`} role="alert">
          <code className={classes.where}>
            {plainLine(before)}
            <mark className={classes.wrong}>{wrong === "" ? " " : plainLine(wrong)}</mark>
            {plainLine(rest)}
          </code>
          <PlainText text={fault.problem.message} lines={3} />
        </div>
      )}
    </div>
  );
}

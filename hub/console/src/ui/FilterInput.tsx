import { TextInput } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { useT } from "../i18n";
import { useChord } from "./chords";
import { PlainText } from "./PlainText";

/**
 * A box for a filter that is in the URL: told a quarter of a second after the last
 * key, reached with "/", emptied with Esc. `problem` is why the hub does not take it.
 */
export function FilterInput({
  value,
  onChange,
  label,
  placeholder,
  problem,
  className,
}: {
  value: string;
  onChange: (value: string | undefined) => void;
  label: string;
  placeholder?: string;
  problem?: string;
  className?: string;
}) {
  const t = useT();
  const [text, setText] = useState(value);
  const box = useRef<HTMLInputElement>(null);
  const latest = useRef(onChange);
  useEffect(() => {
    latest.current = onChange;
  });
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    const next = text.trim();
    if (next === value) return;
    const timer = setTimeout(() => latest.current(next === "" ? undefined : next), 250);
    return () => clearTimeout(timer);
  }, [text, value]);
  useChord("/", label, t("ui.table.keys"), () => box.current?.focus());
  return (
    <TextInput
      ref={box}
      className={className}
      type="search"
      aria-label={label}
      placeholder={placeholder}
      value={text}
      onChange={(e) => setText(e.currentTarget.value)}
      onKeyDown={(e) => {
        if (e.key !== "Escape") return;
        if (text === "") e.currentTarget.blur();
        else setText("");
      }}
      error={problem === undefined ? undefined : <PlainText text={problem} lines={2} />}
      spellCheck={false}
      autoComplete="off"
    />
  );
}

import { useEffect, useRef, useSyncExternalStore } from "react";

/** A question to the hub about rights: "sync applications PROJECT/NAME". */
export interface Right {
  verb: string;
  resource: string;
  object?: string;
}

/** A key or a sequence of keys: "/", "?", "g f", "Escape", "mod+k" (⌘ on a Mac, else Ctrl). */
export interface Chord {
  /** "" has none: the palette alone offers it. */
  keys: string;
  /** What it does, in the language of the page; the help lists it. "" is not listed. */
  label: string;
  /** Heading in the help under which it is listed. */
  group: string;
  run: (e: KeyboardEvent) => void;
  /** What it takes; the palette offers it to those who may. */
  needs?: Right;
}

const chords: Chord[] = []; // the last that was registered wins
const listeners = new Set<() => void>();
let snapshot: readonly Chord[] = [];
const storageKey = "hawser.chords";
let on = localStorage.getItem(storageKey) !== "off";

function changed(): void {
  snapshot = [...chords];
  for (const l of listeners) l();
}

/** Single keys can be switched off, for those whose tools type (WCAG 2.1.4). Those with ⌘ or Ctrl stay. */
export function setChordsOn(v: boolean): void {
  on = v;
  localStorage.setItem(storageKey, v ? "on" : "off");
  changed();
}

export const chordsOn = (): boolean => on;

const subscribe = (l: () => void) => {
  listeners.add(l);
  return () => {
    listeners.delete(l);
  };
};

export function useChordsOn(): boolean {
  return useSyncExternalStore(subscribe, chordsOn);
}

/** All chords that work now, for the help. */
export function useChords(): readonly Chord[] {
  return useSyncExternalStore(subscribe, () => snapshot);
}

/** What the page that is there can do, for the palette: all chords, and commands without keys. */
export const commands = (): readonly Chord[] => snapshot.filter((c) => c.label !== "");

/** Offers something in the palette that has no keys, while the component is there. */
export function useCommand(label: string, group: string, run: () => void, active = true, needs?: Right): void {
  useChord("", label, group, run, active, needs);
}

/** Registers a chord while the component is there. */
export function useChord(
  keys: string,
  label: string,
  group: string,
  run: (e: KeyboardEvent) => void,
  active = true,
  needs?: Right,
): void {
  const current = useRef(run);
  useEffect(() => {
    current.current = run;
  });
  const { verb, resource, object } = needs ?? {};
  useEffect(() => {
    if (!active) return;
    const right = verb === undefined || resource === undefined ? undefined : { verb, resource, object };
    const chord: Chord = { keys, label, group, run: (e) => current.current(e), needs: right };
    chords.push(chord);
    changed();
    return () => {
      chords.splice(chords.indexOf(chord), 1);
      changed();
    };
  }, [keys, label, group, active, verb, resource, object]);
}

/** Whether somebody is writing, so that keys are text. */
function writes(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.closest("[data-keys=own]") !== null) return true;
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return (
    target instanceof HTMLInputElement &&
    !["checkbox", "radio", "button", "submit", "reset", "range", "color", "file"].includes(target.type)
  );
}

/** Whether a key does something with what has the focus: a button is pressed and a link followed, whatever lists do with the key. */
function activates(e: KeyboardEvent): boolean {
  if (e.key !== "Enter" && e.key !== " ") return false;
  return (
    e.target instanceof Element && e.target.closest("button, a[href], summary, [role=button], [role=link]") !== null
  );
}

const stepTime = 1500;

/** Listens to the keys of the page, until the function that it returns is called. */
export function installChords(target: Window = window): () => void {
  let sequence: string[] = [];
  let last = 0;
  const down = (e: KeyboardEvent) => {
    if (e.defaultPrevented || e.isComposing || e.key === undefined) return;
    const mod = e.metaKey || e.ctrlKey;
    if (mod || e.altKey) {
      if (e.altKey || (e.metaKey && e.ctrlKey)) return;
      const wanted = `mod+${e.key.toLowerCase()}`;
      const chord = chords.findLast((c) => c.keys === wanted);
      if (chord !== undefined) {
        e.preventDefault();
        chord.run(e);
      }
      return;
    }
    if (e.key === "Shift" || writes(e.target) || activates(e)) return;
    // Dialogs and menus have keys of their own.
    if (document.querySelector('[role="dialog"][aria-modal="true"], [role="menu"]') !== null) return;
    if (!on && e.key !== "Escape") return;
    if (e.timeStamp - last > stepTime) sequence = [];
    last = e.timeStamp;
    sequence.push(e.key);
    for (let i = 0; i < sequence.length; i++) {
      const typed = sequence.slice(i).join(" ");
      const chord = chords.findLast((c) => c.keys === typed);
      if (chord !== undefined) {
        sequence = [];
        e.preventDefault();
        chord.run(e);
        return;
      }
    }
    const typed = (n: number) => sequence.slice(n).join(" ");
    while (sequence.length > 0 && !chords.some((c) => c.keys.startsWith(`${typed(0)} `))) sequence.shift();
  };
  target.addEventListener("keydown", down);
  return () => target.removeEventListener("keydown", down);
}

/** Keys as they are printed on a keyboard. */
export function printed(keys: string): string[] {
  const mac = /Mac|iPhone|iPad/.test(navigator.platform);
  return keys.split(" ").flatMap((k) =>
    k.split("+").map((p) => {
      switch (p) {
        case "mod":
          return mac ? "⌘" : "Ctrl";
        case "Escape":
          return "Esc";
        case "ArrowUp":
          return "↑";
        case "ArrowDown":
          return "↓";
        case "Enter":
          return "↵";
        default:
          return p.length === 1 && k.includes("+") ? p.toUpperCase() : p;
      }
    }),
  );
}

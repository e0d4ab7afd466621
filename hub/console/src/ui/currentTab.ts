import { type RefObject, useEffect, useRef } from "react";

/** The strip of tabs: where not all have room the one in sight is scrolled to. */
export function useCurrentTab<E extends HTMLElement>(): RefObject<E | null> {
  const strip = useRef<E>(null);
  // Another tab is another drawing; what stands where it did is left where it is.
  const shown = useRef<Element>(null);
  useEffect(() => {
    const tab = strip.current?.querySelector('[aria-current="page"]') ?? null;
    if (tab !== null && tab !== shown.current) tab.scrollIntoView?.({ block: "nearest", inline: "nearest" });
    shown.current = tab;
  });
  return strip;
}

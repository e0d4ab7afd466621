import { useMantineColorScheme } from "@mantine/core";
import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";

export const schemes = ["auto", "light", "dark"] as const;
export const densities = ["compact", "default", "comfortable"] as const;
export const contrasts = ["auto", "more"] as const;
/** How moments are written: how long ago, or when, here or in UTC. */
export const clocks = ["relative", "local", "utc"] as const;

/** What a person chose about the look; kept in the browser. */
export interface Preferences {
  density: (typeof densities)[number];
  /** "auto" is what the system asks for. */
  contrast: (typeof contrasts)[number];
  nav: "open" | "collapsed";
  times: (typeof clocks)[number];
}

interface Value extends Preferences {
  set: (p: Partial<Preferences>) => void;
  scheme: (typeof schemes)[number];
  setScheme: (s: (typeof schemes)[number]) => void;
}

const storageKey = "hawser.look";
const defaults: Preferences = { density: "default", contrast: "auto", nav: "open", times: "relative" };

function stored(): Preferences {
  try {
    const v = JSON.parse(localStorage.getItem(storageKey) ?? "{}") as Partial<Preferences>;
    return {
      density: densities.find((d) => d === v.density) ?? defaults.density,
      contrast: contrasts.find((c) => c === v.contrast) ?? defaults.contrast,
      nav: v.nav === "collapsed" ? "collapsed" : "open",
      times: clocks.find((c) => c === v.times) ?? defaults.times,
    };
  } catch {
    return defaults;
  }
}

const Context = createContext<Value | undefined>(undefined);

/** PreferencesProvider puts the choices onto the page: data-density and data-contrast of <html>. */
export function PreferencesProvider({ children }: { children: ReactNode }) {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const [chosen, setChosen] = useState(stored);
  useEffect(() => {
    const root = document.documentElement;
    root.dataset.density = chosen.density;
    const query = window.matchMedia("(prefers-contrast: more)");
    const apply = () => {
      if (chosen.contrast === "more" || query.matches) root.dataset.contrast = "more";
      else delete root.dataset.contrast;
    };
    apply();
    query.addEventListener("change", apply);
    return () => query.removeEventListener("change", apply);
  }, [chosen]);
  const value = useMemo<Value>(
    () => ({
      ...chosen,
      set: (p) =>
        setChosen((old) => {
          const next = { ...old, ...p };
          localStorage.setItem(storageKey, JSON.stringify(next));
          return next;
        }),
      scheme: colorScheme,
      setScheme: setColorScheme,
    }),
    [chosen, colorScheme, setColorScheme],
  );
  return <Context value={value}>{children}</Context>;
}

export function usePreferences(): Value {
  const v = useContext(Context);
  if (v === undefined) throw new Error("no PreferencesProvider");
  return v;
}

import IntlMessageFormat from "intl-messageformat";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { type Locale, locales, type MessageKey, type Messages, speak } from "./catalogue";

export { type Locale, locales, type MessageKey } from "./catalogue";

export type MessageValues = Record<string, string | number | bigint | boolean | Date | null | undefined>;

/** The message of a key, with its values: t("fleet.title", { n: 3 }). */
export type T = (key: MessageKey, values?: MessageValues) => string;

/** Makes a T of a catalogue; messages are parsed on first use. */
export function translator(locale: Locale, messages: Messages): T {
  const parsed = new Map<string, IntlMessageFormat>();
  return (key, values) => {
    const text = messages[key];
    if (text === undefined) return key;
    if (!text.includes("{") && !text.includes("'")) return text;
    let format = parsed.get(key);
    if (format === undefined) {
      format = new IntlMessageFormat(text, locale, undefined, { ignoreTag: true });
      parsed.set(key, format);
    }
    return String(format.format(values as Record<string, string | number>));
  };
}

interface I18n {
  locale: Locale;
  setLocale: (l: Locale) => void;
  t: T;
}

const Context = createContext<I18n | undefined>(undefined);

const storageKey = "hawser.locale";

/** The language that was chosen, or the first of the browser's that we speak. */
export function preferredLocale(): Locale {
  const known = (l: string | null | undefined): Locale | undefined => locales.find((x) => x === l?.split("-")[0]);
  return known(localStorage.getItem(storageKey)) ?? navigator.languages.map(known).find((l) => l !== undefined) ?? "en";
}

/** I18nProvider gives useT its language; `initial` are the messages loaded before the first paint. */
export function I18nProvider({
  initial,
  children,
}: {
  initial: { locale: Locale; messages: Messages };
  children: ReactNode;
}) {
  const [current, setCurrent] = useState(initial);
  useEffect(() => {
    document.documentElement.lang = current.locale;
  }, [current.locale]);
  const setLocale = useCallback((locale: Locale) => {
    localStorage.setItem(storageKey, locale);
    speak(locale).then(setCurrent, () => {}); // offline: the language stays
  }, []);
  const value = useMemo(
    () => ({ locale: current.locale, setLocale, t: translator(current.locale, current.messages) }),
    [current, setLocale],
  );
  return <Context value={value}>{children}</Context>;
}

function useI18n(): I18n {
  const c = useContext(Context);
  if (c === undefined) throw new Error("no I18nProvider");
  return c;
}

/** The messages of the language in use. Every visible word comes from here. */
export function useT(): T {
  return useI18n().t;
}

export function useLocale(): [Locale, (l: Locale) => void] {
  const c = useI18n();
  return [c.locale, c.setLocale];
}

/** Numbers, shares and dates as the language writes them. */
export function useFormat() {
  const { locale } = useI18n();
  return useMemo(() => {
    const number = new Intl.NumberFormat(locale);
    const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
    const dateTime = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
    const time = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
    return {
      number: (n: number) => number.format(n),
      percent: (share: number) => percent.format(share),
      dateTime: (d: Date | string) => dateTime.format(new Date(d)),
      time: (d: Date | string) => time.format(new Date(d)),
    };
  }, [locale]);
}

// Every word of every noun, as no page has them all: for tests.
import { flatten, type Locale, type Messages } from "../i18n/catalogue";

const of = (files: Record<string, Record<string, string>>): Messages => flatten(files);

export const allMessages: Record<Locale, Messages> = {
  en: of(import.meta.glob<Record<string, string>>("../messages/en/*.json", { eager: true, import: "default" })),
  de: of(import.meta.glob<Record<string, string>>("../messages/de/*.json", { eager: true, import: "default" })),
};

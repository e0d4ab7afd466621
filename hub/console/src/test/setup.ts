import "@testing-library/jest-dom/vitest";
import { cleanup, configure } from "@testing-library/react";
import { afterEach, beforeEach, expect, vi } from "vitest";

// Lazy parts of a page are loaded within a test, on machines that do other things too.
configure({ asyncUtilTimeout: 30_000 });

// What jsdom does not have and components ask for.
class Observer {
  observe() {}
  unobserve() {}
  disconnect() {}
}
vi.stubGlobal("ResizeObserver", Observer);
vi.stubGlobal("IntersectionObserver", Observer);
window.matchMedia = (query) =>
  ({
    matches: false,
    media: query,
    onchange: null,
    addEventListener: () => {},
    removeEventListener: () => {},
    addListener: () => {},
    removeListener: () => {},
    dispatchEvent: () => false,
  }) as MediaQueryList;
window.HTMLElement.prototype.scrollIntoView = () => {};
window.scrollTo = () => {};
// Editors measure their text.
Range.prototype.getClientRects = () => [] as unknown as DOMRectList;
Range.prototype.getBoundingClientRect = () => new DOMRect();
// Texts that grow listen for fonts.
Object.defineProperty(document, "fonts", { value: new EventTarget() });
// jsdom lays nothing out: without a size virtual lists would have no rows.
for (const [name, size] of [
  ["clientHeight", 640],
  ["clientWidth", 1200],
  ["offsetHeight", 640],
  ["offsetWidth", 1200],
] as const)
  Object.defineProperty(HTMLElement.prototype, name, { configurable: true, get: () => size });

// What React says about markup that no browser would make: a form within a form is sent by both.
const misplaced: string[] = [];
const error = console.error;
console.error = (...said: unknown[]) => {
  const text = said.map(String).join(" ");
  if (/cannot contain|cannot be a (child|descendant)/.test(text)) misplaced.push(text);
  error(...said);
};

beforeEach(() => {
  localStorage.clear();
});
afterEach(() => {
  cleanup();
  expect(misplaced.splice(0)).toEqual([]);
});

/**
 * The nonce under which the page may have style elements. The hub puts another one
 * into each answer; vite's own server leaves the placeholder, and has no policy.
 */
export function styleNonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";
}

/**
 * Gives every style element that scripts make the nonce, also those of libraries that
 * know of none (the terminal, locks of scrolling). Scripts that run are ours already.
 */
export function installStyleNonce(): void {
  const nonce = styleNonce();
  const create = document.createElement.bind(document) as (name: string, o?: ElementCreationOptions) => HTMLElement;
  document.createElement = ((name: string, o?: ElementCreationOptions) => {
    const element = create(name, o);
    if (element instanceof HTMLStyleElement) element.nonce = nonce;
    return element;
  }) as typeof document.createElement;
}

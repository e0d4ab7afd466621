import { type AsyncRouteComponent, lazyRouteComponent } from "@tanstack/react-router";
import { loadWords, type Noun } from "../i18n/catalogue";

/** The component of a route, loaded with the words that it and all that it shows says: words.test.ts knows which. */
// biome-ignore-start lint/suspicious/noExplicitAny: as lazyRouteComponent has it; unknown would make types of routes go in circles
export function view<M extends Record<string, any>, K extends keyof M>(
  words: Noun[],
  load: () => Promise<M>,
  name: K,
): M[K] extends (props: infer Props) => any ? AsyncRouteComponent<Props> : never {
  return lazyRouteComponent(async () => (await Promise.all([load(), loadWords(...words)]))[0], name);
}
// biome-ignore-end lint/suspicious/noExplicitAny: as above

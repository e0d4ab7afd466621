import type { ReactNode } from "react";
import { useCurrentTab } from "./currentTab";
import classes from "./TabBar.module.css";

/** Class of the links of a TabBar; the one of the tab in sight has aria-current="page". */
export const tabClass = classes.tab as string;

/** The tabs of a page: links, since each tab is a URL. */
export function TabBar({ label, children }: { label: string; children: ReactNode }) {
  return (
    <nav ref={useCurrentTab<HTMLElement>()} className={classes.tabs} aria-label={label}>
      {children}
    </nav>
  );
}

/** How many things are behind a tab. */
export function TabCount({ n }: { n: number | undefined }) {
  return n === undefined || n === 0 ? null : <span className={classes.count}>{n}</span>;
}

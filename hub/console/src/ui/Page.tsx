import { type ReactNode, useEffect } from "react";
import classes from "./Page.module.css";

/** A page of the frame: its title, what it is in, and what can be done; below it the content. */
export function Page({
  title,
  heading,
  crumbs,
  status,
  actions,
  fill,
  children,
}: {
  /** Title of the tab, and of the page unless `heading` is there. */
  title: string;
  heading?: ReactNode;
  /** Links to what the page is in. */
  crumbs?: ReactNode;
  status?: ReactNode;
  actions?: ReactNode;
  /** The content has the rest of the window, as a column, and scrolls within itself. */
  fill?: boolean;
  children: ReactNode;
}) {
  useEffect(() => {
    document.title = `${title} · Hawser`;
  }, [title]);
  return (
    <div className={classes.page} data-fill={fill || undefined}>
      <header className={classes.header}>
        <div className={classes.titles}>
          {crumbs !== undefined && <nav className={classes.crumbs}>{crumbs}</nav>}
          <h1>{heading ?? title}</h1>
          {status !== undefined && <div className={classes.status}>{status}</div>}
        </div>
        {actions !== undefined && <div className={classes.actions}>{actions}</div>}
      </header>
      <div className={classes.content}>{children}</div>
    </div>
  );
}

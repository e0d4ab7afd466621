import type { ReactNode } from "react";
import classes from "./CompactCell.module.css";

/** A whole row of a table where there is no room for columns: its name and signs, and a line below. */
export function CompactCell({ name, signs, more }: { name: ReactNode; signs?: ReactNode; more: ReactNode }) {
  return (
    <span className={classes.cell}>
      <span className={classes.first}>
        <span className={classes.name}>{name}</span>
        <span className={classes.signs}>{signs}</span>
      </span>
      <span className={classes.more}>{more}</span>
    </span>
  );
}

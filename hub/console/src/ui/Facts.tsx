import { Fragment, type ReactNode } from "react";
import classes from "./Facts.module.css";

/** Names and values, two columns. */
export function Facts({ facts }: { facts: readonly { name: string; value: ReactNode }[] }) {
  return (
    <dl className={classes.facts}>
      {facts.map((f) => (
        <Fragment key={f.name}>
          <dt>{f.name}</dt>
          <dd>{f.value}</dd>
        </Fragment>
      ))}
    </dl>
  );
}

import { useT } from "../i18n";
import classes from "./CliLine.module.css";
import { CopyButton } from "./CopyButton";
import { plainLine } from "./plain";

/** The command line that does the same, to be copied: it teaches the command line, and is for scripts. */
export function CliLine({ command, label }: { command: string; label?: string }) {
  const t = useT();
  return (
    // biome-ignore lint/a11y/useSemanticElements: no fieldset
    <div className={classes.line} role="group" aria-label={label ?? t("ui.cli.title")}>
      <code className={classes.command}>
        <span className={classes.prompt} aria-hidden="true">
          ${" "}
        </span>
        {plainLine(command)}
      </code>
      <CopyButton value={command} name={t("ui.cli.copy")} />
    </div>
  );
}

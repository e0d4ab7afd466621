import { UnstyledButton } from "@mantine/core";
import { useEffect, useState } from "react";
import { useT } from "../i18n";
import classes from "./CopyButton.module.css";
import { Icon } from "./Icon";

/** Copies a text; with `label` a button with words, else an icon. Says whether it worked. */
export function CopyButton({ value, label, name }: { value: string; label?: string; name?: string }) {
  const t = useT();
  const [state, setState] = useState<"idle" | "copied" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return;
    const timer = setTimeout(() => setState("idle"), 2000);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = () => {
    // Not there on pages that are not secure.
    const done = navigator.clipboard?.writeText(value) ?? Promise.reject(new Error("no clipboard"));
    done.then(
      () => setState("copied"),
      () => setState("failed"),
    );
  };
  const said = state === "copied" ? t("ui.copy.done") : state === "failed" ? t("ui.copy.failed") : undefined;
  const idle = name === undefined ? t("ui.copy") : t("ui.copy.name", { name });
  return (
    <>
      <UnstyledButton
        className={label === undefined ? classes.icon : classes.button}
        aria-label={label === undefined ? idle : undefined}
        title={label === undefined ? (said ?? idle) : undefined}
        data-state={state}
        onClick={copy}
      >
        <Icon name={state === "copied" ? "check" : state === "failed" ? "warning" : "copy"} size={14} />
        {label !== undefined && (said ?? label)}
      </UnstyledButton>
      <span className="visually-hidden" role="status">
        {said}
      </span>
    </>
  );
}

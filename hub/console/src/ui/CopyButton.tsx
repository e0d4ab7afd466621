import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { useEffect, useState } from "react";
import { useT } from "../i18n";
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
      {label !== undefined ? (
        <Button variant="default" leftSection={<Icon name={state === "copied" ? "check" : "copy"} />} onClick={copy}>
          {said ?? label}
        </Button>
      ) : (
        <Tooltip label={said ?? idle}>
          <ActionIcon aria-label={idle} onClick={copy} size={24}>
            <Icon name={state === "copied" ? "check" : "copy"} />
          </ActionIcon>
        </Tooltip>
      )}
      <span className="visually-hidden" role="status">
        {said}
      </span>
    </>
  );
}

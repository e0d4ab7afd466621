import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { type FormEvent, type ReactNode, useId, useState } from "react";
import { useT } from "../i18n";
import { Problem } from "../problem";
import { CliLine } from "./CliLine";
import { PlainText } from "./PlainText";
import { plainLine } from "./plain";

/**
 * Asks before something that cannot be undone. It names what happens to what, and how
 * many; with `type` that word has to be typed. onConfirm may fail: the problem is shown here.
 */
export function ConfirmDialog({
  title,
  children,
  action,
  type,
  cli,
  dangerous = true,
  disabled = false,
  onConfirm,
  onClose,
}: {
  title: string;
  children?: ReactNode;
  /** The verb on the button. */
  action: string;
  type?: string;
  cli?: string;
  dangerous?: boolean;
  /** Something that has to be chosen is not yet. */
  disabled?: boolean;
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
}) {
  const t = useT();
  const id = useId();
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const may = !disabled && (type === undefined || typed.trim() === type);
  const submit = async (e: FormEvent) => {
    e.preventDefault();
    if (!may || busy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      await onConfirm();
      onClose();
    } catch (e) {
      setProblem(Problem.of(e));
      setBusy(false);
    }
  };
  return (
    <Modal
      opened
      onClose={onClose}
      title={title}
      size="md"
      closeOnClickOutside={false}
      closeButtonProps={{ "aria-label": t("ui.close") }}
    >
      <form onSubmit={(e) => void submit(e)} aria-describedby={id}>
        <Stack gap="sm">
          {children !== undefined && <div id={id}>{children}</div>}
          {type !== undefined && (
            <TextInput
              label={t("ui.confirm.type", { word: plainLine(type) })}
              value={typed}
              onChange={(e) => setTyped(e.currentTarget.value)}
              autoComplete="off"
              spellCheck={false}
              data-autofocus
            />
          )}
          {cli !== undefined && <CliLine command={cli} />}
          {problem !== undefined && (
            <div role="alert" style={{ color: "var(--hw-degraded)" }}>
              <PlainText text={[problem.message, problem.fix].filter(Boolean).join(" ")} lines={5} />{" "}
              <code>{problem.id || problem.code}</code>
            </div>
          )}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose} data-autofocus={type === undefined || undefined}>
              {t("ui.cancel")}
            </Button>
            <Button type="submit" color={dangerous ? "red" : undefined} disabled={!may} loading={busy}>
              {action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

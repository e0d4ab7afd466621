import { Button, Group, Modal, PasswordInput, Stack, Text } from "@mantine/core";
import { type FormEvent, useState } from "react";
import type { Caller } from "../api/types";
import { api } from "../client";
import { useT } from "../i18n";
import { Problem } from "../problem";
import { providerLogin } from "../routes/urls";
import { PlainText } from "../ui/PlainText";

/** Asks for the password once more before something dangerous; whoever logs in elsewhere goes there again. */
export default function ConfirmLogin({ caller, onDone }: { caller: Caller; onDone: (confirmed: boolean) => void }) {
  const t = useT();
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const provider = caller.session?.provider ?? "local";
  const submit = async (e: FormEvent) => {
    e.preventDefault();
    setBusy(true);
    setProblem(undefined);
    try {
      await api.confirmSession({ password });
      onDone(true);
    } catch (e) {
      setProblem(Problem.of(e));
      setBusy(false);
    }
  };
  return (
    <Modal
      opened
      onClose={() => onDone(false)}
      title={t("frame.confirm.title")}
      size="sm"
      closeButtonProps={{ "aria-label": t("ui.close") }}
    >
      {provider === "local" ? (
        <form onSubmit={(e) => void submit(e)}>
          <Stack gap="sm">
            <Text size="sm">{t("frame.confirm.text")}</Text>
            {/* For password managers: whose password it is. */}
            <input type="text" name="username" autoComplete="username" value={caller.name} readOnly hidden />
            <PasswordInput
              label={t("frame.confirm.password")}
              value={password}
              onChange={(e) => setPassword(e.currentTarget.value)}
              autoComplete="current-password"
              required
              data-autofocus
              error={problem && <PlainText text={problem.message} lines={3} />}
              visibilityToggleButtonProps={{ "aria-label": t("frame.confirm.show") }}
            />
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={() => onDone(false)}>
                {t("ui.cancel")}
              </Button>
              <Button type="submit" loading={busy}>
                {t("frame.confirm.submit")}
              </Button>
            </Group>
          </Stack>
        </form>
      ) : (
        <Stack gap="sm">
          <Text size="sm">{t("frame.confirm.provider", { provider })}</Text>
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={() => onDone(false)}>
              {t("ui.cancel")}
            </Button>
            <Button component="a" href={providerLogin(provider, window.location.pathname + window.location.search)}>
              {t("frame.confirm.again")}
            </Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}

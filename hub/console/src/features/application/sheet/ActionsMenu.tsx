import { ActionIcon, Loader, Menu, Stack, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { ObjectKey, ResourceAction } from "../../../api/types";
import { api, idempotencyKey, Problem } from "../../../client";
import { useT } from "../../../i18n";
import { ConfirmDialog } from "../../../ui/ConfirmDialog";
import { Icon } from "../../../ui/Icon";
import { MiddleTruncate, PlainText } from "../../../ui/PlainText";
import { plainLine } from "../../../ui/plain";
import { cli } from "../../../ui/shell";
import { toast } from "../../../ui/toast";
import { objectFlags } from "../object";
import { actionsQuery, applicationQuery } from "../queries";
import { DeleteDialog } from "./DeleteDialog";

/** What the cluster offers to do with an object now; each is asked about before it is done. */
export function ActionsMenu({ name, object }: { name: string; object: ObjectKey }) {
  const t = useT();
  const [opened, setOpened] = useState(false);
  const [chosen, setChosen] = useState<ResourceAction>();
  const [deletes, setDeletes] = useState(false);
  const actions = useQuery({ ...actionsQuery(name, object), enabled: opened });
  return (
    <>
      <Menu opened={opened} onChange={setOpened} position="bottom-end">
        <Menu.Target>
          <ActionIcon aria-label={t("application.actions")}>
            <Icon name="more" />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown maw={340}>
          <Menu.Label>{t("application.actions")}</Menu.Label>
          {actions.isPending ? (
            <Menu.Item disabled leftSection={<Loader size={12} />}>
              {t("ui.loading")}
            </Menu.Item>
          ) : actions.isError ? (
            <Menu.Item disabled>
              <PlainText text={Problem.of(actions.error).message} lines={4} />{" "}
              {Problem.of(actions.error).id || Problem.of(actions.error).code}
            </Menu.Item>
          ) : actions.data.length === 0 ? (
            <Menu.Item disabled>{t("application.actions.none")}</Menu.Item>
          ) : (
            actions.data.map((a) => (
              <Menu.Item key={a.name} disabled={a.disabled} onClick={() => setChosen(a)}>
                <MiddleTruncate text={a.displayName || a.name} />
              </Menu.Item>
            ))
          )}
          <Menu.Divider />
          <Menu.Item color="red" leftSection={<Icon name="trash" size={12} />} onClick={() => setDeletes(true)}>
            {t("application.deleteObject")}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {deletes && <DeleteDialog name={name} object={object} onClose={() => setDeletes(false)} />}
      {chosen !== undefined && (
        <RunDialog name={name} object={object} action={chosen} onClose={() => setChosen(undefined)} />
      )}
    </>
  );
}

function RunDialog({
  name,
  object,
  action,
  onClose,
}: {
  name: string;
  object: ObjectKey;
  action: ResourceAction;
  onClose: () => void;
}) {
  const t = useT();
  const client = useQueryClient();
  const [params, setParams] = useState<Record<string, string>>({});
  const [reason, setReason] = useState("");
  // One key for one command: who sends it again after an error does not do it twice.
  const [sent] = useState(() => new Map<string, string>());
  const given = Object.fromEntries(Object.entries(params).filter(([, v]) => v !== ""));
  const title = plainLine(action.displayName || action.name);
  const command = cli(
    ...["hawser", "app", "actions", "run", name, action.name],
    ...objectFlags(object),
    ...Object.entries(given).flatMap(([k, v]) => ["--param", `${k}=${v}`]),
    reason !== "" && "--reason",
    reason !== "" && reason,
  );
  const run = async () => {
    const key = sent.get(command) ?? idempotencyKey();
    sent.set(command, key);
    await api.runAction(
      name,
      {
        resource: object,
        action: action.name,
        params: Object.keys(given).length > 0 ? given : undefined,
        reason: reason || undefined,
      },
      { idempotencyKey: key },
    );
    toast(t("application.actions.asked", { action: title }), `${object.kind}/${object.name}`);
    void client.invalidateQueries({ queryKey: applicationQuery(name).queryKey });
  };
  return (
    <ConfirmDialog
      title={t("application.actions.title", { action: title, object: plainLine(`${object.kind}/${object.name}`) })}
      action={title}
      dangerous={false}
      cli={command}
      onClose={onClose}
      onConfirm={run}
    >
      <Stack gap="xs">
        <span>{t("application.actions.body")}</span>
        {(action.params ?? []).map((p) => (
          <TextInput
            key={p}
            label={plainLine(p)}
            value={params[p] ?? ""}
            autoComplete="off"
            onChange={(e) => {
              const v = e.currentTarget.value;
              setParams((old) => ({ ...old, [p]: v }));
            }}
          />
        ))}
        <TextInput
          label={t("application.reason")}
          description={t("application.reason.why")}
          value={reason}
          autoComplete="off"
          onChange={(e) => setReason(e.currentTarget.value)}
        />
      </Stack>
    </ConfirmDialog>
  );
}

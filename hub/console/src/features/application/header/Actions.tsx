import { ActionIcon, Button, Checkbox, Menu, Radio, Stack } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import type { AppView } from "../../../api/types";
import { api, idempotencyKey } from "../../../client";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { ConfirmDialog } from "../../../ui/ConfirmDialog";
import { type Right, useChord, useCommand } from "../../../ui/chords";
import { Icon } from "../../../ui/Icon";
import { plainLine } from "../../../ui/plain";
import { cli } from "../../../ui/shell";
import { toast } from "../../../ui/toast";
import { isOpen } from "../facets";
import { applicationQuery } from "../queries";
import { type ApplicationPanel, panels, tabs } from "../tabs";

const route = getRouteApi(paths.application);

type Command = "refresh" | "terminate" | "delete";

/** What can be done with an application: tabs that do something have a button here; the rest is asked about first. */
export function Actions({ app }: { app: AppView }) {
  const t = useT();
  const navigate = route.useNavigate();
  const [command, setCommand] = useState<Command>();
  const close = () => setCommand(undefined);
  const runs = isOpen(app.operation);
  const group = t("application.tabs");
  const to = (verb: string): Right => ({ verb, resource: "applications", object: `${app.project}/${app.name}` });
  useCommand(t("application.refresh"), group, () => setCommand("refresh"), true, to("refresh"));
  useCommand(t("application.terminate"), group, () => setCommand("terminate"), runs, to("terminate"));
  useCommand(t("application.delete"), group, () => setCommand("delete"), true, to("delete"));
  return (
    <>
      {tabs.map(
        (x) =>
          x.button !== undefined && (
            <Button
              key={x.id}
              variant={x.button.primary ? "filled" : "default"}
              leftSection={<Icon name={x.button.icon} size={14} />}
              disabled={app.deleting}
              onClick={() => void navigate({ search: (old) => ({ ...old, tab: x.id, sheet: undefined }) })}
            >
              {t(x.button.title)}
            </Button>
          ),
      )}
      {panels.map((x) => (
        <PanelButton key={x.id} panel={x} disabled={app.deleting} needs={to("sync")} />
      ))}
      {runs && (
        <Button variant="default" leftSection={<Icon name="close" size={12} />} onClick={() => setCommand("terminate")}>
          {t("application.terminate")}
        </Button>
      )}
      <Button variant="default" leftSection={<Icon name="refresh" size={14} />} onClick={() => setCommand("refresh")}>
        {t("application.refresh")}
      </Button>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="default" size={30} aria-label={t("application.more")}>
            <Icon name="more" />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<Icon name="trash" size={14} />} color="red" onClick={() => setCommand("delete")}>
            {t("application.delete")}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {command === "refresh" && <RefreshDialog app={app} onClose={close} />}
      {command === "terminate" && <TerminateDialog app={app} onClose={close} />}
      {command === "delete" && <DeleteDialog app={app} onClose={close} />}
    </>
  );
}

/** Opens a panel, as its key does. */
function PanelButton({ panel, disabled, needs }: { panel: ApplicationPanel; disabled?: boolean; needs: Right }) {
  const t = useT();
  const navigate = route.useNavigate();
  const open = () => void navigate({ search: (old) => ({ ...old, panel: panel.id, op: undefined }) });
  const { button, chord } = panel;
  useChord(chord ?? "", button === undefined ? "" : t(button.title), t("application.tabs"), open, !disabled, needs);
  return (
    button !== undefined && (
      <Button
        variant={button.primary ? "filled" : "default"}
        leftSection={<Icon name={button.icon} size={14} />}
        disabled={disabled}
        onClick={open}
      >
        {t(button.title)}
      </Button>
    )
  );
}

interface DialogProps {
  app: AppView;
  onClose: () => void;
}

/** What happens after a command: what is shown is read again. */
function useAfter(name: string): () => void {
  const client = useQueryClient();
  return () => void client.invalidateQueries({ queryKey: applicationQuery(name).queryKey });
}

function RefreshDialog({ app, onClose }: DialogProps) {
  const t = useT();
  const after = useAfter(app.name);
  const [hard, setHard] = useState(false);
  const [key] = useState(idempotencyKey);
  return (
    <ConfirmDialog
      title={t("application.refresh.title", { name: plainLine(app.name) })}
      action={t("application.refresh")}
      dangerous={false}
      cli={cli("hawser", "app", "refresh", app.name, hard && "--hard")}
      onClose={onClose}
      onConfirm={async () => {
        // Another choice is another command.
        const got = await api.refreshApplication(
          app.name,
          { hard: hard || undefined },
          { idempotencyKey: hard ? `${key}-hard` : key },
        );
        toast(
          t("application.refresh.asked"),
          got.agentConnected ? "" : t("application.refresh.noAgent", { cluster: app.cluster }),
        );
        after();
      }}
    >
      <Stack gap="xs">
        <span>{t("application.refresh.body")}</span>
        <Checkbox
          label={t("application.refresh.hard")}
          checked={hard}
          onChange={(e) => setHard(e.currentTarget.checked)}
        />
      </Stack>
    </ConfirmDialog>
  );
}

function TerminateDialog({ app, onClose }: DialogProps) {
  const t = useT();
  const after = useAfter(app.name);
  const [key] = useState(idempotencyKey);
  return (
    <ConfirmDialog
      title={t("application.terminate.title", { name: plainLine(app.name) })}
      action={t("application.terminate")}
      cli={cli("hawser", "app", "cancel", app.name)}
      onClose={onClose}
      onConfirm={async () => {
        await api.terminateApplication(app.name, { idempotencyKey: key });
        toast(t("application.terminate.asked"));
        after();
      }}
    >
      {t("application.terminate.body")}
    </ConfirmDialog>
  );
}

function DeleteDialog({ app, onClose }: DialogProps) {
  const t = useT();
  const navigate = route.useNavigate();
  const search = route.useSearch();
  const [cascade, setCascade] = useState<"" | "yes" | "no">("");
  const [key] = useState(idempotencyKey);
  const objects = (app.resources ?? []).filter((r) => r.hook === undefined || r.hook === "").length;
  const command = cli("hawser", "app", "delete", app.name, "--cascade");
  return (
    <ConfirmDialog
      title={t("application.delete.title", { name: plainLine(app.name) })}
      action={t("application.delete.do")}
      // What happens to the objects has to be chosen; then the name is typed, when they go.
      type={cascade === "yes" ? app.name : undefined}
      cli={cascade === "" ? undefined : cascade === "yes" ? command : `${command}=false`}
      onClose={onClose}
      onConfirm={async () => {
        if (cascade === "") throw new Error(t("application.delete.choose"));
        await api.deleteApplication(app.name, { cascade: cascade === "yes" }, { idempotencyKey: `${key}-${cascade}` });
        toast(t("application.delete.asked", { name: app.name }));
        void navigate({
          to: paths.applications,
          search: { project: search.project, q: search.in, sort: search.order },
        });
      }}
    >
      <Stack gap="xs">
        <Radio.Group
          label={t("application.delete.objects", { n: objects, cluster: plainLine(app.cluster) })}
          value={cascade}
          onChange={(v) => setCascade(v as "yes" | "no")}
        >
          <Stack gap={6} mt={6}>
            <Radio value="no" label={t("application.delete.keep")} />
            <Radio value="yes" label={t("application.delete.cascade", { n: objects })} />
          </Stack>
        </Radio.Group>
        <span>{t("application.delete.body")}</span>
      </Stack>
    </ConfirmDialog>
  );
}

import { Checkbox, Select, Stack, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { ObjectKey } from "../../../api/types";
import { api, idempotencyKey, Problem } from "../../../client";
import { useT } from "../../../i18n";
import { ConfirmDialog } from "../../../ui/ConfirmDialog";
import { PlainText } from "../../../ui/PlainText";
import { plainLine } from "../../../ui/plain";
import { cli } from "../../../ui/shell";
import { toast } from "../../../ui/toast";
import { objectFlags } from "../object";
import { applicationQuery, liveUIDQuery, named, treeQuery } from "../queries";
import { whatFollows } from "./whatFollows";

const propagations = ["foreground", "background", "orphan"] as const;

/** Asks before one object is deleted in its cluster, and says what will come of it. */
export function DeleteDialog({ name, object, onClose }: { name: string; object: ObjectKey; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const app = useQuery(applicationQuery(name)).data;
  const tree = useQuery(treeQuery(name)).data;
  // The object that is shown is the one that is deleted, not another of its name.
  const uid = useQuery(liveUIDQuery(name, object));
  const [propagation, setPropagation] = useState<(typeof propagations)[number]>("foreground");
  const [force, setForce] = useState(false);
  const [reason, setReason] = useState("");
  const [sent] = useState(() => new Map<string, string>());
  const command = cli(
    ...["hawser", "app", "delete-resource", name],
    ...objectFlags(object),
    propagation !== "foreground" && "--propagation",
    propagation !== "foreground" && propagation,
    force && "--force",
    reason !== "" && "--reason",
    reason !== "" && reason,
  );
  const remove = async () => {
    if (uid.data === undefined) return;
    const key = sent.get(command) ?? idempotencyKey();
    sent.set(command, key);
    await api.deleteResource(
      name,
      {
        ...named(object),
        uid: uid.data,
        propagation: propagation === "foreground" ? undefined : propagation,
        force: force || undefined,
        reason: reason || undefined,
      },
      { idempotencyKey: key },
    );
    toast(t("application.deleteObject.asked"), `${object.kind}/${object.name}`);
    // What the dialog has read of the object is not asked for again: it may be gone.
    void client.invalidateQueries({ queryKey: applicationQuery(name).queryKey, exact: true });
  };
  return (
    <ConfirmDialog
      title={t("application.deleteObject.title", { object: plainLine(`${object.kind}/${object.name}`) })}
      action={t("application.deleteObject.do")}
      type={object.name}
      cli={command}
      disabled={uid.data === undefined}
      onClose={onClose}
      onConfirm={remove}
    >
      <Stack gap="xs">
        {app !== undefined && (
          <span>
            {t(`application.deleteObject.${whatFollows(app, tree?.nodes, object)}`, {
              cluster: plainLine(app.cluster),
            })}
          </span>
        )}
        {uid.isError && (
          <span role="alert" style={{ color: "var(--hw-degraded)" }}>
            <PlainText text={Problem.of(uid.error).message} lines={4} /> <code>{Problem.of(uid.error).id}</code>
          </span>
        )}
        <Select
          label={t("application.deleteObject.propagation")}
          data={propagations.map((p) => ({ value: p, label: t(`application.deleteObject.propagation.${p}`) }))}
          value={propagation}
          allowDeselect={false}
          onChange={(v) => setPropagation(propagations.find((p) => p === v) ?? "foreground")}
        />
        <Checkbox
          label={t("application.deleteObject.force")}
          checked={force}
          onChange={(e) => setForce(e.currentTarget.checked)}
        />
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

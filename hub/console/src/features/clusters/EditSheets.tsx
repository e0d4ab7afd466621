import { Button, Textarea } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import type { Cluster } from "../../api/types";
import { api, Problem } from "../../client";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { SideSheet } from "../../ui/SideSheet";
import { cli } from "../../ui/shell";
import { toast } from "../../ui/toast";
import classes from "./Clusters.module.css";
import { labelText, parseLabels } from "./labels";

/** What the hub says of labels that are not stored yet. */
interface Impact {
  applications: number;
  invalid: { name: string; project: string }[];
  invalidCount: number;
  valid: string[];
  validCount: number;
}

function Trouble({ error }: { error: unknown }): ReactNode {
  if (error === null || error === undefined) return null;
  const p = Problem.of(error);
  return (
    <div role="alert" style={{ color: "var(--hw-degraded)" }}>
      <PlainText text={[p.message, p.fix].filter(Boolean).join(" ")} lines={6} /> <code>{p.id || p.code}</code>
    </div>
  );
}

/** Labels of a cluster, one a line; what becomes of applications is shown before it is stored. */
export function LabelsSheet({
  cluster,
  etag,
  onClose,
}: {
  cluster: Cluster;
  etag: string | undefined;
  onClose: () => void;
}) {
  const t = useT();
  const client = useQueryClient();
  const [text, setText] = useState(() => labelText(cluster.labels ?? {}));
  const [opened] = useState(etag); // a change of somebody else is not written over
  const parsed = parseLabels(text);
  const body = { labels: parsed.labels };
  const preview = useMutation({
    mutationFn: async () => {
      const got = await api.setClusterLabels(cluster.name, body, { dryRun: true });
      return { of: text, impact: got.value as unknown as Impact };
    },
  });
  const save = useMutation({
    mutationFn: () => api.setClusterLabels(cluster.name, body, {}, { ifMatch: opened }),
    onSuccess: async () => {
      toast(t("clusters.labels.saved", { name: cluster.name }));
      await client.invalidateQueries({ queryKey: ["clusters"] });
      onClose();
    },
  });
  const seen = preview.data?.of === text ? preview.data.impact : undefined;
  const old = cluster.labels ?? {};
  const changes = [
    ...Object.entries(parsed.labels)
      .filter(([k, v]) => old[k] !== v)
      .map(([k, v]) => `${k}=${v}`),
    ...Object.keys(old)
      .filter((k) => parsed.labels[k] === undefined)
      .map((k) => `${k}-`),
  ];
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (parsed.wrong.length > 0 || changes.length === 0) return;
    if (seen === undefined) preview.mutate();
    else save.mutate();
  };
  return (
    <SideSheet title={t("clusters.labels.title")} onClose={onClose}>
      <form className={classes.editor} onSubmit={submit}>
        <p className={classes.dim}>{t("clusters.labels.text")}</p>
        <Textarea
          label={t("clusters.labels")}
          description={t("clusters.labels.hint")}
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
          rows={6}
          spellCheck={false}
          styles={{ input: { fontFamily: "var(--hw-mono)", fontSize: 12.5 } }}
          error={
            parsed.wrong.length > 0 &&
            t("clusters.labels.wrong", { lines: parsed.wrong.join(", "), n: parsed.wrong.length })
          }
        />
        <Trouble error={preview.error ?? save.error} />
        {seen !== undefined && (
          <div className={classes.impact} role="status">
            {seen.invalidCount === 0 && seen.validCount === 0
              ? t("clusters.impact.none", { n: seen.applications })
              : t("clusters.impact", { invalid: seen.invalidCount, valid: seen.validCount })}
            {seen.invalidCount > 0 && (
              <ul>
                {seen.invalid.slice(0, 10).map((a) => (
                  <li key={a.name}>
                    <MiddleTruncate text={a.name} />{" "}
                    <span className={classes.dim}>
                      <PlainText text={a.project} />
                    </span>
                  </li>
                ))}
              </ul>
            )}
          </div>
        )}
        {changes.length > 0 && parsed.wrong.length === 0 && (
          <CliLine command={cli("hawser", "cluster", "label", cluster.name, ...changes, "--overwrite")} />
        )}
        <div className={classes.actionsRow}>
          <Button variant="default" onClick={onClose}>
            {t("ui.cancel")}
          </Button>
          <Button
            type="submit"
            disabled={changes.length === 0 || parsed.wrong.length > 0}
            loading={preview.isPending || save.isPending}
            color={seen !== undefined && seen.invalidCount > 0 ? "red" : undefined}
          >
            {seen === undefined ? t("clusters.labels.preview") : t("clusters.labels.save")}
          </Button>
        </div>
      </form>
    </SideSheet>
  );
}

/** Server URLs that mean the cluster, one a line. */
export function AliasesSheet({
  cluster,
  etag,
  onClose,
}: {
  cluster: Cluster;
  etag: string | undefined;
  onClose: () => void;
}) {
  const t = useT();
  const client = useQueryClient();
  const [text, setText] = useState(() => (cluster.aliases ?? []).join("\n"));
  const [opened] = useState(etag);
  const aliases = text
    .split("\n")
    .map((l) => l.trim())
    .filter((l) => l !== "");
  const save = useMutation({
    mutationFn: () => api.setClusterAliases(cluster.name, { aliases }, { ifMatch: opened }),
    onSuccess: async () => {
      toast(t("clusters.aliases.saved", { name: cluster.name }));
      await client.invalidateQueries({ queryKey: ["clusters"] });
      onClose();
    },
  });
  const added = aliases.filter((a) => !(cluster.aliases ?? []).includes(a));
  const removed = (cluster.aliases ?? []).filter((a) => !aliases.includes(a));
  const lines = [
    ...added.map((a) => cli("hawser", "cluster", "alias", cluster.name, a)),
    ...removed.map((a) => cli("hawser", "cluster", "alias", cluster.name, a, "--remove")),
  ];
  return (
    <SideSheet title={t("clusters.aliases.title")} onClose={onClose}>
      <form
        className={classes.editor}
        onSubmit={(e) => {
          e.preventDefault();
          if (lines.length > 0) save.mutate();
        }}
      >
        <p className={classes.dim}>{t("clusters.aliases.text")}</p>
        <Textarea
          label={t("clusters.aliases")}
          description={t("clusters.aliases.hint")}
          placeholder="https://10.2.0.4:6443"
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
          rows={4}
          spellCheck={false}
          styles={{ input: { fontFamily: "var(--hw-mono)", fontSize: 12.5 } }}
        />
        <Trouble error={save.error} />
        {lines.map((l) => (
          <CliLine key={l} command={l} />
        ))}
        <div className={classes.actionsRow}>
          <Button variant="default" onClick={onClose}>
            {t("ui.cancel")}
          </Button>
          <Button type="submit" disabled={lines.length === 0} loading={save.isPending}>
            {t("clusters.aliases.save")}
          </Button>
        </div>
      </form>
    </SideSheet>
  );
}

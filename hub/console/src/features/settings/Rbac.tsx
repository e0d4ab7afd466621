import { Button, Menu, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import type { RbacDocument } from "../../api/types";
import { api, Problem } from "../../client";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { LineDiff } from "../../ui/LineDiff";
import layout from "../../ui/layout.module.css";
import { PlainText } from "../../ui/PlainText";
import { PolicyEditor, type TextProblem } from "../../ui/PolicyEditor";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { ErrorView, LoadingView } from "../../ui/states";
import { toast, toastProblem } from "../../ui/toast";
import { placeIn } from "./grants";
import { rbacCheckQuery, rbacQuery } from "./queries";

const main = "policy.csv";

/** The RBAC policy: what the hub says about it while it is written, at its line and column, and its versions. */
export function Rbac() {
  const stored = useQuery(rbacQuery);
  if (stored.isPending) return <LoadingView rows={10} />;
  if (stored.isError) return <ErrorView error={stored.error} onRetry={() => void stored.refetch()} />;
  return <Editor stored={stored.data.value} etag={stored.data.etag} />;
}

function Editor({ stored, etag }: { stored: RbacDocument; etag: string | undefined }) {
  const t = useT();
  const client = useQueryClient();
  /** What is written, and of which version. */
  const [draft, setDraft] = useState<{ keys: Record<string, string>; base: RbacDocument; etag: string | undefined }>();
  const [key, setKey] = useState(main);
  const [saving, setSaving] = useState(false);
  const keys = draft?.keys ?? stored.rbac;
  const set = (k: string, v: string) => {
    const next = { ...keys, [k]: v };
    if (v === "" && draft?.base.rbac[k] === undefined && stored.rbac[k] === undefined) delete next[k];
    const base = draft?.base ?? stored;
    const same = JSON.stringify(Object.entries(next).sort()) === JSON.stringify(Object.entries(base.rbac).sort());
    setDraft(same ? undefined : { keys: next, base, etag: draft === undefined ? etag : draft.etag });
  };
  // The hub is asked half a second after the last key.
  const [asked, setAsked] = useState(keys);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(keys), 500);
    return () => clearTimeout(timer);
  }, [keys]);
  const check = useQuery(rbacCheckQuery(asked));
  const failed = check.isError ? Problem.of(check.error) : undefined;
  const found = useMemo(() => {
    const out: { field: string; message: string; severity: "error" | "warning" }[] = [];
    if (failed !== undefined && !failed.isDenied && failed.status >= 400 && failed.status < 500) {
      const all = failed.errors.length > 0 ? failed.errors : [{ field: failed.field, detail: failed.message }];
      for (const e of all) out.push({ field: e.field ?? "", message: e.detail, severity: "error" });
    }
    for (const w of check.data?.warnings ?? []) out.push({ ...w, severity: "warning" });
    return out;
  }, [failed, check.data]);
  const problems = useMemo(
    () =>
      found
        .filter((p) => p.field === key)
        .flatMap((p): TextProblem[] => {
          const place = placeIn(p.message);
          return place === undefined ? [] : [{ ...place, message: p.message, severity: p.severity }];
        }),
    [found, key],
  );
  const errors = found.filter((p) => p.severity === "error").length;
  const settled = asked === keys && !check.isFetching;
  const files = [...new Set([main, ...Object.keys(keys).filter((k) => k.endsWith(".csv"))])];
  const load = useMutation({
    mutationFn: (version: number) => api.getRBAC({ version }),
    onSuccess: (old) => setDraft({ keys: old.value.rbac, base: draft?.base ?? stored, etag: draft?.etag ?? etag }),
    onError: (e) => toastProblem(t, e),
  });
  const text = (k: Record<string, string>) =>
    Object.entries(k)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, v]) => `# ${name}\n${v}`)
      .join("\n");
  return (
    <section aria-label={t("settings.rbac")}>
      <div className={layout.head}>
        <div>
          <h2>{t("settings.rbac")}</h2>
          <p>
            {stored.enforced ? t("settings.rbac.help") : t("settings.rbac.notEnforced")}{" "}
            {t("settings.rbac.version", { version: stored.version })}
            {stored.changedAt !== undefined && (
              <>
                {" "}
                · <RelativeTime at={stored.changedAt} /> <PlainText text={stored.changedBy ?? ""} />
              </>
            )}
          </p>
        </div>
        <div className={layout.buttons}>
          {(stored.versions ?? []).length > 0 && (
            <Menu position="bottom-end">
              <Menu.Target>
                <Button variant="default">{t("settings.rbac.history")}</Button>
              </Menu.Target>
              <Menu.Dropdown style={{ maxHeight: 360, overflow: "auto" }}>
                <Menu.Label>{t("settings.rbac.history.what")}</Menu.Label>
                {(stored.versions ?? []).map((v) => (
                  <Menu.Item key={v.version} onClick={() => load.mutate(v.version)}>
                    {t("settings.rbac.version", { version: v.version })} · <RelativeTime at={v.changedAt} />{" "}
                    {plainLine(v.changedBy ?? "")}
                  </Menu.Item>
                ))}
              </Menu.Dropdown>
            </Menu>
          )}
          <Button variant="default" disabled={draft === undefined} onClick={() => setDraft(undefined)}>
            {t("settings.rbac.discard")}
          </Button>
          <Button
            disabled={draft === undefined || !settled || errors > 0 || check.isError}
            onClick={() => setSaving(true)}
          >
            {t("settings.rbac.save")}
          </Button>
        </div>
      </div>
      <div className={layout.section} style={{ display: "grid", gap: 12 }}>
        <div className={layout.pair}>
          <TextInput
            label={t("settings.rbac.default")}
            placeholder="role:readonly"
            value={keys["policy.default"] ?? ""}
            onChange={(e) => set("policy.default", e.currentTarget.value)}
            spellCheck={false}
            autoComplete="off"
          />
          {files.length > 1 && (
            // biome-ignore lint/a11y/useSemanticElements: no fieldset
            <div className={layout.buttons} role="group" aria-label={t("settings.rbac.files")}>
              {files.map((f) => (
                <Button
                  key={f}
                  variant={f === key ? "filled" : "default"}
                  aria-pressed={f === key}
                  onClick={() => setKey(f)}
                >
                  {plainLine(f)}
                </Button>
              ))}
            </div>
          )}
        </div>
        <PolicyEditor
          key={key}
          label={t("settings.rbac.editor", { name: plainLine(key) })}
          text={keys[key] ?? ""}
          onChange={(v) => set(key, v)}
          problems={problems}
        />
        <div role="status">
          {failed !== undefined && found.length === 0 ? (
            <PlainText text={[failed.message, failed.fix, failed.id].filter(Boolean).join(" · ")} lines={4} />
          ) : !settled ? (
            <span className={layout.dim}>{t("settings.rbac.checking")}</span>
          ) : found.length === 0 ? (
            <span className={layout.dim}>{t("settings.rbac.fine")}</span>
          ) : (
            <ul className={layout.list}>
              {found.map((p, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: some say the same
                <li key={i} className={p.severity === "error" ? layout.bad : undefined}>
                  {t(p.severity === "error" ? "settings.rbac.error" : "settings.rbac.warning")}{" "}
                  <code>{plainLine(p.field)}</code> <PlainText text={p.message} lines={3} />
                </li>
              ))}
            </ul>
          )}
        </div>
        <CliLine command="hawser settings rbac set -f argocd-rbac-cm.yaml" />
      </div>
      {saving && draft !== undefined && (
        <ConfirmDialog
          title={t("settings.rbac.save.title")}
          action={t("settings.rbac.save.do")}
          dangerous={false}
          cli={`hawser settings rbac set -f argocd-rbac-cm.yaml --if-version ${draft.base.version}`}
          onConfirm={async () => {
            const out = await api.putRBAC({ rbac: draft.keys }, { ifMatch: draft.etag });
            await client.invalidateQueries({ queryKey: ["settings"] });
            setDraft(undefined);
            toast(t("settings.rbac.saved", { version: out.value.version }));
          }}
          onClose={() => setSaving(false)}
        >
          <div className={layout.form}>
            <span>{t("settings.rbac.save.what")}</span>
            <LineDiff before={text(draft.base.rbac)} after={text(draft.keys)} label={t("settings.rbac.changes")} />
          </div>
        </ConfirmDialog>
      )}
    </section>
  );
}

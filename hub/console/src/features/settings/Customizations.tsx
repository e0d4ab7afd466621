import { Button, Menu, Modal, Select, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useMemo, useState } from "react";
import type { Customizations as Stored, Unused } from "../../api/types";
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
import classes from "./Customizations.module.css";
import { firstText, keyOf, languageOf, type Part, parts, placeOfKey, shortKey } from "./customizationKeys";
import { customizationsCheckQuery, customizationsQuery } from "./queries";
import { Failed } from "./Tokens";

type Texts = Record<string, string>;

/** Health checks, actions and ignored differences of all clusters: a text per key, tried at the hub while it is written. */
export function Customizations() {
  const stored = useQuery(customizationsQuery);
  if (stored.isPending) return <LoadingView rows={10} />;
  if (stored.isError) return <ErrorView error={stored.error} onRetry={() => void stored.refetch()} />;
  return <Editor stored={stored.data.value} etag={stored.data.etag} />;
}

function Editor({ stored, etag }: { stored: Stored; etag: string | undefined }) {
  const t = useT();
  const client = useQueryClient();
  /** What is written, and of which version. */
  const [draft, setDraft] = useState<{ texts: Texts; base: Stored; etag: string | undefined }>();
  const [chosen, setChosen] = useState<string>();
  const [dialog, setDialog] = useState<"add" | "read" | "save">();
  const [unused, setUnused] = useState<Unused[]>([]);
  const base = draft?.base ?? stored;
  const texts = draft?.texts ?? stored.customizations;
  const write = (next: Texts) => {
    const sorted = (x: Texts) => JSON.stringify(Object.entries(x).sort(([a], [b]) => (a < b ? -1 : 1)));
    const same = sorted(next) === sorted(base.customizations);
    setDraft(same ? undefined : { texts: next, base, etag: draft === undefined ? etag : draft.etag });
  };
  // The hub is asked half a second after the last key.
  const [asked, setAsked] = useState(texts);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(texts), 500);
    return () => clearTimeout(timer);
  }, [texts]);
  const check = useQuery({ ...customizationsCheckQuery(asked), enabled: draft !== undefined });
  const failed = draft !== undefined && check.isError ? Problem.of(check.error) : undefined;
  const found = useMemo(() => {
    if (failed === undefined || failed.isDenied || failed.status < 400 || failed.status >= 500) return [];
    const all = failed.errors.length > 0 ? failed.errors : [{ field: failed.field, detail: failed.message }];
    return all.map((e) => ({ key: e.field ?? "", message: e.detail }));
  }, [failed]);
  const keys = [...new Set([...Object.keys(base.customizations), ...Object.keys(texts)])].sort();
  const key = chosen !== undefined && keys.includes(chosen) ? chosen : keys[0];
  const problems = useMemo(
    () =>
      found
        .filter((p) => p.key === key)
        .flatMap((p): TextProblem[] => {
          const place = placeOfKey(p.key, texts[p.key] ?? "", p.message);
          return place === undefined ? [] : [{ ...place, message: p.message, severity: "error" }];
        }),
    [found, key, texts],
  );
  const settled = draft === undefined || (asked === texts && !check.isFetching);
  const load = useMutation({
    mutationFn: (version: number) => api.getCustomizations({ version }),
    onSuccess: (old) => {
      setUnused([]);
      write(old.value.customizations);
    },
    onError: (e) => toastProblem(t, e),
  });
  const without = (k: string) => {
    const { [k]: _, ...rest } = texts;
    write(rest);
  };
  const mark = (k: string): { word: string; bad?: true } | undefined => {
    if (found.some((p) => p.key === k)) return { word: t("settings.customizations.mark.error"), bad: true };
    if (texts[k] === undefined) return { word: t("settings.customizations.mark.removed") };
    if (base.customizations[k] === undefined) return { word: t("settings.customizations.mark.added") };
    return texts[k] === base.customizations[k] ? undefined : { word: t("settings.customizations.mark.changed") };
  };
  const text = key === undefined ? undefined : texts[key];
  const behind = stored.clusters?.behind ?? 0;
  return (
    <section aria-label={t("settings.customizations")}>
      <div className={layout.head}>
        <div>
          <h2>{t("settings.customizations")}</h2>
          <p>
            {t("settings.customizations.help")}{" "}
            {stored.version === 0 ? (
              t("settings.customizations.never")
            ) : (
              <>
                {t("settings.rbac.version", { version: stored.version })}
                {stored.changedAt !== undefined && (
                  <>
                    {" "}
                    · <RelativeTime at={stored.changedAt} /> <PlainText text={stored.changedBy ?? ""} />
                  </>
                )}
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
          <Button variant="default" onClick={() => setDialog("read")}>
            {t("settings.customizations.read")}
          </Button>
          <Button variant="default" onClick={() => setDialog("add")}>
            {t("settings.customizations.add")}
          </Button>
          <Button
            variant="default"
            disabled={draft === undefined}
            onClick={() => {
              setUnused([]);
              setDraft(undefined);
            }}
          >
            {t("settings.rbac.discard")}
          </Button>
          <Button
            disabled={draft === undefined || !settled || check.data === undefined || check.isError}
            onClick={() => setDialog("save")}
          >
            {t("settings.rbac.save")}
          </Button>
        </div>
      </div>
      {stored.clusters !== undefined && (
        <p className={layout.note} data-tone={behind > 0 ? "warning" : undefined}>
          <span className={layout.grow}>
            {behind === 0
              ? t("settings.customizations.current", { n: stored.clusters.current })
              : t("settings.customizations.behind", {
                  n: behind,
                  total: behind + stored.clusters.current,
                  names: (stored.clusters.behindNames ?? []).map((n) => plainLine(n)).join(", "),
                })}
          </span>
        </p>
      )}
      <div className={layout.section} style={{ display: "grid", gap: 12 }}>
        {key === undefined ? (
          <p className={layout.help}>{t("settings.customizations.none")}</p>
        ) : (
          <div className={classes.split}>
            <ul className={classes.keys} aria-label={t("settings.customizations.keys")}>
              {keys.map((k) => {
                const m = mark(k);
                return (
                  <li key={k}>
                    <button
                      type="button"
                      className={classes.key}
                      aria-current={k === key || undefined}
                      onClick={() => setChosen(k)}
                    >
                      <span>{plainLine(shortKey(k))}</span>
                      {m !== undefined && (
                        <span className={classes.mark} data-bad={m.bad}>
                          {m.word}
                        </span>
                      )}
                    </button>
                  </li>
                );
              })}
            </ul>
            <div style={{ minWidth: 0 }}>
              <PolicyEditor
                key={key}
                label={t("settings.rbac.editor", { name: plainLine(key) })}
                text={text ?? ""}
                onChange={(v) => write({ ...texts, [key]: v })}
                problems={problems}
                language={languageOf(key) === "yaml" ? "yamlWithLua" : "lua"}
                readOnly={text === undefined}
              />
              <div className={classes.under}>
                <span>
                  <code>{plainLine(key)}</code> · {languageOf(key) === "lua" ? "Lua" : "YAML"}
                </span>
                {text === undefined ? (
                  <Button
                    variant="subtle"
                    onClick={() => write({ ...texts, [key]: base.customizations[key] ?? "" })}
                    aria-label={t("settings.customizations.keep.name", { name: plainLine(shortKey(key)) })}
                  >
                    {t("settings.customizations.keep")}
                  </Button>
                ) : (
                  <Button
                    variant="subtle"
                    color="red"
                    onClick={() => without(key)}
                    aria-label={t("settings.customizations.remove.name", { name: plainLine(shortKey(key)) })}
                  >
                    {t("settings.customizations.remove")}
                  </Button>
                )}
              </div>
            </div>
          </div>
        )}
        <div role="status">
          {draft === undefined ? null : failed !== undefined && found.length === 0 ? (
            <PlainText text={[failed.message, failed.fix, failed.id].filter(Boolean).join(" · ")} lines={4} />
          ) : !settled ? (
            <span className={layout.dim}>{t("settings.rbac.checking")}</span>
          ) : found.length > 0 ? (
            <ul className={layout.list}>
              {found.map((p, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: some say the same
                <li key={i} className={layout.bad}>
                  {t("settings.rbac.error")} <PlainText text={p.message} lines={3} />
                </li>
              ))}
            </ul>
          ) : (
            <span className={layout.dim}>
              {t("settings.customizations.would", { n: check.data?.changes.length ?? 0 })}
            </span>
          )}
          <Left unused={unused} />
        </div>
        <CliLine command="hawser settings customizations diff -f argocd-cm.yaml" />
      </div>
      {dialog === "add" && (
        <Add
          taken={texts}
          onAdd={(k, part) => {
            write({ ...texts, [k]: firstText[part] });
            setChosen(k);
          }}
          onClose={() => setDialog(undefined)}
        />
      )}
      {dialog === "read" && (
        <Read
          onRead={(next, left) => {
            setUnused(left);
            write(next);
          }}
          onClose={() => setDialog(undefined)}
        />
      )}
      {dialog === "save" && draft !== undefined && check.data !== undefined && (
        <ConfirmDialog
          title={t("settings.customizations.save.title")}
          action={t("settings.customizations.save.do")}
          dangerous={false}
          cli={`hawser settings customizations set -f argocd-cm.yaml${draft.base.version > 0 ? ` --if-version ${draft.base.version}` : ""}`}
          onConfirm={async () => {
            const out = await api.putCustomizations({ customizations: draft.texts }, {}, { ifMatch: draft.etag });
            await client.invalidateQueries({ queryKey: ["settings"] });
            setUnused([]);
            setDraft(undefined);
            toast(t("settings.customizations.saved", { version: out.value.version }));
          }}
          onClose={() => setDialog(undefined)}
        >
          <div className={layout.form}>
            <span>{t("settings.customizations.save.what")}</span>
            {check.data.changes.map((c) => (
              <div key={c.key}>
                <code>{plainLine(c.key)}</code>
                <LineDiff
                  before={c.before ?? ""}
                  after={c.after ?? ""}
                  label={t("settings.customizations.changes", { name: plainLine(c.key) })}
                />
              </div>
            ))}
          </div>
        </ConfirmDialog>
      )}
    </section>
  );
}

/** Keys of a file that are left out, and why; those that mean resources first. */
function Left({ unused }: { unused: Unused[] }) {
  const t = useT();
  if (unused.length === 0) return null;
  return (
    <>
      <p className={layout.help}>{t("settings.customizations.unused", { n: unused.length })}</p>
      <ul className={layout.list}>
        {[...unused.filter((u) => u.resource === true), ...unused.filter((u) => u.resource !== true)].map((u) => (
          <li key={u.key}>
            <code>{plainLine(u.key)}</code> <PlainText text={u.why} />
          </li>
        ))}
      </ul>
    </>
  );
}

function Add({
  taken,
  onAdd,
  onClose,
}: {
  taken: Texts;
  onAdd: (key: string, part: Part) => void;
  onClose: () => void;
}) {
  const t = useT();
  const [part, setPart] = useState<Part>("health");
  const [group, setGroup] = useState("");
  const [kind, setKind] = useState("");
  const key = keyOf(part, group, kind);
  const there = taken[key] !== undefined;
  const wrong = /[\s/_]/.test(group.trim()) || /[\s/_]/.test(kind.trim());
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (kind.trim() === "" || there || wrong) return;
    onAdd(key, part);
    onClose();
  };
  return (
    <Modal
      opened
      onClose={onClose}
      title={t("settings.customizations.add.title")}
      closeButtonProps={{ "aria-label": t("ui.close") }}
    >
      <form onSubmit={submit} className={layout.form}>
        <Select
          label={t("settings.customizations.part")}
          data={parts.map((value) => ({ value, label: t(`settings.customizations.part.${value}`) }))}
          value={part}
          onChange={(v) => v !== null && setPart(v as Part)}
          allowDeselect={false}
        />
        <div className={layout.pair}>
          <TextInput
            label={t("settings.customizations.group")}
            placeholder="cert-manager.io"
            value={group}
            onChange={(e) => setGroup(e.currentTarget.value)}
            spellCheck={false}
            autoComplete="off"
          />
          <TextInput
            label={t("settings.customizations.kind")}
            placeholder="Certificate"
            value={kind}
            onChange={(e) => setKind(e.currentTarget.value)}
            spellCheck={false}
            autoComplete="off"
            data-autofocus
          />
        </div>
        <code style={{ overflowWrap: "anywhere" }}>{plainLine(key)}</code>
        {(there || wrong) && (
          <span role="alert" className={layout.bad}>
            {t(there ? "settings.customizations.there" : "settings.customizations.kindWrong")}
          </span>
        )}
        <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={onClose}>
            {t("ui.cancel")}
          </Button>
          <Button type="submit" disabled={kind.trim() === "" || there || wrong}>
            {t("settings.customizations.add")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

/** An argocd-cm as it is: the hub reads it, and tells what of it would become what. */
function Read({ onRead, onClose }: { onRead: (next: Texts, unused: Unused[]) => void; onClose: () => void }) {
  const t = useT();
  const [text, setText] = useState("");
  const client = useQueryClient();
  const read = useMutation({
    mutationFn: async () => {
      const now = await client.fetchQuery({ ...customizationsQuery, staleTime: 0 });
      const out = await api.putCustomizations(text, { dryRun: true });
      const next = { ...now.value.customizations };
      for (const c of out.value.changes) {
        if (c.change === "removed") delete next[c.key];
        else next[c.key] = c.after ?? "";
      }
      return { next, unused: out.value.unused ?? [] };
    },
    onSuccess: ({ next, unused }) => {
      onRead(next, unused);
      onClose();
    },
  });
  return (
    <Modal
      opened
      onClose={onClose}
      title={t("settings.customizations.read.title")}
      size="xl"
      closeButtonProps={{ "aria-label": t("ui.close") }}
    >
      <form
        className={layout.form}
        onSubmit={(e) => {
          e.preventDefault();
          read.mutate();
        }}
      >
        <span>{t("settings.customizations.read.what")}</span>
        <PolicyEditor
          label={t("settings.customizations.read.text")}
          text={text}
          onChange={setText}
          problems={[]}
          language="yaml"
        />
        <Failed problem={read.isError ? Problem.of(read.error) : undefined} />
        <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={onClose}>
            {t("ui.cancel")}
          </Button>
          <Button type="submit" disabled={text.trim() === ""} loading={read.isPending}>
            {t("settings.customizations.read.do")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

import { Button, Modal, Progress, Radio, Stack, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import layout from "../../ui/layout.module.css";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { cli } from "../../ui/shell";
import { toast } from "../../ui/toast";
import { type Failed, labelAll, lookAt, mostAtOnce } from "./labelMany";

/** Sets or removes one label of the selected clusters; what that means is shown before anything is stored. */
export default function LabelDialog({ names: all, onClose }: { names: readonly string[]; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const [names] = useState(() => all.slice(0, mostAtOnce)); // what was asked about stays asked about
  const [what, setWhat] = useState<"set" | "remove">("set");
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const [done, setDone] = useState(0);
  const [failed, setFailed] = useState<Failed[]>([]);
  const leaving = useRef(new AbortController());
  useEffect(() => {
    const own = new AbortController();
    leaving.current = own;
    return () => own.abort();
  }, []);
  const change = { key: key.trim(), value: what === "set" ? value.trim() : undefined };
  const of = JSON.stringify(change);
  const look = useMutation({
    mutationFn: async () => ({ of, ...(await lookAt(names, change, setDone, leaving.current.signal)) }),
    onMutate: () => setDone(0),
    onSuccess: (got) => setFailed(got.failed),
  });
  const looked = look.data?.of === of ? look.data : undefined;
  const save = useMutation({
    mutationFn: () => labelAll(looked?.changing ?? [], setDone, leaving.current.signal),
    onMutate: () => {
      setDone(0);
      setFailed([]);
    },
    onSuccess: async (left) => {
      const n = (looked?.changing.length ?? 0) - left.length;
      if (n > 0) toast(t("fleet.label.changed", { n }));
      await Promise.all(["fleet", "clusters"].map((noun) => client.invalidateQueries({ queryKey: [noun] })));
      setFailed(left);
      if (left.length === 0) onClose();
      else look.reset();
    },
  });
  const busy = look.isPending || save.isPending;
  const total = save.isPending ? (looked?.changing.length ?? 0) : names.length;
  const sum = (of: "invalid" | "valid") => (looked?.changing ?? []).reduce((n, x) => n + x[of], 0);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (change.key === "" || busy) return;
    if (looked === undefined) look.mutate();
    else if (looked.changing.length > 0) save.mutate();
  };
  const written = change.value === undefined ? `${change.key || "KEY"}-` : `${change.key || "KEY"}=${change.value}`;
  return (
    <Modal
      opened
      onClose={onClose}
      title={t("fleet.label.title", { n: names.length })}
      closeButtonProps={{ "aria-label": t("ui.close") }}
    >
      <form className={layout.form} onSubmit={submit}>
        {all.length > names.length && <p className={layout.help}>{t("fleet.label.many", { most: mostAtOnce })}</p>}
        <Radio.Group
          aria-label={t("fleet.label.title", { n: names.length })}
          value={what}
          onChange={(v) => setWhat(v as "set" | "remove")}
        >
          <Stack gap={6}>
            <Radio value="set" label={t("fleet.label.set")} />
            <Radio value="remove" label={t("fleet.label.remove")} />
          </Stack>
        </Radio.Group>
        <div className={layout.pair}>
          <TextInput
            label={t("fleet.label.key")}
            placeholder="ring"
            value={key}
            data-autofocus
            spellCheck={false}
            autoComplete="off"
            onChange={(e) => setKey(e.currentTarget.value)}
          />
          {what === "set" && (
            <TextInput
              label={t("fleet.label.value")}
              placeholder="2"
              value={value}
              spellCheck={false}
              autoComplete="off"
              onChange={(e) => setValue(e.currentTarget.value)}
            />
          )}
        </div>
        {busy && (
          <div role="status">
            <Progress
              value={(100 * done) / Math.max(1, total)}
              aria-label={t("fleet.label.done", { done, n: total })}
            />
            {t("fleet.label.done", { done, n: total })}
          </div>
        )}
        {looked !== undefined && !busy && (
          <div role="status" className={sum("invalid") > 0 ? layout.bad : undefined}>
            {t("fleet.label.would", { n: looked.changing.length, same: looked.same })}{" "}
            {looked.changing.length > 0 && t("fleet.label.impact", { invalid: sum("invalid"), valid: sum("valid") })}
          </div>
        )}
        {failed.length > 0 && (
          <div role="alert" className={layout.bad}>
            {t("fleet.label.failed", { n: failed.length })}
            <ul className={layout.list}>
              {failed.slice(0, 20).map((f) => (
                <li key={f.name}>
                  <MiddleTruncate text={f.name} />{" "}
                  <PlainText text={[f.problem.message, f.problem.fix].filter(Boolean).join(" ")} lines={2} />{" "}
                  <code>{f.problem.id || f.problem.code}</code>
                </li>
              ))}
            </ul>
          </div>
        )}
        <CliLine
          command={cli("hawser", "cluster", "label", ...names, written, change.value !== undefined && "--overwrite")}
        />
        <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={onClose}>
            {t("ui.cancel")}
          </Button>
          <Button
            type="submit"
            loading={busy}
            disabled={change.key === "" || looked?.changing.length === 0}
            color={sum("invalid") > 0 ? "red" : undefined}
          >
            {looked === undefined ? t("fleet.label.look") : t("fleet.label.do", { n: looked.changing.length })}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

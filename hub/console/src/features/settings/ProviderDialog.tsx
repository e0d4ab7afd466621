import { Button, Collapse, Modal, PasswordInput, Select, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { IdentityProvider, IdentityProviderRequest } from "../../api/types";
import { api, Problem } from "../../client";
import { useT } from "../../i18n";
import { CliLine } from "../../ui/CliLine";
import layout from "../../ui/layout.module.css";
import { PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { cli } from "../../ui/shell";
import { toast } from "../../ui/toast";
import { providersQuery } from "./queries";
import { Failed } from "./Tokens";

const secrets = ["keep", "new", "none"] as const;
const texts = [
  "name",
  "issuer",
  "clientID",
  "scopes",
  "userClaim",
  "userPrefix",
  "groupsClaim",
  "groupsPrefix",
  "allowedGroups",
  "allowedDomains",
  "ca",
] as const;
type Text = (typeof texts)[number];

/** A provider as it is written; lists are lines. */
export type ProviderForm = Record<Text, string> & { way: (typeof secrets)[number]; secret: string };

const lines = (x: string) => {
  const all = x
    .split("\n")
    .map((l) => l.trim())
    .filter((l) => l !== "");
  return all.length === 0 ? undefined : all;
};

export function formOf(p: IdentityProvider | undefined): ProviderForm {
  return {
    name: p?.name ?? "",
    issuer: p?.issuer ?? "",
    clientID: p?.clientID ?? "",
    scopes: (p?.scopes ?? []).join("\n"),
    userClaim: p?.userClaim ?? "",
    userPrefix: p?.userPrefix ?? "",
    groupsClaim: p?.groupsClaim ?? "",
    groupsPrefix: p?.groupsPrefix ?? "",
    allowedGroups: (p?.allowedGroups ?? []).join("\n"),
    allowedDomains: (p?.allowedDomains ?? []).join("\n"),
    ca: p?.ca ?? "",
    way: p === undefined ? "new" : p.confidential ? "keep" : "none",
    secret: "",
  };
}

/** What the hub is sent. It replaces the provider as a whole; a secret that is kept is not named. */
export function requestOf(f: ProviderForm): IdentityProviderRequest {
  const some = (x: string) => (x.trim() === "" ? undefined : x.trim());
  return {
    issuer: f.issuer.trim(),
    clientID: f.clientID.trim(),
    clientSecret: f.way === "keep" ? undefined : f.way === "new" ? f.secret : "",
    scopes: lines(f.scopes),
    userClaim: some(f.userClaim),
    userPrefix: some(f.userPrefix),
    groupsClaim: some(f.groupsClaim),
    groupsPrefix: some(f.groupsPrefix),
    allowedGroups: lines(f.allowedGroups),
    allowedDomains: lines(f.allowedDomains),
    ca: some(f.ca),
  };
}

/** The same at a command line; the secret comes from standard input. */
export function commandOf(f: ProviderForm): string {
  const r = requestOf(f);
  const each = (flag: string, all: string[] | undefined) => (all ?? []).flatMap((x) => [flag, x]);
  const pair = (flag: string, x: string | undefined) => (x === undefined ? [] : [flag, x]);
  return cli(
    "hawser",
    "settings",
    "provider",
    "set",
    f.name.trim() || "NAME",
    "--issuer",
    r.issuer || "URL",
    "--client-id",
    r.clientID || "ID",
    f.way === "new" && "--client-secret-stdin",
    f.way === "none" && "--public",
    ...each("--scope", r.scopes),
    ...pair("--user-claim", r.userClaim),
    ...pair("--user-prefix", r.userPrefix),
    ...pair("--groups-claim", r.groupsClaim),
    ...pair("--groups-prefix", r.groupsPrefix),
    ...each("--allowed-group", r.allowedGroups),
    ...each("--allowed-domain", r.allowedDomains),
    ...(r.ca === undefined ? [] : ["--ca-file", "ca.pem"]),
  );
}

/** A secret that was given for one place is not handed to another: the hub wants it again. */
export function secretNeeded(p: IdentityProvider | undefined, f: ProviderForm): boolean {
  const r = requestOf(f);
  return (
    p?.confidential === true &&
    f.way === "keep" &&
    (p.issuer !== r.issuer || p.clientID !== r.clientID || (p.ca ?? "").trim() !== (r.ca ?? ""))
  );
}

/** Sets an identity provider, a new one or one that is there. */
export function ProviderDialog({ provider, onClose }: { provider: IdentityProvider | undefined; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const [form, setForm] = useState(() => formOf(provider));
  const [more, setMore] = useState(provider !== undefined);
  const save = useMutation({
    mutationFn: () =>
      api.putIdentityProvider(
        form.name.trim(),
        requestOf(form),
        provider === undefined ? {} : { ifMatch: `"${provider.version}"` },
      ),
    onSuccess: async (stored) => {
      await client.invalidateQueries({ queryKey: providersQuery.queryKey });
      toast(t("settings.providers.saved", { name: plainLine(stored.value.name) }));
      onClose();
    },
  });
  const problem = save.isError ? Problem.of(save.error) : undefined;
  const all = problem === undefined ? [] : problem.errors.length > 0 ? problem.errors : [problem];
  const wrong = (field: string) =>
    all
      .filter((e) => e.field === field || e.field?.startsWith(`${field}[`))
      .map((e) => ("detail" in e ? e.detail : e.message))
      .join(" ") || undefined;
  const shown = all.length > 0 && all.every((e) => wrong(e.field?.replace(/\[.*/, "") ?? "") !== undefined && e.field);
  const set = (key: keyof ProviderForm, v: string) => setForm((old) => ({ ...old, [key]: v }));
  const common = (key: Text) => ({
    label: t(`settings.providers.field.${key}`),
    value: form[key],
    error: wrong(key) === undefined ? undefined : <PlainText text={wrong(key) ?? ""} lines={3} />,
    autoComplete: "off",
    spellCheck: false,
  });
  const input = (key: Text, placeholder: string) => (
    <TextInput {...common(key)} placeholder={placeholder} onChange={(e) => set(key, e.currentTarget.value)} />
  );
  const area = (key: Text, placeholder: string) => (
    <Textarea
      {...common(key)}
      placeholder={placeholder}
      onChange={(e) => set(key, e.currentTarget.value)}
      autosize
      minRows={2}
      maxRows={8}
    />
  );
  const needed = secretNeeded(provider, form);
  const may =
    form.name.trim() !== "" &&
    form.issuer.trim() !== "" &&
    form.clientID.trim() !== "" &&
    !needed &&
    (form.way !== "new" || form.secret !== "");
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (may) save.mutate();
  };
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      closeOnClickOutside={false}
      title={
        provider === undefined
          ? t("settings.providers.new")
          : t("settings.providers.edit.name", { name: plainLine(provider.name) })
      }
      closeButtonProps={{ "aria-label": t("ui.close") }}
    >
      <form onSubmit={submit} className={layout.form}>
        <div className={layout.pair}>
          {provider === undefined && (
            <TextInput
              {...common("name")}
              placeholder="corp"
              onChange={(e) => set("name", e.currentTarget.value)}
              data-autofocus
            />
          )}
          {input("clientID", "hawser")}
        </div>
        {input("issuer", "https://idp.example.org/realms/main")}
        <div className={layout.pair}>
          <Select
            label={t("settings.providers.secret")}
            data={secrets
              .filter((x) => x !== "keep" || provider?.confidential === true)
              .map((value) => ({ value, label: t(`settings.providers.secret.${value}`) }))}
            value={form.way}
            onChange={(v) => v !== null && set("way", v)}
            error={needed ? t("settings.providers.secret.again") : undefined}
            allowDeselect={false}
          />
          {form.way === "new" && (
            <PasswordInput
              label={t("settings.providers.secret.value")}
              value={form.secret}
              onChange={(e) => set("secret", e.currentTarget.value)}
              autoComplete="new-password"
              error={wrong("clientSecret")}
              visibilityToggleButtonProps={{ "aria-label": t("settings.providers.secret.show") }}
            />
          )}
        </div>
        <div>
          <Button variant="subtle" px={0} onClick={() => setMore(!more)} aria-expanded={more}>
            {t("settings.providers.more")}
          </Button>
        </div>
        <Collapse expanded={more}>
          <div className={layout.form}>
            <div className={layout.pair}>
              {input("userClaim", "email")}
              {input("userPrefix", t("settings.providers.prefix.none"))}
              {input("groupsClaim", "groups")}
              {input("groupsPrefix", t("settings.providers.prefix.none"))}
            </div>
            <div className={layout.pair}>
              {area("allowedGroups", t("settings.providers.everybody"))}
              {area("allowedDomains", t("settings.providers.everybody"))}
              {area("scopes", "profile\nemail\ngroups")}
            </div>
            {area("ca", "-----BEGIN CERTIFICATE-----")}
          </div>
        </Collapse>
        {provider !== undefined && <p className={layout.help}>{t("settings.providers.edit.what")}</p>}
        <CliLine command={commandOf(form)} />
        {!shown && <Failed problem={problem} />}
        <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={onClose}>
            {t("ui.cancel")}
          </Button>
          <Button type="submit" disabled={!may} loading={save.isPending}>
            {t("settings.providers.save")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

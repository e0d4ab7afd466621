import { Button, Checkbox, Collapse, PasswordInput, Select, Textarea, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";
import type { Problem } from "../../client";
import { useT } from "../../i18n";
import layout from "../../ui/layout.module.css";
import { PlainText } from "../../ui/PlainText";
import { type CredentialDraft, mistakesIn, switches, type Way } from "./credential";

type Texts = { [K in keyof CredentialDraft]: CredentialDraft[K] extends string ? K : never }[Exclude<
  keyof CredentialDraft,
  "way"
>];

const rows: Partial<Record<keyof CredentialDraft, string>> = {
  sshKey: "-----BEGIN OPENSSH PRIVATE KEY-----",
  knownHosts: "git.example.com ssh-ed25519 AAAA…",
  caBundle: "-----BEGIN CERTIFICATE-----",
  clientCert: "-----BEGIN CERTIFICATE-----",
  clientKey: "-----BEGIN PRIVATE KEY-----",
  githubAppPrivateKey: "-----BEGIN RSA PRIVATE KEY-----",
};

const lines: Partial<Record<keyof CredentialDraft, string>> = {
  username: "git",
  proxy: "http://proxy:3128",
  noProxy: "git.example.com,10.0.0.0/8",
  githubAppID: "12345",
  githubAppBaseURL: "https://github.example.com/api/v3",
};

/**
 * Who one is to a repository, and how it is reached. What is wrong is said beside its field: what
 * cannot be right when the field is left, and what the hub says.
 */
export function CredentialFields({
  draft,
  onChange,
  ways,
  type,
  stored,
  problem,
  more: first,
}: {
  draft: CredentialDraft;
  onChange: (part: Partial<CredentialDraft>) => void;
  ways: readonly Way[];
  /** git, helm or oci; undefined: for all of them. */
  type: string | undefined;
  /** Empty texts leave what is stored. */
  stored: boolean;
  problem: Problem | undefined;
  /** Other things of the repository, before those of the connection. */
  more?: ReactNode;
}) {
  const t = useT();
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [open, setOpen] = useState(false);
  const mistakes = mistakesIn(draft);
  const said = (key: string) =>
    (problem?.errors ?? []).find((e) => e.field === key) ??
    (problem?.field === key ? { detail: problem.message, fix: problem.fix } : undefined);
  const wrong = (key: keyof CredentialDraft) => {
    const mistake = left.has(key) ? mistakes[key] : undefined;
    if (mistake !== undefined) return t(mistake);
    const by = said(key);
    return by === undefined ? undefined : (
      <PlainText text={[by.detail, by.fix].filter(Boolean).join(" · ")} lines={4} />
    );
  };
  const common = (key: Texts) => ({
    label: t(`repositories.field.${key}`),
    value: draft[key],
    onChange: (e: { currentTarget: { value: string } }) => onChange({ [key]: e.currentTarget.value }),
    onBlur: () => setLeft((old) => new Set(old).add(key)),
    error: wrong(key),
    spellCheck: false,
  });
  const input = (key: Texts) => <TextInput {...common(key)} placeholder={lines[key]} autoComplete="off" />;
  const area = (key: Texts) => (
    <Textarea
      {...common(key)}
      description={stored && ["knownHosts", "caBundle"].includes(key) ? t("repositories.edit.stays") : undefined}
      placeholder={rows[key]}
      autosize
      minRows={3}
      maxRows={8}
      autoComplete="off"
    />
  );
  const secret = (key: "password" | "bearerToken") => (
    <PasswordInput
      {...common(key)}
      autoComplete="new-password"
      visibilityToggleButtonProps={{ "aria-label": t("repositories.show") }}
    />
  );
  const box = (key: (typeof switches)[number]) => (
    <Checkbox
      key={key}
      label={t(`repositories.field.${key}`)}
      checked={draft[key]}
      error={wrong(key)}
      onChange={(e) => onChange({ [key]: e.currentTarget.checked })}
    />
  );
  const shown: Record<(typeof switches)[number], boolean> = {
    forceBasicAuth: draft.way === "password",
    passCredentials: type === undefined || type === "helm",
    insecureSkipVerify: draft.way !== "ssh",
    insecureIgnoreHostKey: draft.way === "ssh",
    insecurePlainHTTP: type === undefined || type === "oci",
  };
  // Where something is wrong is never folded away.
  const within = (["caBundle", "clientCert", "clientKey", "proxy", "noProxy", ...switches] as const).some(
    (key) => wrong(key) !== undefined,
  );
  const expanded = open || within;
  return (
    <>
      <Select
        label={t("repositories.way")}
        description={stored ? t("repositories.edit.secrets") : undefined}
        data={ways.map((value) => ({
          value,
          label: value === "keep" ? t("repositories.edit.keep") : t(`repositories.way.${value}`),
        }))}
        value={draft.way}
        onChange={(v) => v !== null && onChange({ way: v as Way })}
        allowDeselect={false}
      />
      {draft.way === "password" && (
        <div className={layout.pair}>
          {input("username")}
          {secret("password")}
        </div>
      )}
      {draft.way === "token" && secret("bearerToken")}
      {draft.way === "ssh" && (
        <>
          {area("sshKey")}
          {area("knownHosts")}
        </>
      )}
      {draft.way === "app" && (
        <>
          <div className={layout.pair}>
            {input("githubAppID")}
            <TextInput
              {...common("githubAppInstallationID")}
              placeholder={t("repositories.installation.hint")}
              autoComplete="off"
            />
          </div>
          {area("githubAppPrivateKey")}
          {input("githubAppBaseURL")}
        </>
      )}
      {draft.way === "cert" && (
        <>
          {area("clientCert")}
          {area("clientKey")}
        </>
      )}
      <div>
        <Button variant="subtle" px={0} onClick={() => setOpen(!expanded)} aria-expanded={expanded}>
          {t("repositories.more")}
        </Button>
      </div>
      <Collapse expanded={expanded}>
        <div className={layout.form}>
          {first}
          <div className={layout.pair}>
            {input("proxy")}
            {input("noProxy")}
          </div>
          {area("caBundle")}
          {draft.way !== "ssh" && draft.way !== "cert" && (
            <>
              {area("clientCert")}
              {area("clientKey")}
            </>
          )}
          {switches.filter((key) => shown[key]).map(box)}
        </div>
      </Collapse>
    </>
  );
}

/** What the hub has against it that is of no field of the form. */
export function Rest({ problem, beside }: { problem: Problem | undefined; beside: readonly string[] }) {
  if (problem === undefined) return null;
  const fields = problem.errors.length > 0 ? problem.errors.map((e) => e.field ?? "") : [problem.field ?? ""];
  if (fields.every((f) => beside.includes(f))) return null;
  return (
    <div role="alert" className={layout.bad}>
      <PlainText text={[problem.message, problem.fix].filter(Boolean).join(" ")} lines={6} />{" "}
      <code>{problem.id || problem.code}</code>
    </div>
  );
}

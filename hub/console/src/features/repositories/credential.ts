// What a person writes of a credential: the same in every form that has one.
import type { RepositoryRequest } from "../../api/types";
import type { MessageKey } from "../../i18n";

/** Who one is to a repository. "keep" is for what is stored already. */
export const ways = ["keep", "none", "password", "token", "ssh", "app", "cert"] as const;
export type Way = (typeof ways)[number];

export interface CredentialDraft {
  way: Way;
  username: string;
  password: string;
  bearerToken: string;
  sshKey: string;
  knownHosts: string;
  githubAppID: string;
  githubAppInstallationID: string;
  githubAppPrivateKey: string;
  githubAppBaseURL: string;
  clientCert: string;
  clientKey: string;
  caBundle: string;
  proxy: string;
  noProxy: string;
  insecureSkipVerify: boolean;
  insecureIgnoreHostKey: boolean;
  insecurePlainHTTP: boolean;
  forceBasicAuth: boolean;
  passCredentials: boolean;
}

export const blankCredential: CredentialDraft = {
  way: "none",
  username: "",
  password: "",
  bearerToken: "",
  sshKey: "",
  knownHosts: "",
  githubAppID: "",
  githubAppInstallationID: "",
  githubAppPrivateKey: "",
  githubAppBaseURL: "",
  clientCert: "",
  clientKey: "",
  caBundle: "",
  proxy: "",
  noProxy: "",
  insecureSkipVerify: false,
  insecureIgnoreHostKey: false,
  insecurePlainHTTP: false,
  forceBasicAuth: false,
  passCredentials: false,
};

/** Fields that a form shows what is wrong beside. */
export const credentialKeys = Object.keys(blankCredential);

/** What of a credential can be switched on, in the order of the forms. */
export const switches = [
  "forceBasicAuth",
  "passCredentials",
  "insecureSkipVerify",
  "insecureIgnoreHostKey",
  "insecurePlainHTTP",
] as const satisfies readonly (keyof CredentialDraft)[];

export const some = (x: string) => (x.trim() === "" ? undefined : x.trim());
/** A PEM or a file of host keys ends with its line. */
export const block = (x: string) => (x.trim() === "" ? undefined : `${x.trim()}\n`);
const number = (x: string) => (x.trim() === "" ? undefined : Number(x.trim()));

/** Only what belongs to the way that was chosen, and what is said of connections. */
export function fieldsOf(d: CredentialDraft): Partial<RepositoryRequest> {
  const on = (x: boolean) => x || undefined;
  return {
    ...(d.way === "password" && {
      username: some(d.username),
      password: d.password || undefined,
      forceBasicAuth: on(d.forceBasicAuth),
    }),
    ...(d.way === "token" && { bearerToken: some(d.bearerToken) }),
    ...(d.way === "ssh" && {
      sshKey: block(d.sshKey),
      knownHosts: block(d.knownHosts),
      insecureIgnoreHostKey: on(d.insecureIgnoreHostKey),
    }),
    ...(d.way === "app" && {
      githubAppID: number(d.githubAppID),
      githubAppInstallationID: number(d.githubAppInstallationID),
      githubAppPrivateKey: block(d.githubAppPrivateKey),
      githubAppBaseURL: some(d.githubAppBaseURL),
    }),
    ...(d.way !== "ssh" && { clientCert: block(d.clientCert), clientKey: block(d.clientKey) }),
    caBundle: block(d.caBundle),
    proxy: some(d.proxy),
    noProxy: some(d.noProxy),
    insecureSkipVerify: on(d.insecureSkipVerify),
    insecurePlainHTTP: on(d.insecurePlainHTTP),
    passCredentials: on(d.passCredentials),
  };
}

/** The same as flags of `hawser repo add` and `repocreds add`, which read secrets from files and never from words. */
export function flagsOf(r: Partial<RepositoryRequest>): (string | false | undefined)[] {
  const option = (name: string, v: string | number | undefined) =>
    v === undefined || v === "" || v === 0 ? [] : [name, String(v)];
  const file = (name: string, v: string | undefined, of: string) => (v === undefined || v === "" ? [] : [name, of]);
  return [
    ...option("--username", r.username),
    r.password !== undefined && r.password !== "" && "--password-stdin",
    ...file("--bearer-token-file", r.bearerToken, "token"),
    ...file("--ssh-key-file", r.sshKey, "id_ed25519"),
    ...file("--known-hosts-file", r.knownHosts, "known_hosts"),
    ...option("--github-app-id", r.githubAppID),
    ...option("--github-app-installation-id", r.githubAppInstallationID),
    ...file("--github-app-private-key-file", r.githubAppPrivateKey, "app.pem"),
    ...option("--github-app-base-url", r.githubAppBaseURL),
    ...file("--client-cert-file", r.clientCert, "client.crt"),
    ...file("--client-key-file", r.clientKey, "client.key"),
    ...file("--ca-file", r.caBundle, "ca.pem"),
    ...option("--proxy", r.proxy),
    ...option("--no-proxy", r.noProxy),
    r.forceBasicAuth && "--force-basic-auth",
    r.passCredentials && "--pass-credentials",
    r.insecureSkipVerify && "--insecure-skip-tls-verify",
    r.insecureIgnoreHostKey && "--insecure-ignore-host-key",
    r.insecurePlainHTTP && "--insecure-plain-http",
  ];
}

/** Whether the way to log in that was chosen has its secret. */
export function isWhole(d: CredentialDraft): boolean {
  const has = (...texts: string[]) => texts.every((x) => x.trim() !== "");
  switch (d.way) {
    case "password":
      return d.password !== "" || (d.forceBasicAuth && has(d.username));
    case "token":
      return has(d.bearerToken);
    case "ssh":
      return has(d.sshKey);
    case "app":
      return has(d.githubAppID, d.githubAppPrivateKey);
    case "cert":
      return has(d.clientCert, d.clientKey);
  }
  return true;
}

function wrongKey(x: string): MessageKey | undefined {
  if (/^(?:ssh-|ecdsa-|sk-)|-----BEGIN [A-Z ]*PUBLIC KEY-----/.test(x.trim())) return "repositories.wrong.public";
  if (/ENCRYPTED/.test(x)) return "repositories.wrong.encrypted";
  return /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----[\s\S]+-----END /.test(x) ? undefined : "repositories.wrong.key";
}

function wrongCertificates(x: string): MessageKey | undefined {
  const kinds = [...x.matchAll(/-----BEGIN ([A-Z ]+)-----/g)].map((m) => m[1]);
  return kinds.length > 0 && kinds.every((k) => k === "CERTIFICATE") && /-----END CERTIFICATE-----\s*$/.test(x)
    ? undefined
    : "repositories.wrong.certificate";
}

function isURL(x: string, ...schemes: string[]): boolean {
  return URL.canParse(x) && schemes.includes(new URL(x).protocol) && new URL(x).host !== "";
}

/** What cannot be right, by field: the hub is asked when nothing is left of it. */
export function mistakesIn(d: CredentialDraft): Partial<Record<keyof CredentialDraft, MessageKey>> {
  const out: Partial<Record<keyof CredentialDraft, MessageKey>> = {};
  const look = (key: keyof CredentialDraft, of: (x: string) => MessageKey | undefined) => {
    const text = d[key];
    if (typeof text !== "string" || text.trim() === "") return;
    const found = of(text.trim());
    if (found !== undefined) out[key] = found;
  };
  if (d.way === "ssh") {
    look("sshKey", wrongKey);
    look("knownHosts", (x) =>
      x.split("\n").every((l) => l.trim() === "" || l.trim().startsWith("#") || l.trim().split(/\s+/).length >= 3)
        ? undefined
        : "repositories.wrong.hosts",
    );
  }
  if (d.way === "app") {
    const positive = (x: string) => (/^[1-9][0-9]{0,14}$/.test(x) ? undefined : "repositories.wrong.number");
    look("githubAppID", positive);
    look("githubAppInstallationID", positive);
    look("githubAppPrivateKey", wrongKey);
    look("githubAppBaseURL", (x) => (isURL(x, "https:", "http:") ? undefined : "repositories.wrong.url"));
  }
  if (d.way !== "ssh") {
    look("clientCert", wrongCertificates);
    look("clientKey", wrongKey);
    if ((some(d.clientCert) === undefined) !== (some(d.clientKey) === undefined))
      out[some(d.clientCert) === undefined ? "clientCert" : "clientKey"] = "repositories.wrong.pair";
  }
  look("caBundle", wrongCertificates);
  look("proxy", (x) => (isURL(x, "http:", "https:", "socks5:", "socks5h:") ? undefined : "repositories.wrong.proxy"));
  if (some(d.noProxy) !== undefined && some(d.proxy) === undefined) out.noProxy = "repositories.wrong.noProxy";
  return out;
}

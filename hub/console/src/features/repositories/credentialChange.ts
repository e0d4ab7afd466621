import type { CredentialInfo, Repository, RepositoryChange, RepositoryTemplate } from "../../api/types";
import { cli } from "../../ui/shell";

export const ways = ["keep", "none", "password", "token", "ssh"] as const;
export type Way = (typeof ways)[number];

/** What a person writes of a repository or a credential template that there is, or of a new template. */
export interface Edit {
  url: string;
  name: string;
  project: string;
  way: Way;
  username: string;
  password: string;
  bearerToken: string;
  sshKey: string;
  knownHosts: string;
  caBundle: string;
  proxy: string;
  insecureSkipVerify: boolean;
}

const insecureTLS = "insecureSkipVerify";

/** What the hub tells of what is stored; never a secret. */
export function editOf(stored: Repository | RepositoryTemplate | undefined, project = ""): Edit {
  const c: CredentialInfo = stored?.credential ?? {};
  return {
    url: stored?.url ?? "",
    name: stored !== undefined && "name" in stored ? (stored.name ?? "") : "",
    project: stored === undefined ? project : (stored.project ?? ""),
    way: stored === undefined ? "password" : "keep",
    username: c.username ?? "",
    password: "",
    bearerToken: "",
    sshKey: "",
    knownHosts: "",
    caBundle: "",
    proxy: c.proxy ?? "",
    insecureSkipVerify: (c.insecure ?? []).includes(insecureTLS),
  };
}

const pem = (x: string) => (x.trim() === "" ? undefined : `${x.trim()}\n`);

/** What was opened with before is taken back: an empty text clears, what is left out stays. */
const noWay: RepositoryChange = {
  username: "",
  password: "",
  bearerToken: "",
  sshKey: "",
  githubAppID: 0,
  githubAppInstallationID: 0,
  githubAppPrivateKey: "",
  githubAppBaseURL: "",
};

/** The fields that differ from what is stored; with a new way to log in all of the old ones. */
export function changeOf(e: Edit, before: Edit): RepositoryChange {
  const out: RepositoryChange = {};
  if (e.name !== before.name) out.name = e.name.trim();
  if (e.project !== before.project) out.project = e.project.trim();
  if (e.proxy !== before.proxy) out.proxy = e.proxy.trim();
  if (e.insecureSkipVerify !== before.insecureSkipVerify) out.insecureSkipVerify = e.insecureSkipVerify;
  if (pem(e.caBundle) !== undefined) out.caBundle = pem(e.caBundle);
  if (e.way === "keep") return out;
  Object.assign(out, noWay);
  if (e.way === "none") Object.assign(out, { knownHosts: "", clientCert: "", clientKey: "" });
  if (e.way === "password") Object.assign(out, { username: e.username.trim(), password: e.password });
  if (e.way === "token") out.bearerToken = e.bearerToken.trim();
  if (e.way === "ssh") {
    out.sshKey = pem(e.sshKey) ?? "";
    if (pem(e.knownHosts) !== undefined) out.knownHosts = pem(e.knownHosts);
  }
  return out;
}

/** Whether the way to log in that was chosen has its secret. */
export function isWhole(e: Edit): boolean {
  if (e.url.trim() === "") return false;
  if (e.way === "password") return e.password !== "";
  if (e.way === "token") return e.bearerToken.trim() !== "";
  return e.way !== "ssh" || e.sshKey.trim() !== "";
}

/** The same on the command line, where adding a URL again replaces what is known of it; secrets come from files. */
export function commandOfEdit(what: "repo" | "repocreds", e: Edit): string {
  const option = (name: string, v: string) => (v.trim() === "" ? [] : [name, v.trim()]);
  return cli(
    "hawser",
    what,
    "add",
    e.url.trim() || "URL",
    ...option("--name", e.name),
    ...option("--project", e.project),
    ...(e.way === "password" ? [...option("--username", e.username), "--password-stdin"] : []),
    ...(e.way === "token" ? ["--bearer-token-file", "token"] : []),
    ...(e.way === "ssh" ? ["--ssh-key-file", "id_ed25519"] : []),
    ...(e.way === "ssh" && e.knownHosts.trim() !== "" ? ["--known-hosts-file", "known_hosts"] : []),
    ...(e.caBundle.trim() === "" ? [] : ["--ca-file", "ca.pem"]),
    ...option("--proxy", e.proxy),
    e.insecureSkipVerify && "--insecure-skip-tls-verify",
  );
}

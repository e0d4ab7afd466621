import type { CredentialInfo, Repository, RepositoryChange, RepositoryTemplate } from "../../api/types";
import { cli } from "../../ui/shell";
import {
  blankCredential,
  block,
  type CredentialDraft,
  fieldsOf,
  flagsOf,
  isWhole as hasSecret,
  mistakesIn,
  switches,
} from "./credential";

/** What a person writes of a repository or a credential template that there is, or of a new template. */
export interface Edit extends CredentialDraft {
  url: string;
  name: string;
  project: string;
}

/** What the hub tells of what is stored; never a secret. */
export function editOf(stored: Repository | RepositoryTemplate | undefined, project = ""): Edit {
  const c: CredentialInfo = stored?.credential ?? {};
  const on = [...(c.insecure ?? []), ...(c.options ?? [])];
  const number = (n: number | undefined) => (n === undefined || n === 0 ? "" : String(n));
  return {
    ...blankCredential,
    ...Object.fromEntries(switches.map((key) => [key, on.includes(key)])),
    url: stored?.url ?? "",
    name: stored !== undefined && "name" in stored ? (stored.name ?? "") : "",
    project: stored === undefined ? project : (stored.project ?? ""),
    way: stored === undefined ? "password" : "keep",
    username: c.username ?? "",
    proxy: c.proxy ?? "",
    noProxy: c.noProxy ?? "",
    githubAppID: number(c.githubAppID),
    githubAppInstallationID: number(c.githubAppInstallationID),
    githubAppBaseURL: c.githubAppBaseURL ?? "",
  };
}

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
  for (const key of ["name", "project", "proxy", "noProxy"] as const)
    if (e[key] !== before[key]) out[key] = e[key].trim();
  for (const key of switches) if (e[key] !== before[key]) out[key] = e[key];
  for (const key of ["caBundle", "clientCert", "clientKey"] as const) {
    const text = e.way === "ssh" && key !== "caBundle" ? undefined : block(e[key]);
    if (text !== undefined) out[key] = text;
  }
  if (e.way === "keep") return out;
  Object.assign(out, noWay);
  if (e.way === "none") Object.assign(out, { knownHosts: "", clientCert: "", clientKey: "" });
  const { username, password, bearerToken, sshKey, knownHosts, ...app } = fieldsOf(e);
  const own = {
    ...{ username, password, bearerToken, sshKey, knownHosts },
    ...{ githubAppID: app.githubAppID, githubAppInstallationID: app.githubAppInstallationID },
    ...{ githubAppPrivateKey: app.githubAppPrivateKey, githubAppBaseURL: app.githubAppBaseURL },
  };
  Object.assign(out, Object.fromEntries(Object.entries(own).filter(([, v]) => v !== undefined)));
  return out;
}

/** Whether it can be sent: the way to log in that was chosen has its secret, and nothing is wrong at sight. */
export function isWhole(e: Edit): boolean {
  return e.url.trim() !== "" && hasSecret(e) && Object.keys(mistakesIn(e)).length === 0;
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
    ...flagsOf(fieldsOf(e)),
  );
}

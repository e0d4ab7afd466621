import { Button, Select, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import type { ExplainKind, ExplainRequest } from "../../api/types";
import { useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { CopyButton } from "../../ui/CopyButton";
import { Explanation } from "../../ui/Explanation";
import { explained } from "../../ui/explained";
import layout from "../../ui/layout.module.css";
import { cli } from "../../ui/shell";
import { ErrorView, LoadingView } from "../../ui/states";
import { explainQuery } from "./queries";

const route = getRouteApi(paths.project);

const verbs = [
  "deploy",
  "sync",
  "rollback",
  "refresh",
  "terminate",
  "action",
  "exec",
  "get",
  "logs",
  "events",
  "create",
  "update",
  "delete",
];

/** What is asked: texts of the URL. */
export interface Question {
  verb?: string;
  as?: string;
  app?: string;
  source?: string;
  cluster?: string;
  ns?: string;
  kind?: string;
}

const fields = ["verb", "as", "app", "source", "cluster", "ns", "kind"] as const;

/** "apps/Deployment:web" as the hub takes it. */
export function kindOf(text: string): ExplainKind {
  const [type = "", ...name] = text.trim().split(":");
  const slash = type.indexOf("/");
  return {
    group: slash < 0 ? undefined : type.slice(0, slash),
    kind: type.slice(slash + 1),
    name: name.length === 0 ? undefined : name.join(":"),
  };
}

const words = (x: string | undefined) => (x ?? "").split(/[\s,]+/).filter((w) => w !== "");

export function requestOf(project: string, q: Question): ExplainRequest {
  const kinds = words(q.kind).map(kindOf);
  const sources = words(q.source);
  return {
    verb: q.verb === "deploy" ? undefined : q.verb,
    subject: q.as,
    ...(q.app === undefined
      ? {
          project,
          sources: sources.length === 0 ? undefined : sources,
          destination:
            q.cluster === undefined && q.ns === undefined
              ? undefined
              : q.cluster?.includes("://")
                ? { server: q.cluster, namespace: q.ns }
                : { name: q.cluster, namespace: q.ns },
          kinds: kinds.length === 0 ? undefined : kinds,
        }
      : { name: q.app }),
  };
}

export function commandOf(project: string, q: Question): string {
  const asked = q.app === undefined ? q : { verb: q.verb, as: q.as, app: q.app };
  return cli(
    "hawser",
    "project",
    "simulate",
    ...(q.app === undefined ? [project] : ["--app", q.app]),
    ...(q.verb === undefined || q.verb === "deploy" ? [] : ["--verb", q.verb]),
    ...(q.as === undefined ? [] : ["--as", q.as]),
    ...words((asked as Question).source).flatMap((s) => ["--source", s]),
    ...((asked as Question).cluster === undefined ? [] : ["--dest", q.cluster]),
    ...((asked as Question).ns === undefined ? [] : ["--namespace", q.ns]),
    ...words((asked as Question).kind).flatMap((k) => ["--kind", k]),
  );
}

/** Asks the hub whether something would be allowed, and shows every check. The question is the URL. */
export function Simulator({ project }: { project: string }) {
  const t = useT();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const asked: Question = Object.fromEntries(fields.map((f) => [f, search[f]]));
  const key = JSON.stringify(asked);
  const [draft, setDraft] = useState<Question>(asked);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the question of the URL, when it is another one
  useEffect(() => setDraft(asked), [key]);
  const is = search.ask === "yes";
  const answer = useQuery({ ...explainQuery(project, requestOf(project, asked)), enabled: is });
  const set = (f: keyof Question, v: string | null) => setDraft((old) => ({ ...old, [f]: v || undefined }));
  const submit = (e: FormEvent) => {
    e.preventDefault();
    const next = Object.fromEntries(fields.map((f) => [f, draft[f]?.trim() || undefined]));
    if (is && JSON.stringify(next) === key) void answer.refetch();
    else void navigate({ search: (old) => ({ ...old, ...next, ask: "yes" }) });
  };
  const named = (draft.app ?? "").trim() !== "";
  const decision = explained(answer.data);
  const text = (f: keyof Question, placeholder?: string, off = false) => (
    <TextInput
      label={t(`projects.simulator.${f}`)}
      placeholder={placeholder}
      value={draft[f] ?? ""}
      onChange={(e) => set(f, e.currentTarget.value)}
      disabled={off}
      autoComplete="off"
      spellCheck={false}
    />
  );
  return (
    <div className={layout.section}>
      <h2>{t("projects.simulator")}</h2>
      <p className={layout.help}>{t("projects.simulator.help")}</p>
      <form onSubmit={submit} className={layout.form} style={{ margin: "12px 0 16px", maxWidth: 960 }}>
        <div className={layout.pair}>
          <Select
            label={t("projects.simulator.verb")}
            data={verbs}
            value={draft.verb ?? "deploy"}
            onChange={(v) => set("verb", v)}
            allowDeselect={false}
          />
          {text("app", "api")}
          {text("as", t("projects.simulator.as.me"))}
        </div>
        <div className={layout.pair}>
          {text("source", "https://git.example.com/team/app", named)}
          {text("cluster", "eu-1", named)}
          {text("ns", "payments", named)}
        </div>
        <Textarea
          label={t("projects.simulator.kind")}
          placeholder="apps/Deployment rbac.authorization.k8s.io/ClusterRole:admin"
          value={draft.kind ?? ""}
          onChange={(e) => set("kind", e.currentTarget.value)}
          disabled={named}
          autosize
          minRows={1}
          maxRows={6}
          spellCheck={false}
        />
        <div className={layout.buttons}>
          <Button type="submit" loading={answer.isFetching && is}>
            {t("projects.simulator.ask")}
          </Button>
          {is && <CopyButton value={location.href} label={t("projects.simulator.copyLink")} />}
        </div>
      </form>
      {!is ? null : answer.isPending ? (
        <LoadingView rows={5} />
      ) : answer.isError ? (
        <ErrorView error={answer.error} onRetry={() => void answer.refetch()} />
      ) : (
        decision !== undefined && (
          <div style={{ maxWidth: 960 }}>
            <Explanation of={decision} />
            <CliLine command={commandOf(project, asked)} />
          </div>
        )
      )}
    </div>
  );
}

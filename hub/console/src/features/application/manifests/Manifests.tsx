import { Button, SegmentedControl, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { CliLine } from "../../../ui/CliLine";
import { CodeView } from "../../../ui/CodeView";
import { CopyButton } from "../../../ui/CopyButton";
import { PlainText } from "../../../ui/PlainText";
import { plainLine } from "../../../ui/plain";
import { cli } from "../../../ui/shell";
import { EmptyView, ErrorView, LoadingView, PartialBanner } from "../../../ui/states";
import { toYAML } from "../../../ui/yaml";
import { objectLabel } from "../object";
import { documentsOf } from "./documents";
import classes from "./Manifests.module.css";
import { manifestsQuery } from "./queries";

const route = getRouteApi(paths.application);

/** Manifests of an application: what is wanted, what another revision has, or what the cluster has. */
export default function Manifests({ name }: { name: string }) {
  const t = useT();
  const navigate = route.useNavigate();
  const search = route.useSearch();
  const live = search.from === "live";
  const revision = live ? undefined : search.rev;
  const query = useQuery(manifestsQuery(name, live ? "live" : "git", revision));
  const documents = useMemo(() => documentsOf(query.data?.items ?? []), [query.data]);
  const chosen = documents.find((d) => d.id === search.doc);
  const text = useMemo(
    () => (chosen === undefined ? documents : [chosen]).map((d) => toYAML(d.value)).join("---\n"),
    [chosen, documents],
  );
  const set = (more: Partial<typeof search>) =>
    void navigate({ search: (old) => ({ ...old, ...more }), replace: true });
  return (
    <div className={classes.page}>
      <div className={classes.bar}>
        <SegmentedControl
          aria-label={t("manifests.from")}
          value={live ? "live" : "git"}
          onChange={(v) => set({ from: v === "live" ? "live" : undefined, doc: undefined })}
          data={[
            { value: "git", label: t("manifests.git") },
            { value: "live", label: t("manifests.live") },
          ]}
        />
        {!live && <Revision value={search.rev ?? ""} onDone={(v) => set({ rev: v || undefined, doc: undefined })} />}
        <Select
          className={classes.which}
          aria-label={t("manifests.object")}
          placeholder={t("manifests.all", { n: documents.length })}
          data={documents.map((d) => ({ value: d.id, label: plainLine(d.label) }))}
          value={chosen?.id ?? null}
          onChange={(v) => set({ doc: v ?? undefined })}
          searchable
          clearable
          limit={200}
        />
        <span className={classes.grow} />
        {query.isFetching && !query.isPending && <span className={classes.dim}>{t("ui.loading")}</span>}
        {live && (
          <Button variant="default" size="compact-sm" onClick={() => void query.refetch()}>
            {t("manifests.reread")}
          </Button>
        )}
        {text !== "" && <CopyButton value={text} name="YAML" />}
      </div>
      {query.data?.revision !== undefined && query.data.revision.commit !== "" && (
        <p className={classes.at}>
          <code>{query.data.revision.commit.slice(0, 12)}</code>{" "}
          {query.data.revision.message !== undefined && <PlainText text={query.data.revision.message} />}
        </p>
      )}
      {(query.data?.warnings ?? []).map((w) => (
        <PartialBanner key={`${w.type} ${w.message}`}>
          <PlainText text={w.message} lines={3} />
        </PartialBanner>
      ))}
      {(query.data?.missing ?? []).length > 0 && (
        <PartialBanner>
          {t("manifests.missing", { n: query.data?.missing?.length ?? 0 })}{" "}
          {query.data?.missing?.slice(0, 3).map((m) => (
            <span key={objectLabel(m)} className={classes.gone}>
              <PlainText text={`${objectLabel(m)}: ${m.reason}`} /> <code>{m.code}</code>
            </span>
          ))}
        </PartialBanner>
      )}
      {query.isPending ? (
        <LoadingView />
      ) : query.isError ? (
        <ErrorView error={query.error} onRetry={() => void query.refetch()} />
      ) : documents.length === 0 ? (
        <EmptyView title={t("manifests.none.title")}>{t(live ? "manifests.none.live" : "manifests.none")}</EmptyView>
      ) : (
        <CodeView text={text} language="yaml" label={t("manifests.tab")} />
      )}
      <div className={classes.cli}>
        <CliLine
          command={cli(
            "hawser",
            "app",
            "manifests",
            name,
            live && "--source",
            live && "live",
            revision !== undefined && "--revision",
            revision,
          )}
        />
      </div>
    </div>
  );
}

/** Another revision: a commit, branch, tag or version; it counts with Enter, or when one leaves it. */
function Revision({ value, onDone }: { value: string; onDone: (v: string) => void }) {
  const t = useT();
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const done = () => text.trim() !== value && onDone(text.trim());
  return (
    <TextInput
      className={classes.revision}
      aria-label={t("manifests.revision")}
      placeholder={t("manifests.revision")}
      value={text}
      spellCheck={false}
      onChange={(e) => setText(e.currentTarget.value)}
      onBlur={done}
      onKeyDown={(e) => e.key === "Enter" && done()}
    />
  );
}

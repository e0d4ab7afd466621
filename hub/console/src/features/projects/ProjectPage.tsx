import { Button, Menu } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useBlocker, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import type { AppProject } from "../../api/types";
import { api, Problem } from "../../client";
import { useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { CopyButton } from "../../ui/CopyButton";
import { Icon } from "../../ui/Icon";
import layout from "../../ui/layout.module.css";
import { Page } from "../../ui/Page";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { WithSheet } from "../../ui/SideSheet";
import { cli } from "../../ui/shell";
import { ErrorView, LoadingView } from "../../ui/states";
import { TabBar, TabCount, tabClass } from "../../ui/TabBar";
import { toYAML } from "../../ui/yaml";
import { Overview } from "./Overview";
import { previewQuery, projectQuery } from "./queries";
import { RoleTokens } from "./RoleTokens";
import { RuleTableView } from "./RuleTableView";
import { kinds, roles, type Spec } from "./rules";
import { ImpactList, manifest, SaveDialog } from "./SaveDialog";
import { Simulator } from "./Simulator";
import { projectTabs } from "./tabs";

const route = getRouteApi(paths.project);

/** A project: its rules as tables, with what each matches, changed as a draft that is looked at before it is stored. */
export function ProjectPage() {
  const { project: name } = route.useParams();
  // Another project has no draft of this one.
  return <ProjectOf key={name} name={name} />;
}

function ProjectOf({ name }: { name: string }) {
  const t = useT();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const go = useNavigate();
  const project = useQuery(projectQuery(name));
  /** What is changed, and the version that it is a change of. */
  const [draft, setDraft] = useState<{ spec: Spec; base: AppProject; etag: string | undefined }>();
  const [dialog, setDialog] = useState<"save" | "show" | "delete">();
  const stored = project.data?.value;
  const current = stored === undefined ? undefined : draft === undefined ? stored : { ...stored, spec: draft.spec };
  const preview = useQuery({
    ...previewQuery(current ?? { apiVersion: "", kind: "", metadata: { name }, spec: {} }),
    enabled: current !== undefined,
  });
  const denied = preview.isError && Problem.of(preview.error).isDenied;
  const leaving = useBlocker({
    shouldBlockFn: ({ current, next }) => draft !== undefined && current.pathname !== next.pathname,
    enableBeforeUnload: () => draft !== undefined,
    withResolver: true,
  });
  const tab = projectTabs.find((x) => x.id === search.tab) ?? projectTabs[0];
  const change = (spec: Spec) => {
    if (stored === undefined) return;
    const base = draft?.base ?? stored;
    if (toYAML(spec) === toYAML(base.spec)) setDraft(undefined);
    else setDraft({ spec, base, etag: draft?.etag ?? project.data?.etag });
  };
  // Whoever may not change it is told so by the preview; another problem of it is one of the draft.
  const edit = denied || (preview.data === undefined && !preview.isError) ? undefined : change;
  const overtaken = draft !== undefined && project.data?.etag !== draft.etag;
  const role = tab?.id === "roles" ? search.role : undefined;
  return (
    <Page
      title={plainLine(name)}
      heading={<MiddleTruncate text={name} most={60} />}
      crumbs={
        <Link to={paths.projects} search={{ project: search.project }}>
          {t("projects.title")}
        </Link>
      }
      status={stored?.spec.description && <PlainText text={stored.spec.description} lines={2} />}
      actions={
        stored !== undefined && (
          <>
            <Button
              variant="default"
              component={Link}
              to={paths.applications}
              search={{ project: search.project, q: `project:"${name}"` } as never}
            >
              {t("projects.applications")}
            </Button>
            <CopyButton value={toYAML(manifest(stored))} label={t("projects.copyYAML")} />
            {edit !== undefined && (
              <Menu position="bottom-end">
                <Menu.Target>
                  <Button variant="default" aria-label={t("projects.more")} px={8}>
                    <Icon name="more" />
                  </Button>
                </Menu.Target>
                <Menu.Dropdown>
                  <Menu.Item
                    color="red"
                    leftSection={<Icon name="trash" size={14} />}
                    disabled={name === "default"}
                    onClick={() => setDialog("delete")}
                  >
                    {t("projects.delete")}
                  </Menu.Item>
                </Menu.Dropdown>
              </Menu>
            )}
          </>
        )
      }
    >
      <TabBar label={t("projects.tabs")}>
        {projectTabs.map((x) => (
          <Link
            key={x.id}
            to={paths.project}
            params={{ project: name }}
            search={(old) => ({ ...old, tab: x.id === "overview" ? undefined : x.id, role: undefined })}
            className={tabClass}
            activeOptions={{ includeSearch: true, explicitUndefined: true }}
            aria-current={x === tab ? "page" : undefined}
          >
            {t(x.title)}
            <TabCount n={current && x.tables.reduce((sum, table) => sum + table.read(current.spec).length, 0)} />
          </Link>
        ))}
      </TabBar>
      {project.isPending ? (
        <LoadingView />
      ) : current === undefined || stored === undefined ? (
        <ErrorView error={project.error} onRetry={() => void project.refetch()} />
      ) : (
        <>
          {draft !== undefined && (
            <div className={layout.note} data-tone="draft" role="status">
              <span className={layout.grow}>
                <strong>{t("projects.draft")}</strong>{" "}
                {preview.isError ? (
                  <span className={layout.bad}>
                    <PlainText text={[problemText(preview.error)].join(" ")} lines={3} />
                  </span>
                ) : preview.isFetching || preview.data === undefined ? (
                  t("projects.draft.counting")
                ) : preview.data.invalidCount > 0 ? (
                  <span className={layout.bad}>
                    {t("projects.impact.invalid", { n: preview.data.invalidCount })}:{" "}
                    {plainLine(
                      preview.data.invalid
                        .slice(0, 3)
                        .map((a) => a.name)
                        .join(", "),
                    )}
                    {preview.data.invalidCount > 3 && " …"}
                  </span>
                ) : (
                  t("projects.impact.none", { n: preview.data.applications })
                )}
                {preview.data !== undefined && !preview.isFetching && preview.data.widened.length > 0 && (
                  <> {t("projects.draft.widened", { n: preview.data.widened.length })}</>
                )}
                {overtaken && <div className={layout.bad}>{t("projects.draft.overtaken")}</div>}
              </span>
              <span className={layout.buttons}>
                <Button variant="default" onClick={() => setDialog("show")} disabled={preview.data === undefined}>
                  {t("projects.draft.show")}
                </Button>
                <Button variant="default" onClick={() => setDraft(undefined)}>
                  {t("projects.draft.discard")}
                </Button>
                <Button
                  onClick={() => setDialog("save")}
                  disabled={preview.data === undefined || preview.isFetching || preview.isError}
                >
                  {t("projects.draft.save")}
                </Button>
              </span>
            </div>
          )}
          {denied && tab?.id !== "simulator" && (
            <p className={layout.note}>
              <Icon name="lock" size={14} />
              <span className={layout.grow}>{t("projects.readOnly")}</span>
            </p>
          )}
          <WithSheet
            sheet={
              role !== undefined && (
                <RoleTokens
                  project={name}
                  role={role}
                  onClose={() => void navigate({ search: (old) => ({ ...old, role: undefined }) })}
                />
              )
            }
          >
            {tab?.id === "simulator" ? (
              <Simulator project={name} />
            ) : tab?.id === "overview" || tab === undefined ? (
              <Overview project={current} onChange={edit} preview={preview.data} />
            ) : (
              tab.tables.map((table) => (
                <RuleTableView
                  key={table.id}
                  table={table}
                  spec={current.spec}
                  // Counts of another draft are about rules at other places.
                  // While they are asked for their column is there, and nothing moves when they come.
                  counts={
                    denied ? undefined : preview.isPlaceholderData || preview.isLoading ? [] : preview.data?.rules
                  }
                  onChange={edit}
                  note={table === kinds && <NamespacedKinds spec={current.spec} onChange={edit} />}
                  actions={
                    table === roles && edit !== undefined
                      ? (r) =>
                          stored.spec.roles?.some((x) => x.name === r.values.name) && (
                            <Button
                              variant="subtle"
                              component={Link}
                              to="."
                              search={((old: object) => ({ ...old, role: String(r.values.name) })) as never}
                            >
                              {t("projects.tokens")}
                            </Button>
                          )
                      : undefined
                  }
                />
              ))
            )}
          </WithSheet>
          {dialog === "save" && draft !== undefined && preview.data !== undefined && (
            <SaveDialog
              before={draft.base}
              after={current}
              etag={draft.etag}
              preview={preview.data}
              onSaved={() => setDraft(undefined)}
              onClose={() => setDialog(undefined)}
            />
          )}
          {dialog === "show" && preview.data !== undefined && (
            <ConfirmDialog
              title={t("projects.draft.title", { name: plainLine(name) })}
              action={t("projects.draft.discard")}
              onConfirm={async () => setDraft(undefined)}
              onClose={() => setDialog(undefined)}
            >
              <ImpactList preview={preview.data} />
            </ConfirmDialog>
          )}
          {dialog === "delete" && (
            <ConfirmDialog
              title={t("projects.delete.title", { name: plainLine(name) })}
              action={t("projects.delete")}
              type={name}
              cli={cli("hawser", "project", "delete", name)}
              onConfirm={async () => {
                await api.deleteProject(name, { ifMatch: project.data?.etag });
                setDraft(undefined);
                void go({ to: paths.projects, search: { project: search.project }, ignoreBlocker: true });
              }}
              onClose={() => setDialog(undefined)}
            >
              {t("projects.delete.what")}
            </ConfirmDialog>
          )}
          {leaving.status === "blocked" && (
            <ConfirmDialog
              title={t("projects.leave.title")}
              action={t("projects.leave")}
              onConfirm={async () => leaving.proceed()}
              onClose={() => leaving.reset()}
            >
              {t("projects.leave.what")}
            </ConfirmDialog>
          )}
        </>
      )}
    </Page>
  );
}

function problemText(e: unknown): string {
  const p = Problem.of(e);
  return [p.message, p.fix, p.id].filter(Boolean).join(" · ");
}

/** Whether the list of namespaced kinds is one of what is allowed, or is not there. */
function NamespacedKinds({ spec, onChange }: { spec: Spec; onChange?: (s: Spec) => void }) {
  const t = useT();
  const listed = spec.namespaceResourceWhitelist;
  return (
    <p className={layout.note} data-tone={listed?.length === 0 ? "warning" : undefined}>
      <span className={layout.grow}>
        {listed === undefined
          ? t("projects.kinds.all")
          : listed.length === 0
            ? t("projects.kinds.nothing")
            : t("projects.kinds.listed")}
      </span>
      {onChange !== undefined && (
        <Button
          variant="default"
          onClick={() => onChange({ ...spec, namespaceResourceWhitelist: listed === undefined ? [] : undefined })}
        >
          {t(listed === undefined ? "projects.kinds.restrict" : "projects.kinds.allowAll")}
        </Button>
      )}
    </p>
  );
}

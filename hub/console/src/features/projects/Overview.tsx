import { Button, Modal, NumberInput, Switch, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import type { AppProject, ProjectLimits, ProjectPreview } from "../../api/types";
import { useFormat, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { Facts } from "../../ui/Facts";
import layout from "../../ui/layout.module.css";
import { PlainTable } from "../../ui/PlainTable";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { ErrorView, LoadingView } from "../../ui/states";
import { usageQuery } from "./queries";
import type { Spec } from "./rules";
import { formatSelector } from "./selector";

const route = getRouteApi(paths.project);

/** What a project is for, how much of its limits is used, and where. */
export function Overview({
  project,
  preview,
  onChange,
}: {
  project: AppProject;
  preview: ProjectPreview | undefined;
  onChange?: (s: Spec) => void;
}) {
  const t = useT();
  const format = useFormat();
  const search = route.useSearch();
  const usage = useQuery(usageQuery(project.metadata.name));
  const [open, setOpen] = useState(false);
  const { spec } = project;
  const of = (n: number, limit: number | undefined) =>
    limit === undefined
      ? format.number(n)
      : t("projects.usage.of", { n: format.number(n), limit: format.number(limit) });
  return (
    <>
      <div className={layout.cards}>
        <section className={layout.card} aria-label={t("projects.details")}>
          <div className={layout.cardHead}>
            <h2>{t("projects.details")}</h2>
            {onChange !== undefined && (
              <Button variant="subtle" onClick={() => setOpen(true)}>
                {t("projects.details.edit")}
              </Button>
            )}
          </div>
          <Facts
            facts={[
              {
                name: t("projects.description"),
                value: spec.description ? <PlainText text={spec.description} lines={6} /> : "–",
              },
              {
                name: t("projects.scoped"),
                value: t(spec.permitOnlyProjectScopedClusters ? "projects.scoped.only" : "projects.scoped.all"),
              },
              {
                name: t("projects.orphans"),
                value:
                  spec.orphanedResources === undefined
                    ? t("projects.orphans.off")
                    : t(spec.orphanedResources.warn === false ? "projects.orphans.watch" : "projects.orphans.warn"),
              },
              ...(spec.inheritedBy === undefined
                ? []
                : [
                    {
                      name: t("projects.global"),
                      value: <PlainText text={formatSelector(spec.inheritedBy) || t("projects.global.all")} />,
                    },
                  ]),
              ...Object.entries(project.metadata.labels ?? {}).map(([k, v]) => ({
                name: k,
                value: <PlainText text={v} />,
              })),
            ]}
          />
        </section>
        <section className={layout.card} aria-label={t("projects.usage")}>
          <h2>{t("projects.usage")}</h2>
          {usage.isPending ? (
            <LoadingView rows={3} />
          ) : usage.isError ? (
            <ErrorView error={usage.error} onRetry={() => void usage.refetch()} />
          ) : (
            <Facts
              facts={[
                { name: t("projects.applications"), value: of(usage.data.applications, spec.limits?.maxApplications) },
                { name: t("projects.objects"), value: of(usage.data.objects, spec.limits?.maxObjects) },
                {
                  name: t("projects.largest"),
                  value: usage.data.largest ? (
                    <>
                      <Link
                        to={paths.application}
                        params={{ application: usage.data.largest }}
                        search={{ project: search.project }}
                      >
                        <MiddleTruncate text={usage.data.largest} />
                      </Link>{" "}
                      ({of(usage.data.largestObjects ?? 0, spec.limits?.maxObjectsPerApplication)})
                    </>
                  ) : (
                    "–"
                  ),
                },
                {
                  name: t("projects.inherits"),
                  value:
                    (usage.data.inherits ?? []).length === 0
                      ? "–"
                      : (usage.data.inherits ?? []).map((p) => (
                          <Link
                            key={p}
                            to={paths.project}
                            params={{ project: p }}
                            search={{ project: search.project }}
                            style={{ marginRight: 8 }}
                          >
                            <MiddleTruncate text={p} />
                          </Link>
                        )),
                },
              ]}
            />
          )}
        </section>
        {preview !== undefined && preview.warnings.length > 0 && (
          <section className={layout.card} aria-label={t("projects.impact.warnings")}>
            <h2>{t("projects.impact.warnings")}</h2>
            <div className={layout.cardBody}>
              <ul className={layout.list}>
                {preview.warnings.map((w) => (
                  <li key={w}>
                    <PlainText text={w} lines={3} />
                  </li>
                ))}
              </ul>
            </div>
          </section>
        )}
      </div>
      {usage.data !== undefined && usage.data.clusters.length > 0 && (
        <section aria-label={t("projects.clusters")}>
          <div className={layout.head}>
            <h2>{t("projects.clusters")}</h2>
          </div>
          <PlainTable
            label={t("projects.clusters")}
            rows={usage.data.clusters.slice(0, 200)}
            rowKey={(r) => r.cluster}
            columns={[
              {
                key: "cluster",
                title: t("projects.cluster"),
                cell: (r) => (
                  <Link to={paths.cluster} params={{ cluster: r.cluster }} search={(old) => ({ project: old.project })}>
                    <MiddleTruncate text={r.cluster} most={60} />
                  </Link>
                ),
              },
              {
                key: "applications",
                title: t("projects.applications"),
                number: true,
                cell: (r) => (
                  <Link
                    to={paths.applications}
                    search={{
                      project: search.project,
                      q: `project:"${project.metadata.name}" cluster:"${r.cluster}"`,
                    }}
                  >
                    {format.number(r.applications)}
                  </Link>
                ),
              },
              { key: "objects", title: t("projects.objects"), number: true, cell: (r) => format.number(r.objects) },
            ]}
          />
          {usage.data.clusters.length > 200 && (
            <p className={layout.note}>{t("projects.clusters.more", { n: usage.data.clusters.length - 200 })}</p>
          )}
        </section>
      )}
      {open && onChange !== undefined && <DetailsDialog spec={spec} onDone={onChange} onClose={() => setOpen(false)} />}
    </>
  );
}

function DetailsDialog({ spec, onDone, onClose }: { spec: Spec; onDone: (s: Spec) => void; onClose: () => void }) {
  const t = useT();
  const [description, setDescription] = useState(spec.description ?? "");
  const [limits, setLimits] = useState<ProjectLimits>(spec.limits ?? {});
  const [scoped, setScoped] = useState(spec.permitOnlyProjectScopedClusters === true);
  const [orphans, setOrphans] = useState(spec.orphanedResources !== undefined);
  const [warn, setWarn] = useState(spec.orphanedResources?.warn !== false);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    const set = Object.values(limits).some((v) => v !== undefined);
    onDone({
      ...spec,
      description: description.trim() === "" ? undefined : description.trim(),
      limits: set ? limits : undefined,
      permitOnlyProjectScopedClusters: scoped || undefined,
      orphanedResources: orphans ? { ...spec.orphanedResources, warn } : undefined,
    });
    onClose();
  };
  const limit = (key: keyof ProjectLimits) => (
    <NumberInput
      label={t(`projects.limits.${key}`)}
      value={limits[key] ?? ""}
      onChange={(v) => setLimits((old) => ({ ...old, [key]: v === "" ? undefined : Number(v) }))}
      min={0}
      allowDecimal={false}
      placeholder={t("projects.limits.none")}
    />
  );
  return (
    <Modal
      opened
      onClose={onClose}
      title={t("projects.details")}
      size="md"
      closeButtonProps={{ "aria-label": t("ui.close") }}
    >
      <form onSubmit={submit} className={layout.form}>
        <Textarea
          label={t("projects.description")}
          value={description}
          onChange={(e) => setDescription(e.currentTarget.value)}
          autosize
          minRows={2}
          maxRows={6}
          data-autofocus
        />
        <div className={layout.pair}>
          {limit("maxApplications")}
          {limit("maxObjects")}
          {limit("maxObjectsPerApplication")}
        </div>
        <Switch
          label={t("projects.scoped.switch")}
          checked={scoped}
          onChange={(e) => setScoped(e.currentTarget.checked)}
        />
        <Switch
          label={t("projects.orphans.switch")}
          checked={orphans}
          onChange={(e) => setOrphans(e.currentTarget.checked)}
        />
        {orphans && (
          <Switch
            label={t("projects.orphans.switchWarn")}
            checked={warn}
            onChange={(e) => setWarn(e.currentTarget.checked)}
          />
        )}
        <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={onClose}>
            {t("ui.cancel")}
          </Button>
          <Button type="submit">{t("projects.rule.done")}</Button>
        </div>
      </form>
    </Modal>
  );
}

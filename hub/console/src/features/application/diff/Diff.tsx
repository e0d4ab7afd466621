import { Button, Checkbox, SegmentedControl } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import type { AppView, FieldDifference, IgnoreDifferences, ResourceStatus } from "../../../api/types";
import { api, idempotencyKey, Problem } from "../../../client";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { syncState } from "../../../ui/applicationState";
import { CliLine } from "../../../ui/CliLine";
import { ConfirmDialog } from "../../../ui/ConfirmDialog";
import { Icon } from "../../../ui/Icon";
import { MergeView } from "../../../ui/MergeView";
import { MiddleTruncate, PlainText } from "../../../ui/PlainText";
import { plainLine } from "../../../ui/plain";
import { RelativeTime } from "../../../ui/RelativeTime";
import { StatusText } from "../../../ui/StatusIcon";
import { cli } from "../../../ui/shell";
import { EmptyView, ErrorView, LoadingView, PartialBanner } from "../../../ui/states";
import { toast } from "../../../ui/toast";
import { toYAML } from "../../../ui/yaml";
import { isStale } from "../facets";
import { objectText } from "../object";
import { applicationQuery } from "../queries";
import { onlyOf } from "../sync/plan";
import classes from "./Diff.module.css";
import { find, ignorePatch, ignoreRule, sides } from "./fields";
import { desiredQuery, liveQuery } from "./queries";

const route = getRouteApi(paths.application);

/** So many are open at first; the others open on a click. */
const openAtFirst = 3;
/** So many are drawn before somebody asks for more. */
const drawnAtFirst = 100;

/** Objects that are not as the sources say. */
export function differing(app: AppView): ResourceStatus[] {
  return (app.resources ?? []).filter((r) => !r.hook && (r.sync.status === "OutOfSync" || r.requiresPruning));
}

/** How the cluster differs from the sources: every object that does on one page, field by field. */
export default function Diff({ name }: { name: string }) {
  const t = useT();
  const navigate = route.useNavigate();
  const search = route.useSearch();
  const app = useQuery(applicationQuery(name)).data;
  const narrow = useMediaQuery("(max-width: 1100px)");
  const [all, setAll] = useState(false);
  if (app === undefined) return null;
  const objects = differing(app);
  const stale = isStale(app.freshness);
  const unified = search.diff === "unified" || narrow === true;
  const chosen = onlyOf(search.only) ?? new Set<string>();
  const choose = (id: string, on: boolean) => {
    const next = new Set(chosen);
    if (on) next.add(id);
    else next.delete(id);
    void navigate({
      search: (old) => ({ ...old, only: next.size === 0 ? undefined : [...next].join(",") }),
      replace: true,
    });
  };
  if (objects.length === 0)
    return app.sync.status === "Unknown" ? (
      <EmptyView title={t("diff.unknown.title")}>{t("diff.unknown")}</EmptyView>
    ) : (
      <EmptyView
        title={t(stale ? "diff.none.stale" : "diff.none.title")}
        actions={<CliLine command={cli("hawser", "app", "diff", name)} />}
      >
        {t("diff.none")}
      </EmptyView>
    );
  const drawn = all ? objects : objects.slice(0, drawnAtFirst);
  return (
    <div className={classes.page}>
      <div className={classes.bar}>
        <strong>{t("diff.count", { n: objects.length })}</strong>
        {narrow !== true && (
          <SegmentedControl
            aria-label={t("diff.layout")}
            value={unified ? "unified" : "split"}
            onChange={(v) =>
              void navigate({
                search: (old) => ({ ...old, diff: v === "unified" ? ("unified" as const) : undefined }),
                replace: true,
              })
            }
            data={[
              { value: "split", label: t("diff.split") },
              { value: "unified", label: t("diff.unified") },
            ]}
          />
        )}
        <Checkbox
          label={t("diff.whole")}
          checked={search.whole === "yes"}
          onChange={(e) => {
            const whole = e.currentTarget.checked ? ("yes" as const) : undefined;
            void navigate({ search: (old) => ({ ...old, whole }), replace: true });
          }}
        />
        <span className={classes.grow} />
        <Button
          size="compact-sm"
          disabled={app.deleting}
          onClick={() => void navigate({ search: (old) => ({ ...old, panel: "sync" as const, op: undefined }) })}
        >
          {chosen.size === 0 ? t("sync.title") : t("diff.planChosen", { n: chosen.size })}
        </Button>
      </div>
      {drawn.map((r, i) => (
        <ObjectDiff
          key={objectText(r)}
          app={app}
          resource={r}
          unified={unified}
          whole={search.whole === "yes"}
          opened={search.sel === undefined ? i < openAtFirst : search.sel === objectText(r)}
          isSelected={search.sel === objectText(r)}
          chosen={chosen.has(objectText(r))}
          onChoose={choose}
        />
      ))}
      {drawn.length < objects.length && (
        <div className={classes.more}>
          <Button variant="default" onClick={() => setAll(true)}>
            {t("diff.more", { n: objects.length - drawn.length })}
          </Button>
        </div>
      )}
      <div className={classes.cli}>
        <CliLine command={cli("hawser", "app", "diff", name)} />
      </div>
    </div>
  );
}

function ObjectDiff({
  app,
  resource,
  unified,
  whole,
  opened,
  isSelected,
  chosen,
  onChoose,
}: {
  app: AppView;
  resource: ResourceStatus;
  unified: boolean;
  whole: boolean;
  opened: boolean;
  isSelected: boolean;
  chosen: boolean;
  onChoose: (id: string, on: boolean) => void;
}) {
  const t = useT();
  const [open, setOpen] = useState(opened);
  const place = useRef<HTMLElement>(null);
  const id = objectText(resource);
  useEffect(() => {
    if (isSelected) place.current?.scrollIntoView({ block: "start" });
  }, [isSelected]);
  const differences = resource.differences ?? [];
  return (
    <section ref={place} className={classes.object} aria-label={plainLine(`${resource.kind}/${resource.name}`)}>
      <header className={classes.head}>
        <Checkbox
          aria-label={t("diff.choose", { name: plainLine(`${resource.kind}/${resource.name}`) })}
          checked={chosen}
          onChange={(e) => onChoose(id, e.currentTarget.checked)}
        />
        <button type="button" className={classes.toggle} aria-expanded={open} onClick={() => setOpen(!open)}>
          <span className={classes.chevron} data-open={open || undefined}>
            <Icon name="right" size={12} />
          </span>
          <span className={classes.kind}>{resource.kind}</span>
          <MiddleTruncate text={resource.name} most={60} />
          {resource.namespace !== undefined && (
            <span className={classes.dim}>
              <MiddleTruncate text={resource.namespace} most={32} />
            </span>
          )}
        </button>
        <StatusText
          state={syncState(resource.sync.status, resource.sync.reason)}
          asOf={isStale(app.freshness) && app.observedAt !== undefined && <RelativeTime at={app.observedAt} short />}
        >
          {resource.requiresPruning ? t("application.drift.prune") : undefined}
        </StatusText>
        {differences.length > 0 && (
          <span className={classes.dim}>
            {t("diff.fields", { n: differences.length, more: differences.length >= 20 ? "yes" : "no" })}
          </span>
        )}
      </header>
      {open && (
        <>
          {differences.length > 0 && <Fields app={app} resource={resource} differences={differences} />}
          <Texts name={app.name} resource={resource} differences={differences} unified={unified} whole={whole} />
        </>
      )}
    </section>
  );
}

/** Fields that differ, who has set them, and the way to ignore one. */
function Fields({
  app,
  resource,
  differences,
}: {
  app: AppView;
  resource: ResourceStatus;
  differences: readonly FieldDifference[];
}) {
  const t = useT();
  const [ignoring, setIgnoring] = useState<{ path: string; rule: IgnoreDifferences }>();
  return (
    <>
      <ul className={classes.fields} aria-label={t("diff.fieldsOf")}>
        {differences.map((d) => {
          const rule = ignoreRule(resource, d.path);
          return (
            <li key={d.path} className={classes.field}>
              <code className={classes.path}>
                <PlainText text={d.path} lines={2} />
              </code>
              <span className={classes.values}>
                <span className="visually-hidden">{t("diff.live")}</span>
                <del>
                  <PlainText text={d.live ?? t("diff.absent")} lines={2} mono />
                </del>
                <span aria-hidden="true">→</span>
                <span className="visually-hidden">{t("diff.desired")}</span>
                <ins>
                  <PlainText text={d.desired ?? t("diff.absent")} lines={2} mono />
                </ins>
              </span>
              <span className={classes.owner}>
                {d.manager !== undefined && d.manager !== "" && (
                  <>
                    {t("application.drift.by")} <PlainText text={d.manager} />{" "}
                  </>
                )}
                {d.changedAt !== undefined && <RelativeTime at={d.changedAt} />}
              </span>
              {rule !== undefined && !resource.requiresPruning && (
                <Button
                  variant="subtle"
                  size="compact-xs"
                  onClick={() => setIgnoring({ path: d.path, rule })}
                  aria-label={t("diff.ignore.of", { path: plainLine(d.path) })}
                >
                  {t("diff.ignore")}
                </Button>
              )}
            </li>
          );
        })}
      </ul>
      {ignoring !== undefined && (
        <IgnoreDialog app={app} path={ignoring.path} rule={ignoring.rule} onClose={() => setIgnoring(undefined)} />
      )}
    </>
  );
}

/** Adds a rule to the application that leaves a field out of comparisons: a change of the application, with its rights. */
function IgnoreDialog({
  app,
  path,
  rule,
  onClose,
}: {
  app: AppView;
  path: string;
  rule: IgnoreDifferences;
  onClose: () => void;
}) {
  const t = useT();
  const client = useQueryClient();
  const has = (app.application?.spec.ignoreDifferences ?? []).length > 0;
  const ignore = async () => {
    // Of what is stored now, so that nobody else's change is lost.
    const { value, etag } = await api.getApplication(app.name);
    const stored = value.application;
    if (stored === undefined) throw new Problem({ code: "answer_invalid" });
    await api.putApplication(
      app.name,
      {
        ...stored,
        status: undefined,
        spec: { ...stored.spec, ignoreDifferences: [...(stored.spec.ignoreDifferences ?? []), rule] },
      },
      { ifMatch: etag, idempotencyKey: idempotencyKey() },
    );
    toast(t("diff.ignored"), path);
    void client.invalidateQueries({ queryKey: applicationQuery(app.name).queryKey });
  };
  return (
    <ConfirmDialog
      title={t("diff.ignore.title")}
      action={t("diff.ignore.go")}
      dangerous={false}
      cli={cli("hawser", "app", "patch", app.name, "--patch", ignorePatch(rule, has))}
      onConfirm={ignore}
      onClose={onClose}
    >
      <p>{t("diff.ignore.body", { name: plainLine(`${rule.kind}/${rule.name ?? ""}`), app: plainLine(app.name) })}</p>
      <pre className={classes.rule}>{plainRule(rule)}</pre>
    </ConfirmDialog>
  );
}

function plainRule(rule: IgnoreDifferences): string {
  return toYAML({ ignoreDifferences: [rule] })
    .split("\n")
    .map(plainLine)
    .join("\n");
}

/** An object as it is and as it should be, values of Secrets masked. */
function Texts({
  name,
  resource,
  differences,
  unified,
  whole,
}: {
  name: string;
  resource: ResourceStatus;
  differences: readonly FieldDifference[];
  unified: boolean;
  whole: boolean;
}) {
  const t = useT();
  const missing = resource.health.status === "Missing";
  const desired = useQuery(desiredQuery(name));
  const live = useQuery({ ...liveQuery(name, resource), enabled: !missing });
  const marks = [t("diff.mark.desired"), t("diff.mark.live")] as const;
  const [markDesired, markLive] = marks;
  const texts = useMemo(() => {
    if (desired.data === undefined || (!missing && live.data === undefined)) return undefined;
    const wanted = resource.requiresPruning ? undefined : find(desired.data.items, resource);
    const got = sides(wanted, missing ? undefined : live.data, differences, {
      whole,
      marks: [markDesired, markLive],
    });
    return {
      desired: got.desired === undefined ? "" : toYAML(got.desired),
      live: got.live === undefined ? "" : toYAML(got.live),
    };
  }, [desired.data, live.data, missing, resource, differences, whole, markDesired, markLive]);
  const error = desired.error ?? (missing ? null : live.error);
  if (error !== null)
    return (
      <ErrorView
        error={error}
        onRetry={() => {
          void desired.refetch();
          if (!missing) void live.refetch();
        }}
      />
    );
  if (texts === undefined) return <LoadingView rows={5} />;
  if (texts.desired === texts.live) return <PartialBanner>{t("diff.same")}</PartialBanner>;
  return (
    <>
      <div className={classes.titles} data-unified={unified || undefined}>
        <span>{t(missing ? "diff.live.missing" : "diff.live")}</span>
        <span>{t(resource.requiresPruning ? "diff.desired.none" : "diff.desired")}</span>
      </div>
      <MergeView
        before={texts.live}
        after={texts.desired}
        labels={[t("diff.live"), t("diff.desired")]}
        unified={unified}
      />
    </>
  );
}

import { Button, Menu } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import type { Cluster } from "../../api/types";
import { api, Problem } from "../../client";
import { useFormat, useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { healthState, syncState } from "../../ui/applicationState";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { ConnectionText, connectionOf } from "../../ui/Connection";
import { CopyButton } from "../../ui/CopyButton";
import { Facts } from "../../ui/Facts";
import { Icon } from "../../ui/Icon";
import { Page } from "../../ui/Page";
import { PlainTable } from "../../ui/PlainTable";
import { MiddleTruncate, PlainText } from "../../ui/PlainText";
import { plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { WithSheet } from "../../ui/SideSheet";
import { StatusText } from "../../ui/StatusIcon";
import { cli } from "../../ui/shell";
import { EmptyView, ErrorView, LoadingView, PartialBanner } from "../../ui/states";
import { quotedTerm } from "../../ui/terms";
import classes from "./Clusters.module.css";
import { AliasesSheet, LabelsSheet } from "./EditSheets";
import { Line, millis, Queued } from "./Line";
import { applicationsOnQuery, clusterQuery, hubQuery, openOperationsQuery } from "./queries";
import { Why } from "./Why";

const route = getRouteApi(paths.cluster);

/** One cluster: its agent, what runs there, and what can be done about it. */
export function ClusterPage() {
  const t = useT();
  const { cluster: name } = route.useParams();
  const { project, edit } = route.useSearch();
  const navigate = route.useNavigate();
  const answer = useQuery(clusterQuery(name));
  const crumbs = (
    <Link to={paths.clusters} search={{ project }}>
      {t("clusters.title")}
    </Link>
  );
  const title = plainLine(name.slice(0, 200));
  if (answer.data === undefined)
    return (
      <Page title={title} crumbs={crumbs}>
        {answer.isPending ? (
          <LoadingView rows={10} />
        ) : (
          <ErrorView error={answer.error} onRetry={() => void answer.refetch()} />
        )}
      </Page>
    );
  const cluster = answer.data.value;
  const state = connectionOf(cluster);
  const close = () => void navigate({ search: (old) => ({ ...old, edit: undefined }) });
  const problem = answer.isError ? Problem.of(answer.error) : undefined;
  return (
    <Page
      title={title}
      heading={
        <>
          <MiddleTruncate text={cluster.name} most={60} /> <CopyButton value={cluster.name} name={t("clusters.name")} />
        </>
      }
      crumbs={crumbs}
      status={
        <>
          <ConnectionText state={state} lastSeen={cluster.lastSeen} />
          <span className={classes.chips}>
            {Object.entries(cluster.labels ?? {}).map(([k, v]) => (
              <span key={k} className={classes.chip} title={plainLine(`${k}=${v}`)}>
                {plainLine(`${k}=${v}`)}
              </span>
            ))}
          </span>
        </>
      }
      actions={<Actions cluster={cluster} />}
    >
      <WithSheet
        sheet={
          edit === "labels" ? (
            <LabelsSheet key={cluster.id} cluster={cluster} etag={answer.data.etag} onClose={close} />
          ) : edit === "aliases" ? (
            <AliasesSheet key={cluster.id} cluster={cluster} etag={answer.data.etag} onClose={close} />
          ) : undefined
        }
      >
        {problem !== undefined && (
          <PartialBanner
            action={
              <Button size="compact-xs" variant="default" onClick={() => void answer.refetch()}>
                {t("ui.error.retry")}
              </Button>
            }
          >
            <PlainText text={problem.message} /> {problem.id || problem.code}
          </PartialBanner>
        )}
        <Why cluster={cluster} />
        <Cards cluster={cluster} />
        <Queued cluster={cluster} project={project} />
        <Waiting cluster={cluster} />
        <Applications cluster={cluster} project={project} />
        <Line cluster={cluster} />
        {(cluster.unknownApplications?.length ?? 0) > 0 && <Unknown cluster={cluster} />}
      </WithSheet>
    </Page>
  );
}

function Cards({ cluster }: { cluster: Cluster }) {
  const t = useT();
  const format = useFormat();
  const hub = useQuery(hubQuery);
  const stale = connectionOf(cluster) !== "connected" || undefined;
  const time = (at: string | undefined): ReactNode => (at === undefined ? "–" : <RelativeTime at={at} />);
  const text = (s: string | undefined): ReactNode => (s === undefined || s === "" ? "–" : <PlainText text={s} />);
  return (
    <div className={classes.cards}>
      <section className={classes.card} data-stale={stale} aria-labelledby="cluster-agent">
        <h2 id="cluster-agent">{t("clusters.card.agent")}</h2>
        <Facts
          facts={[
            {
              name: t("clusters.state"),
              value: <ConnectionText state={connectionOf(cluster)} lastSeen={cluster.lastSeen} />,
            },
            {
              name: t("clusters.agent"),
              value: (
                <>
                  {text(cluster.agentVersion)}
                  {hub.data !== undefined && (
                    <span className={classes.dim}>
                      {t("clusters.hubVersion", { version: plainLine(hub.data.version) })}
                    </span>
                  )}
                </>
              ),
            },
            { name: t("clusters.seen"), value: time(cluster.lastSeen) },
            {
              name: t("clusters.roundTrip"),
              value:
                cluster.roundTripMs === undefined
                  ? "–"
                  : t("clusters.roundTrip.ms", { ms: format.number(millis(cluster.roundTripMs)) }),
            },
            { name: t("clusters.enrolled"), value: time(cluster.enrolledAt) },
            {
              name: t("clusters.certificate"),
              value:
                cluster.certificateNotAfter === undefined ? (
                  "–"
                ) : (
                  <>
                    {t("clusters.certificate.ends")} <RelativeTime at={cluster.certificateNotAfter} />
                  </>
                ),
            },
            {
              name: t("clusters.kubectl"),
              value: cluster.kubectl === true ? t("clusters.kubectl.on") : t("clusters.kubectl.off"),
            },
          ]}
        />
      </section>
      <section className={classes.card} data-stale={stale} aria-labelledby="cluster-cluster">
        <h2 id="cluster-cluster">{t("clusters.card.cluster")}</h2>
        <Facts
          facts={[
            { name: t("clusters.version"), value: text(cluster.kubeVersion) },
            { name: t("clusters.nodes"), value: cluster.nodes === undefined ? "–" : format.number(cluster.nodes) },
            {
              name: t("clusters.namespaces"),
              value: cluster.namespaces === undefined ? "–" : format.number(cluster.namespaces),
            },
            {
              name: t("clusters.project"),
              value:
                cluster.project === undefined || cluster.project === ""
                  ? t("clusters.project.any")
                  : text(cluster.project),
            },
            {
              name: t("clusters.aliases"),
              value:
                (cluster.aliases?.length ?? 0) === 0
                  ? "–"
                  : cluster.aliases?.map((a) => <PlainText key={a} text={a} mono />),
            },
            {
              name: t("clusters.id"),
              value: (
                <>
                  <MiddleTruncate text={cluster.id} most={20} />
                  <CopyButton value={cluster.id} name={t("clusters.id")} />
                </>
              ),
            },
            ...((cluster.conditions?.length ?? 0) === 0
              ? []
              : [
                  {
                    name: t("clusters.conditions"),
                    value: cluster.conditions?.map((c) => <PlainText key={c} text={c} lines={3} />),
                  },
                ]),
          ]}
        />
      </section>
    </div>
  );
}

/** Operations that have not ended; while the cluster is away they wait for it. */
function Waiting({ cluster }: { cluster: Cluster }) {
  const t = useT();
  const open = useQuery(openOperationsQuery(cluster.name));
  if (open.data === undefined || open.data.items.length === 0) return null;
  return (
    <section className={classes.section} aria-labelledby="cluster-waiting">
      <h2 id="cluster-waiting">
        {cluster.connected ? t("clusters.running") : t("clusters.waiting")}
        <span>{t("clusters.count", { n: open.data.total })}</span>
      </h2>
      <PlainTable
        label={t("clusters.waiting")}
        rows={open.data.items}
        rowKey={(o) => o.id}
        columns={[
          {
            key: "app",
            title: t("clusters.application"),
            cell: (o) =>
              o.app === undefined ? (
                "–"
              ) : (
                <Link to={paths.application} params={{ application: o.app }}>
                  <MiddleTruncate text={o.app} />
                </Link>
              ),
          },
          { key: "kind", title: t("clusters.operation"), cell: (o) => <PlainText text={o.kind} /> },
          { key: "phase", title: t("clusters.phase"), cell: (o) => <PlainText text={o.phase} /> },
          { key: "by", title: t("clusters.by"), cell: (o) => <PlainText text={o.initiatedBy ?? ""} /> },
          {
            key: "age",
            title: t("clusters.since"),
            cell: (o) => (o.createdAt === undefined ? "–" : <RelativeTime at={o.createdAt} />),
          },
        ]}
      />
    </section>
  );
}

const healthWords: Record<string, string> = {
  healthy: "Healthy",
  degraded: "Degraded",
  progressing: "Progressing",
  suspended: "Suspended",
  missing: "Missing",
};

/** Applications on it by state, and the first of them, the worst first. */
function Applications({ cluster, project }: { cluster: Cluster; project: string | undefined }) {
  const t = useT();
  const format = useFormat();
  const list = useQuery(applicationsOnQuery(cluster.name, project));
  const here = quotedTerm("cluster", cluster.name);
  return (
    <section className={classes.section} aria-labelledby="cluster-apps">
      <h2 id="cluster-apps">
        {t("clusters.applications")}
        {list.data !== undefined && (
          <Link to={paths.applications} search={{ project, q: here }}>
            {t("clusters.applications.all", { n: list.data.total })}
          </Link>
        )}
      </h2>
      {list.isPending ? (
        <LoadingView rows={5} />
      ) : list.isError ? (
        <ErrorView error={list.error} onRetry={() => void list.refetch()} />
      ) : list.data.total === 0 ? (
        <EmptyView title={t("clusters.applications.none")}>
          <CliLine
            command={cli(
              "hawser",
              "app",
              "create",
              "NAME",
              "--repo",
              "URL",
              "--path",
              "DIR",
              "--dest-name",
              cluster.name,
            )}
          />
        </EmptyView>
      ) : (
        <div className={classes.card}>
          <div className={classes.states}>
            {Object.entries(list.data.facets?.health?.values ?? {})
              .sort(([, a], [, b]) => b - a)
              .map(([word, n]) => (
                <Link
                  key={word}
                  className={classes.stateLink}
                  to={paths.applications}
                  search={{ project, q: `${here} health:${word}` }}
                >
                  <StatusText state={healthState(healthWords[word] ?? "")}>
                    {t(`ui.state.${healthState(healthWords[word] ?? "")}`)} {format.number(n)}
                  </StatusText>
                </Link>
              ))}
          </div>
          <PlainTable
            label={t("clusters.applications")}
            rows={list.data.items}
            rowKey={(a) => a.uid}
            columns={[
              {
                key: "name",
                title: t("clusters.name"),
                cell: (a) => (
                  <Link to={paths.application} params={{ application: a.name }} search={{ project }}>
                    <MiddleTruncate text={a.name} />
                  </Link>
                ),
              },
              { key: "project", title: t("clusters.project"), cell: (a) => <PlainText text={a.project} /> },
              {
                key: "health",
                title: t("clusters.health"),
                cell: (a) => (
                  <StatusText
                    state={healthState(a.health.status)}
                    asOf={
                      (a.freshness === "stale" || a.freshness === "never") &&
                      (a.observedAt === undefined ? t("ui.never") : <RelativeTime at={a.observedAt} short />)
                    }
                  />
                ),
              },
              {
                key: "sync",
                title: t("clusters.sync"),
                cell: (a) => {
                  const s = syncState(a.sync.status, a.sync.reason);
                  return <StatusText state={s}>{s === "healthy" ? t("clusters.inSync") : undefined}</StatusText>;
                },
              },
              {
                key: "why",
                title: t("clusters.reason"),
                cell: (a) => <PlainText text={a.health.message ?? a.operation?.message ?? ""} />,
              },
            ]}
          />
        </div>
      )}
    </section>
  );
}

/** What the agent holds and the hub does not know, as after a restore. */
function Unknown({ cluster }: { cluster: Cluster }) {
  const t = useT();
  return (
    <section className={classes.section} aria-labelledby="cluster-unknown">
      <h2 id="cluster-unknown">
        {t("clusters.unknown")}
        <span>{t("clusters.unknown.text")}</span>
      </h2>
      <PlainTable
        label={t("clusters.unknown")}
        rows={cluster.unknownApplications ?? []}
        rowKey={(a) => a.uid}
        columns={[
          { key: "name", title: t("clusters.name"), cell: (a) => <MiddleTruncate text={a.name} /> },
          { key: "project", title: t("clusters.project"), cell: (a) => <PlainText text={a.project} /> },
        ]}
      />
    </section>
  );
}

function Actions({ cluster }: { cluster: Cluster }) {
  const t = useT();
  const client = useQueryClient();
  const go = useNavigate();
  const navigate = route.useNavigate();
  const { project } = route.useSearch();
  const [asking, setAsking] = useState<"revoke" | "delete" | "kubectl">();
  const read = () => client.invalidateQueries({ queryKey: ["clusters"] });
  const name = plainLine(cluster.name);
  return (
    <>
      <Button
        variant="default"
        onClick={() => void navigate({ search: (old) => ({ ...old, edit: "labels" }), replace: true })}
      >
        {t("clusters.labels.edit")}
      </Button>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button variant="default" aria-label={t("clusters.more")} px={8}>
            <Icon name="more" />
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => void navigate({ search: (old) => ({ ...old, edit: "aliases" }), replace: true })}>
            {t("clusters.aliases.edit")}
          </Menu.Item>
          <Menu.Item onClick={() => setAsking("kubectl")}>
            {cluster.kubectl === true ? t("clusters.kubectl.disable") : t("clusters.kubectl.enable")}
          </Menu.Item>
          <Menu.Item onClick={() => void go({ to: paths.enrol, search: { project, name: cluster.name } })}>
            {t("clusters.enrolAgain")}
          </Menu.Item>
          <Menu.Divider />
          {cluster.revoked !== true && (
            <Menu.Item color="red" onClick={() => setAsking("revoke")}>
              {t("clusters.revoke")}
            </Menu.Item>
          )}
          <Menu.Item color="red" onClick={() => setAsking("delete")}>
            {t("clusters.delete")}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {asking === "kubectl" && (
        <ConfirmDialog
          title={cluster.kubectl === true ? t("clusters.kubectl.disable") : t("clusters.kubectl.enable")}
          action={cluster.kubectl === true ? t("clusters.kubectl.disable") : t("clusters.kubectl.enable")}
          cli={cli("hawser", "cluster", "kubectl", cluster.name, cluster.kubectl === true ? "--disable" : "--enable")}
          dangerous={false}
          onConfirm={async () => {
            await api.setClusterKubectl(cluster.name, { enabled: cluster.kubectl !== true });
            await read();
          }}
          onClose={() => setAsking(undefined)}
        >
          <p>
            {cluster.kubectl === true
              ? t("clusters.kubectl.disableText", { name })
              : t("clusters.kubectl.enableText", { name })}
          </p>
        </ConfirmDialog>
      )}
      {asking === "revoke" && (
        <ConfirmDialog
          title={t("clusters.revoke.title", { name })}
          action={t("clusters.revoke")}
          type={cluster.name}
          cli={cli("hawser", "cluster", "revoke", cluster.name)}
          onConfirm={async () => {
            await api.revokeCluster(cluster.name);
            await read();
          }}
          onClose={() => setAsking(undefined)}
        >
          <p>{t("clusters.revoke.text", { n: cluster.applications })}</p>
        </ConfirmDialog>
      )}
      {asking === "delete" && (
        <ConfirmDialog
          title={t("clusters.delete.title", { name })}
          action={t("clusters.delete")}
          type={cluster.name}
          cli={cli("hawser", "cluster", "delete", cluster.name)}
          onConfirm={async () => {
            await api.deleteCluster(cluster.name);
            await client.invalidateQueries({ queryKey: ["clusters", "list"] });
            await go({ to: paths.clusters, search: { project } });
          }}
          onClose={() => setAsking(undefined)}
        >
          <p>{t("clusters.delete.text", { n: cluster.applications })}</p>
        </ConfirmDialog>
      )}
    </>
  );
}

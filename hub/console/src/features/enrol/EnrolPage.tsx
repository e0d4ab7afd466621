import { Button, NativeSelect, SegmentedControl, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import type { EnrolmentRefusal, IssuedEnrolmentToken } from "../../api/types";
import { api, idempotencyKey, Problem } from "../../client";
import { useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { CopyButton } from "../../ui/CopyButton";
import { Icon } from "../../ui/Icon";
import { Page } from "../../ui/Page";
import { PlainText } from "../../ui/PlainText";
import { plain, plainLine } from "../../ui/plain";
import { RelativeTime } from "../../ui/RelativeTime";
import { cli } from "../../ui/shell";
import { EmptyView, ErrorView, LoadingView } from "../../ui/states";
import classes from "./Enrol.module.css";
import { Preflight } from "./Preflight";
import { enrolledQuery, projectsQuery, tokenQuery } from "./queries";
import { egressTest, masked, quietAfter, type StepName, stepNames, stepsOf } from "./steps";

const route = getRouteApi(paths.enrol);

/** One command that brings a cluster in, and what the hub hears of it. */
export function EnrolPage() {
  const t = useT();
  const { project, token } = route.useSearch();
  const navigate = route.useNavigate();
  // The secret is nowhere but here: after a reload there is the checklist, and no command.
  const [issued, setIssued] = useState<IssuedEnrolmentToken>();
  const crumbs = (
    <Link to={paths.clusters} search={{ project }}>
      {t("clusters.title")}
    </Link>
  );
  return (
    <Page title={t("enrol.title")} crumbs={crumbs}>
      {token === undefined ? (
        <Form
          onIssued={(x) => {
            setIssued(x);
            void navigate({ search: (old) => ({ ...old, token: x.id, name: x.cluster }), replace: true });
          }}
        />
      ) : (
        <Checklist
          id={token}
          issued={issued?.id === token ? issued : undefined}
          onAgain={() => {
            setIssued(undefined);
            void navigate({ search: (old) => ({ ...old, token: undefined }) });
          }}
        />
      )}
    </Page>
  );
}

/** Labels of a text with spaces or commas between them; those that are none. */
export function labelsOf(text: string): { labels: Record<string, string>; wrong: string[] } {
  const pairs: [string, string][] = [];
  const wrong: string[] = [];
  for (const word of text.split(/[\s,]+/)) {
    if (word === "") continue;
    const at = word.indexOf("=");
    if (at < 1) wrong.push(word);
    else pairs.push([word.slice(0, at), word.slice(at + 1)]);
  }
  return { labels: Object.fromEntries(pairs), wrong };
}

function Form({ onIssued }: { onIssued: (t: IssuedEnrolmentToken) => void }) {
  const t = useT();
  const search = route.useSearch();
  const client = useQueryClient();
  const [name, setName] = useState(search.name ?? "");
  const [labels, setLabels] = useState("");
  const [aliases, setAliases] = useState("");
  const [reserved, setReserved] = useState(search.project ?? "");
  const [ttl, setTTL] = useState("1h");
  const [profile, setProfile] = useState<(typeof profiles)[number]>("curated");
  const [namespaces, setNamespaces] = useState("");
  const [replaces, setReplaces] = useState(false);
  const projects = useQuery(projectsQuery);
  const parsed = labelsOf(labels);
  const watched = profile === "namespaced" ? namespaces.split(/[\s,]+/).filter((n) => n !== "") : [];
  const servers = aliases
    .split(/\s+/)
    .map((a) => a.trim())
    .filter((a) => a !== "");
  const create = useMutation({
    mutationFn: () =>
      api.createEnrolmentToken(
        {
          cluster: name.trim(),
          labels: parsed.labels,
          aliases: servers.length === 0 ? undefined : servers,
          project: reserved === "" ? undefined : reserved,
          ttl,
          profile: profile === "curated" ? undefined : profile,
          namespaces: watched.length === 0 ? undefined : watched,
        },
        { idempotencyKey: idempotencyKey() },
      ),
    onSuccess: onIssued,
  });
  const problem = create.isError ? Problem.of(create.error) : undefined;
  const fieldError = (field: string) =>
    problem?.field === field ? (
      <PlainText text={[problem.message, problem.fix].filter(Boolean).join(" ")} lines={3} />
    ) : undefined;
  const known = ["cluster", "labels", "aliases", "project", "ttl", "profile", "namespaces"];
  const submit = async (e: FormEvent) => {
    e.preventDefault();
    if (parsed.wrong.length > 0) return;
    // An agent that is connected under this name would be pushed out: that is asked first.
    const there = await client.fetchQuery({ ...enrolledQuery(name.trim()), staleTime: 0 }).catch(() => null);
    if (there?.connected === true) setReplaces(true);
    else create.mutate();
  };
  const line = cli(
    "hawser",
    "cluster",
    "enroll",
    name.trim() === "" ? "NAME" : name.trim(),
    ...Object.entries(parsed.labels).flatMap(([k, v]) => ["--label", `${k}=${v}`]),
    ...servers.flatMap((a) => ["--alias", a]),
    ...(reserved === "" ? [] : ["--project", reserved]),
    ...(ttl === "1h" ? [] : ["--ttl", ttl]),
    ...(profile === "curated" ? [] : ["--profile", profile]),
    ...watched.flatMap((n) => ["--watch-namespace", n]),
  );
  const form = (
    <form className={classes.page} onSubmit={(e) => void submit(e)}>
      <p className={classes.note} style={{ padding: 0 }}>
        {t("enrol.text")}
      </p>
      <div className={classes.form}>
        <TextInput
          label={t("enrol.name")}
          description={t("enrol.name.hint")}
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          required
          withAsterisk={false}
          autoComplete="off"
          spellCheck={false}
          error={fieldError("cluster")}
          data-autofocus
        />
        <TextInput
          label={t("enrol.labels")}
          description={t("enrol.labels.hint")}
          placeholder="env=prod region=eu"
          value={labels}
          onChange={(e) => setLabels(e.currentTarget.value)}
          autoComplete="off"
          spellCheck={false}
          error={
            parsed.wrong.length > 0
              ? t("enrol.labels.wrong", { word: plainLine(parsed.wrong[0] ?? "") })
              : problem?.field?.startsWith("labels")
                ? fieldError(problem.field)
                : undefined
          }
        />
        <NativeSelect
          label={t("enrol.project")}
          description={t("enrol.project.hint")}
          value={reserved}
          onChange={(e) => setReserved(e.currentTarget.value)}
          data={[
            { value: "", label: t("enrol.project.any") },
            ...[...new Set([...(projects.data ?? []), ...(reserved === "" ? [] : [reserved])])].map((p) => ({
              value: p,
              label: plainLine(p),
            })),
          ]}
          error={fieldError("project")}
        />
        <NativeSelect
          label={t("enrol.ttl")}
          description={t("enrol.ttl.hint")}
          value={ttl}
          onChange={(e) => setTTL(e.currentTarget.value)}
          data={[
            { value: "15m", label: t("enrol.ttl.15m") },
            { value: "1h", label: t("enrol.ttl.1h") },
            { value: "24h", label: t("enrol.ttl.24h") },
            { value: "168h", label: t("enrol.ttl.168h") },
          ]}
          error={fieldError("ttl")}
        />
        <NativeSelect
          label={t("enrol.profile")}
          description={t(`enrol.profile.${profile}.hint`)}
          value={profile}
          onChange={(e) => setProfile(profiles.find((x) => x === e.currentTarget.value) ?? "curated")}
          data={profiles.map((value) => ({ value, label: t(`enrol.profile.${value}`) }))}
          error={fieldError("profile")}
        />
        {profile === "namespaced" && (
          <TextInput
            label={t("enrol.namespaces")}
            description={t("enrol.namespaces.hint")}
            placeholder="shop web"
            value={namespaces}
            onChange={(e) => setNamespaces(e.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
            error={fieldError("namespaces")}
          />
        )}
        <Textarea
          className={classes.wide}
          label={t("enrol.aliases")}
          description={t("enrol.aliases.hint")}
          placeholder="https://10.2.0.4:6443"
          value={aliases}
          onChange={(e) => setAliases(e.currentTarget.value)}
          rows={2}
          spellCheck={false}
          error={fieldError("aliases")}
        />
      </div>
      {problem !== undefined && !known.some((f) => problem.field === f || problem.field?.startsWith(`${f}.`)) && (
        <ErrorView error={problem} />
      )}
      <CliLine command={line} />
      <div className={classes.row}>
        <Button type="submit" loading={create.isPending} disabled={name.trim() === "" || parsed.wrong.length > 0}>
          {t("enrol.create")}
        </Button>
      </div>
    </form>
  );
  // The dialog is a form of its own: within the other one, what it sends would be sent by both.
  return (
    <>
      {form}
      {replaces && (
        <ConfirmDialog
          title={t("enrol.again.title", { name: plainLine(name.trim()) })}
          action={t("enrol.create")}
          onConfirm={() => create.mutateAsync()}
          onClose={() => setReplaces(false)}
        >
          <p>{t("enrol.again.text")}</p>
        </ConfirmDialog>
      )}
    </>
  );
}

/** The command, and what the hub has heard. */
function Checklist({
  id,
  issued,
  onAgain,
}: {
  id: string;
  issued: IssuedEnrolmentToken | undefined;
  onAgain: () => void;
}) {
  const t = useT();
  const { project, name: searched } = route.useSearch();
  const token = useQuery(tokenQuery(id));
  const name = token.data?.cluster ?? issued?.cluster ?? searched ?? "";
  const cluster = useQuery({ ...enrolledQuery(name), enabled: name !== "" });
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  if (token.data === undefined)
    return token.isPending ? (
      <LoadingView rows={6} />
    ) : (
      <ErrorView error={token.error} onRetry={() => void token.refetch()} />
    );
  if (token.data === null)
    return (
      <EmptyView title={t("enrol.gone")} actions={<Button onClick={onAgain}>{t("enrol.again")}</Button>}>
        <p>{t("enrol.gone.text")}</p>
      </EmptyView>
    );
  const { data: made } = token;
  const steps = stepsOf(made, cluster.data);
  const expired = made.usedAt === undefined && new Date(made.expiresAt).getTime() <= now;
  const refused = newer(made.refused, made.usedAt) ? made.refused : undefined;
  const quiet =
    made.usedAt === undefined &&
    !expired &&
    refused === undefined &&
    made.preflight === undefined &&
    now - new Date(made.createdAt).getTime() > quietAfter;
  const held = steps.redeemed === "done" && cluster.data?.held !== undefined && cluster.data.held !== "";
  const finished = steps.inventory === "done";
  const c = cluster.data ?? undefined;
  const under: Record<StepName, React.ReactNode> = {
    redeemed: made.usedAt !== undefined && (
      <>
        <RelativeTime at={made.usedAt} />
        {made.usedFrom !== undefined && (
          <>
            {" · "}
            <PlainText text={made.usedFrom} />
          </>
        )}
      </>
    ),
    connected:
      steps.connected === "done" &&
      c?.agentVersion !== undefined &&
      t("enrol.step.agent", { version: plainLine(c.agentVersion) }),
    inventory:
      steps.inventory === "done" &&
      c !== undefined &&
      t("enrol.step.found", {
        version: plainLine(c.kubeVersion ?? ""),
        namespaces: c.namespaces ?? 0,
        nodes: c.nodes ?? 0,
      }),
    application:
      steps.application === "done" && c !== undefined
        ? t("enrol.step.applications", { n: c.applications })
        : steps.inventory === "done" && t("enrol.step.optional"),
  };
  return (
    <div className={classes.page}>
      {issued !== undefined && made.usedAt === undefined && !expired ? (
        <Command issued={issued} />
      ) : (
        made.usedAt === undefined &&
        !expired && (
          <p className={classes.note} style={{ padding: 0 }}>
            {t("enrol.hidden")}{" "}
            <Button size="compact-sm" variant="default" onClick={onAgain}>
              {t("enrol.again")}
            </Button>
          </p>
        )
      )}
      <section className={classes.box} aria-labelledby="enrol-steps">
        <div className={classes.boxHead}>
          <strong id="enrol-steps">{t("enrol.progress", { name: plainLine(name) })}</strong>
        </div>
        <ol className={classes.steps}>
          {stepNames.map((s) => (
            <li
              key={s}
              className={classes.step}
              data-state={steps[s] === "now" && (expired || (s === "application" && finished)) ? "later" : steps[s]}
            >
              <span className={classes.mark} aria-hidden="true">
                {steps[s] === "done" && <Icon name="check" size={12} />}
              </span>
              <span>
                {t(`enrol.step.${s}`)}
                <span className="visually-hidden"> {t(`enrol.state.${steps[s]}`)}</span>
              </span>
              {under[s] && <span className={classes.under}>{under[s]}</span>}
            </li>
          ))}
        </ol>
        <div role="status">
          {refused !== undefined && (
            <div className={classes.trouble}>
              <h3>
                {t("enrol.refused")}{" "}
                <code>{refused.id === undefined || refused.id === "" ? refused.code : refused.id}</code>
              </h3>
              <p>
                <PlainText text={refused.message} lines={4} />
              </p>
              <p className={classes.under}>
                <RelativeTime at={refused.at} />
                {refused.from !== undefined && (
                  <>
                    {" · "}
                    <PlainText text={refused.from} />
                  </>
                )}
              </p>
              <Button size="compact-sm" variant="default" onClick={onAgain}>
                {t("enrol.again")}
              </Button>
            </div>
          )}
          {expired && (
            <div className={classes.trouble}>
              <h3>{t("enrol.expired")}</h3>
              <p>{t("enrol.expired.text")}</p>
              <Button size="compact-sm" onClick={onAgain}>
                {t("enrol.again")}
              </Button>
            </div>
          )}
          {quiet && issued !== undefined && (
            <div className={classes.trouble} data-kind="quiet">
              <h3>{t("enrol.quiet")}</h3>
              <p>{t("enrol.quiet.text", { hub: issued.hub })}</p>
              <CliLine command={egressTest(issued.hub)} />
            </div>
          )}
          {quiet && issued === undefined && (
            <div className={classes.trouble} data-kind="quiet">
              <h3>{t("enrol.quiet")}</h3>
              <p>{t("enrol.quiet.text", { hub: window.location.host })}</p>
            </div>
          )}
          {held && (
            <div className={classes.trouble}>
              <h3>{t("enrol.held")}</h3>
              <p>
                <Link to={paths.cluster} params={{ cluster: name }} search={{ project }}>
                  {t("enrol.held.open")}
                </Link>
              </p>
            </div>
          )}
        </div>
      </section>
      {made.preflight !== undefined && <Preflight found={made.preflight} />}
      {finished && (
        <div className={classes.row}>
          <Button component={Link} to={paths.cluster} params={{ cluster: name } as never} search={{ project } as never}>
            {t("enrol.open")}
          </Button>
          <Button variant="default" onClick={onAgain}>
            {t("enrol.another")}
          </Button>
        </div>
      )}
    </div>
  );
}

/** Whether a refusal is about what happened after the token was used, or before it was. */
function newer(r: EnrolmentRefusal | undefined, usedAt: string | undefined): boolean {
  return r !== undefined && (usedAt === undefined || new Date(r.at).getTime() > new Date(usedAt).getTime());
}

/** Rights that an agent is installed with, the default first. */
const profiles = ["curated", "observe", "namespaced", "cluster-admin"] as const;

/** Ways to install an agent. */
const ways = ["helm", "manifest", "program"] as const;
type Way = (typeof ways)[number];

/** What is copied: one command, whole, also for the manifest. */
function commandOf(issued: IssuedEnrolmentToken, way: Way): string {
  switch (way) {
    case "helm":
      return issued.helm;
    case "manifest":
      return `kubectl apply -f - <<'HAWSER'\n${issued.manifest.trimEnd()}\nHAWSER`;
    case "program":
      return issued.command;
  }
}

function Command({ issued }: { issued: IssuedEnrolmentToken }) {
  const t = useT();
  const [shown, setShown] = useState(false);
  const [way, setWay] = useState<Way>("helm");
  const command = commandOf(issued, way);
  return (
    <section className={classes.box} aria-labelledby="enrol-command">
      <div className={classes.boxHead}>
        <strong id="enrol-command">{t("enrol.command")}</strong>
        <SegmentedControl
          size="xs"
          aria-label={t("enrol.way")}
          value={way}
          onChange={(v) => setWay(ways.find((x) => x === v) ?? "helm")}
          data={ways.map((value) => ({ value, label: t(`enrol.way.${value}`) }))}
        />
        <span>
          {t("enrol.single")} <RelativeTime at={issued.expiresAt} />
        </span>
      </div>
      <div className={classes.command}>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a manifest is long, and is scrolled by keys, too */}
        <section className={classes.text} tabIndex={0} aria-labelledby="enrol-command">
          <code>{plain(shown ? command : masked(command, issued.token))}</code>
        </section>
        <div className={classes.row}>
          <Button variant="default" onClick={() => setShown(!shown)} aria-pressed={shown}>
            {shown ? t("enrol.hide") : t("enrol.show")}
          </Button>
          <CopyButton value={command} label={t("enrol.copy")} />
        </div>
      </div>
      <p className={classes.note}>{t(`enrol.where.${way}`)}</p>
    </section>
  );
}

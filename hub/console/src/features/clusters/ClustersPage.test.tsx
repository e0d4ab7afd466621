import { readFileSync } from "node:fs";
import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";
import type { Cluster, ClusterDiagnosis, FleetTimeline } from "../../api/types";
import { allMessages } from "../../test/messages";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";

const asOf = "2026-05-01T12:00:00Z";
const cluster = (name: string, more: Partial<Cluster> = {}): Cluster => ({
  id: `id-${name}`,
  name,
  connected: true,
  freshness: "live",
  lastSeen: asOf,
  applications: 2,
  kubeVersion: "v1.37.2",
  agentVersion: "v0.4.1",
  ...more,
});

test("clusters as rows, with their connection, and a filter in the address", async () => {
  const asked = hubAnswers({
    "GET /clusters": () => ({
      items: [
        cluster("eu"),
        cluster("us", { connected: false, freshness: "stale" }),
        cluster("new", { connected: false, freshness: "never", lastSeen: undefined }),
        cluster("two", { held: "duplicate_identity", connected: false }),
        cluster("x\u001b[31m\u202e<b>", { labels: { a: "<i>" } }),
      ],
      total: 5,
      facets: { state: { values: { connected: 2, offline: 2, never: 1 } } },
      asOf,
    }),
  });
  const { router } = drawAt("/clusters");
  expect(await screen.findByRole("link", { name: "eu" })).toHaveAttribute("href", "/clusters/eu");
  expect(screen.getByText(/^Offline/, { selector: "span" })).toBeInTheDocument();
  expect(screen.getByText("Never connected")).toBeInTheDocument();
  expect(screen.getByText("Held for approval")).toBeInTheDocument();
  expect(screen.getByText("a=<i>")).toBeInTheDocument();
  expect(document.body.textContent).not.toContain("\u001b");
  expect(screen.getByRole("link", { name: "new" })).toHaveAttribute("href", "/clusters/new");
  await expectAccessible();
  await userEvent.click(screen.getByRole("button", { name: "Offline 2" }));
  await waitFor(() => expect(router.state.location.search).toMatchObject({ q: "state:offline" }));
  await waitFor(() => expect(asked.some((a) => a.query.get("filter") === "state:offline")).toBe(true));
  await userEvent.click(screen.getByRole("button", { name: /Kubernetes/ }));
  await waitFor(() => expect(router.state.location.search).toMatchObject({ sort: "kubernetes" }));
  await waitFor(() => expect(asked.some((a) => a.query.get("sort") === "kubernetes")).toBe(true));
});

test("what the filter empties, and the first cluster of all", async () => {
  hubAnswers({
    "GET /clusters": ({ query }) => ({ items: [], total: query.get("filter") === null ? 7 : 0, facets: {}, asOf }),
  });
  const first = drawAt("/clusters?q=nix");
  expect(await screen.findByText("0 of 7 match")).toBeInTheDocument();
  expect(await screen.findByRole("button", { name: "Without nix: 7" })).toBeInTheDocument();
  first.unmount();
  hubAnswers({ "GET /clusters": () => ({ items: [], total: 0, facets: {}, asOf }) });
  drawAt("/clusters", { locale: "de" });
  expect(await screen.findByText("Noch keine Cluster")).toBeInTheDocument();
  expect(screen.getByText(/hawser cluster enroll NAME/)).toBeInTheDocument();
});

const well: ClusterDiagnosis = {
  cluster: "eu",
  state: "connected",
  asOf,
  healthy: true,
  causes: [],
  reconnects: 0,
  queued: { total: 0, items: [] },
};

const silent: ClusterDiagnosis = {
  ...well,
  state: "offline",
  healthy: false,
  lastSeen: asOf,
  causes: [
    {
      code: "agent_offline",
      id: "HW-6001",
      title: "the agent has been silent \u202efor long <b>",
      known: true,
      seen: "its connection ended: nothing was heard (session_silent)",
      at: asOf,
      fix: "look at what it says \u001b[31m",
      command: "kubectl -n hawser-system logs deploy/hawser-agent --tail=50",
    },
    {
      code: "hub_unreachable",
      id: "HW-6041",
      title: "the agent may not reach the hub",
      known: false,
      fix: "look at firewalls",
      command: "kubectl get nodes",
    },
  ],
  queued: {
    total: 51,
    items: [{ uid: "u1", name: "ledger", project: "pay", what: "update", generation: 3, since: asOf }],
  },
};

const log: FleetTimeline = {
  asOf,
  from: asOf,
  counts: {},
  reconnects: 9,
  more: 3,
  newest: [
    { at: asOf, kind: "refused", cluster: "eu", code: "session_rate", id: "HW-6077" },
    {
      at: asOf,
      kind: "lost",
      cluster: "eu",
      code: "session_silent",
      id: "HW-6105",
      message: "nothing was \u001b[2Jheard",
    },
    { at: asOf, kind: "connected", cluster: "eu" },
    { at: asOf, kind: "of a newer hub", cluster: "eu" },
  ],
};

const page = (c: Cluster, more: Parameters<typeof hubAnswers>[0] = {}) =>
  hubAnswers({
    "GET /clusters/:name": () => c,
    "GET /clusters/:name/diagnosis": () => well,
    "GET /fleet/timeline": () => ({ from: asOf, counts: {}, newest: [], reconnects: 0, asOf }),
    "GET /hub": () => ({ hubID: "h", incarnation: 1, holdDeletes: false, version: "v0.5.0" }),
    "GET /operations": () => ({
      items: [{ id: "o", appUID: "u", app: "api", kind: "sync", phase: "Queued", spec: {}, createdAt: asOf }],
      total: 1,
      asOf,
    }),
    "GET /applications": () => ({
      items: [
        {
          uid: "u",
          name: "api",
          project: "pay",
          cluster: "eu",
          autoSync: true,
          desired: {},
          generation: 1,
          sync: { status: "OutOfSync", reason: "drifted" },
          health: { status: "Degraded", message: "OOMKilled \u001b[31m<b>" },
          freshness: "stale",
          observedAt: asOf,
        },
      ],
      total: 1,
      facets: { health: { values: { degraded: 1 } } },
      asOf,
    }),
    ...more,
  });

test("a cluster that does not report says so first, with where to look", async () => {
  const asked = page(cluster("eu", { connected: false, freshness: "stale", roundTripMs: 38.2 }), {
    "GET /clusters/:name/diagnosis": () => silent,
    "GET /fleet/timeline": () => log,
  });
  drawAt("/clusters/eu");
  expect(await screen.findByRole("heading", { name: /Does not report/ })).toBeInTheDocument();
  const causes = await screen.findByRole("list", { name: "Causes, the first one first" });
  const [first, second] = within(causes).getAllByRole("listitem");
  expect(first).toHaveTextContent("The agent has been silent for a while");
  expect(first).toHaveTextContent("nothing was heard (session_silent)");
  expect(within(first as HTMLElement).getByText(/kubectl -n hawser-system logs deploy/)).toBeInTheDocument();
  expect(within(first as HTMLElement).getByText("hawser explain HW-6001", { exact: false })).toBeInTheDocument();
  expect(first).not.toHaveTextContent("possible");
  expect(second).toHaveTextContent(`The agent may not reach ${location.host}possible, not seen`);
  expect(screen.getByText("hawser cluster diagnose eu", { exact: false })).toBeInTheDocument();
  expect(document.body.textContent).not.toMatch(/[\u001b\u202e]/);
  expect(await screen.findByRole("heading", { name: /Waits for the cluster/ })).toBeInTheDocument();
  expect(await screen.findByText("OOMKilled <b>")).toBeInTheDocument();
  // Rows have neither an id nor a reason unless these are asked for.
  const fields = asked
    .find((a) => a.path === "/applications")
    ?.query.get("fields")
    ?.split(",");
  expect(fields).toEqual(expect.arrayContaining(["uid", "health", "operation"]));
  expect(screen.getByRole("link", { name: /all 1/ })).toHaveAttribute("href", expect.stringContaining("cluster"));
  await expectAccessible();
});

test("causes are said in the language of the console, and those of a newer hub in its own words", async () => {
  const [first] = silent.causes;
  page(cluster("eu", { connected: false, held: "duplicate_identity" }), {
    "GET /clusters/:name/diagnosis": () => ({
      ...silent,
      hub: "hub.example.org:8443",
      causes: [
        { ...first, code: "duplicate_identity" },
        { ...first, code: "hub_unreachable", known: false },
        { ...first, code: "of_a_newer_hub" },
      ],
    }),
  });
  drawAt("/clusters/eu", { locale: "de" });
  expect(await screen.findByText(/^Zwei Agents benutzen das Zertifikat/)).toBeInTheDocument();
  expect(screen.getByText("Der Agent erreicht hub.example.org:8443 vielleicht nicht")).toBeInTheDocument();
  expect(screen.getByText("the agent has been silent ⟨U+202E⟩for long <b>")).toBeInTheDocument();
});

test("each cause that the hub tells of has words", () => {
  const hub = readFileSync("../fleet/diagnosis.go", "utf8");
  const told = [...hub.matchAll(/fault\.New\(fault\.\w+, "(\w+)"/g)].map((m) => m[1] as string);
  expect(told.length).toBeGreaterThan(20);
  for (const language of Object.values(allMessages))
    for (const code of [...told, "duplicate_identity", "cluster_changed"])
      expect([code, language[`clusters.cause.${code}`], language[`clusters.cause.${code}.fix`]]).not.toContain(
        undefined,
      );
});

test("the line to a cluster: round trip, reconnects, a log with reasons, and what waits for it", async () => {
  const asked = page(cluster("eu", { connected: false, freshness: "stale", roundTripMs: 38.2 }), {
    "GET /clusters/:name/diagnosis": () => ({ ...silent, clockAheadMs: -90_000 }),
    "GET /fleet/timeline": () => log,
  });
  drawAt("/clusters/eu");
  const line = (await screen.findByText("of the last hour")).closest("section") as HTMLElement;
  const rows = await within(line).findAllByRole("row");
  expect(rows).toHaveLength(5);
  expect(rows[1]).toHaveTextContent("RefusedHW-6077");
  expect(rows[2]).toHaveTextContent("nothing was heardHW-6105");
  expect(rows[3]).toHaveTextContent("Connected");
  expect(rows[4]).toHaveTextContent("of a newer hub");
  expect(within(line).getByText("38 ms")).toBeInTheDocument();
  expect(within(line).getByText("9")).toBeInTheDocument();
  expect(within(line).getByText("90 s behind the hub's")).toBeInTheDocument();
  expect(within(line).getByText("3 more are not listed.")).toBeInTheDocument();
  const q = asked.find((a) => a.path === "/fleet/timeline")?.query;
  expect([q?.get("cluster"), q?.get("kind")]).toEqual(["eu", "connected,lost,refused"]);
  const queued = screen.getByText("taken when it reports again").closest("section") as HTMLElement;
  expect(within(queued).getByRole("link", { name: "ledger" })).toHaveAttribute("href", "/apps/ledger");
  expect(within(queued).getByText("50 more are not listed.")).toBeInTheDocument();
});

test("a cluster that is well says so, and one that reports and is not well says why", async () => {
  page(cluster("eu"));
  const first = drawAt("/clusters/eu", { locale: "de" });
  expect(await screen.findByText("Es ist nichts bekannt, was mit ihm nicht stimmt.")).toBeInTheDocument();
  expect(await screen.findByText("In dieser Stunde kam und ging er nicht.")).toBeInTheDocument();
  await expectAccessible();
  first.unmount();
  page(cluster("eu"), {
    "GET /clusters/:name/diagnosis": () => ({ ...silent, state: "connected", causes: silent.causes.slice(0, 1) }),
  });
  drawAt("/clusters/eu");
  expect(await screen.findByRole("heading", { name: "It reports, and something is wrong" })).toBeInTheDocument();
});

test("a diagnosis that is denied or fails leaves the rest of the page", async () => {
  page(cluster("eu", { connected: false }), {
    "GET /clusters/:name/diagnosis": () => problemAnswer(403, "denied", "not yours", { id: "HW-4001" }),
    "GET /fleet/timeline": () => problemAnswer(503, "db_unavailable", "the database is away", { id: "HW-9001" }),
  });
  drawAt("/clusters/eu");
  expect(await screen.findByText("not yours")).toBeInTheDocument();
  expect(await screen.findByText("the database is away")).toBeInTheDocument();
  expect(await screen.findByText("OOMKilled <b>")).toBeInTheDocument();
});

test("a cluster that is held is let in", async () => {
  const asked = page(cluster("eu", { connected: false, held: "cluster_changed" }), {
    "POST /clusters/:name/allow": () => cluster("eu"),
  });
  drawAt("/clusters/eu");
  await userEvent.click(await screen.findByRole("button", { name: "Let it in" }));
  await waitFor(() => expect(asked.some((a) => a.method === "POST" && a.path === "/clusters/eu/allow")).toBe(true));
  expect(screen.getByText("hawser cluster allow eu", { exact: false })).toBeInTheDocument();
});

test("revoking wants the name, and says that nothing is deleted", async () => {
  const asked = page(cluster("eu"), { "POST /clusters/:name/revoke": () => cluster("eu", { revoked: true }) });
  drawAt("/clusters/eu");
  const user = userEvent.setup();
  await user.click(await screen.findByRole("button", { name: "More" }));
  await user.click(await screen.findByRole("menuitem", { name: "Revoke access" }));
  const button = await screen.findByRole("button", { name: "Revoke access" });
  expect(screen.getByText(/Nothing is deleted: its 2 applications keep running/)).toBeInTheDocument();
  expect(button).toBeDisabled();
  await user.type(screen.getByRole("textbox"), "eu");
  await user.click(button);
  await waitFor(() => expect(asked.filter((a) => a.path === "/clusters/eu/revoke")).toHaveLength(1));
});

test("labels are saved after it is shown what becomes invalid, over the version that was seen", async () => {
  const asked = page(cluster("eu", { labels: { env: "prod" } }), {
    "GET /clusters/:name": () =>
      new Response(JSON.stringify(cluster("eu", { labels: { env: "prod" } })), {
        headers: { "Content-Type": "application/json", ETag: '"3"' },
      }),
    "PUT /clusters/:name/labels": ({ query }) =>
      query.get("dryRun") === "true"
        ? {
            cluster: "eu",
            applications: 2,
            invalid: [{ name: "ledger", project: "fin" }],
            invalidCount: 1,
            valid: [],
            validCount: 0,
          }
        : problemAnswer(412, "version_conflict", "somebody else changed it", { id: "HW-4999" }),
  });
  drawAt("/clusters/eu?edit=labels");
  const user = userEvent.setup();
  const box = await screen.findByRole("textbox", { name: "Labels" });
  await user.clear(box);
  await user.type(box, "env=lab{Enter}nonsense");
  expect(screen.getByText(/Line 2 is not KEY=VALUE/)).toBeInTheDocument();
  expect(screen.getByRole("button", { name: "Preview" })).toBeDisabled();
  await user.clear(box);
  await user.type(box, "env=lab");
  expect(screen.getByText("hawser cluster label eu env=lab --overwrite", { exact: false })).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Preview" }));
  expect(await screen.findByText(/1 application becomes invalid/)).toBeInTheDocument();
  expect(screen.getByText("ledger")).toBeInTheDocument();
  expect(asked.filter((a) => a.method === "PUT" && a.query.get("dryRun") !== "true")).toHaveLength(0);
  await user.click(screen.getByRole("button", { name: "Save" }));
  expect(await screen.findByText(/somebody else changed it/)).toBeInTheDocument();
  const put = asked.findLast((a) => a.method === "PUT");
  expect(put?.headers.get("If-Match")).toBe('"3"');
  expect(put?.body).toEqual({ labels: { env: "lab" } });
  await expectAccessible();
});

test("a cluster that nobody knows", async () => {
  hubAnswers({
    "GET /clusters/:name": () => problemAnswer(404, "cluster_unknown", 'there is no cluster "x"', { id: "HW-4040" }),
  });
  drawAt("/clusters/x");
  expect(await screen.findByText("HW-4040")).toBeInTheDocument();
});

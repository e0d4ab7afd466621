import { act, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";
import type { Cluster, EnrolmentToken } from "../../api/types";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";
import { labelsOf } from "./EnrolPage";
import { egressTest, masked, stepsOf } from "./steps";

const minutes = (n: number) => new Date(Date.now() + n * 60_000).toISOString();
const token = (more: Partial<EnrolmentToken> = {}): EnrolmentToken => ({
  id: "t1",
  cluster: "eu",
  createdBy: "ana",
  createdAt: minutes(0),
  expiresAt: minutes(60),
  ...more,
});
const cluster = (more: Partial<Cluster> = {}): Cluster => ({
  id: "c",
  name: "eu",
  connected: true,
  freshness: "live",
  applications: 0,
  ...more,
});
const secret = "hwe_0123456789";
const issued = {
  id: "t1",
  token: secret,
  cluster: "eu",
  expiresAt: minutes(60),
  caHash: "sha256:ab",
  hub: "hub.example.org:8443",
  helm: `helm upgrade --install hawser-agent oci://charts.example.org/agent \\\n  --set token.value=${secret}`,
  manifest: `kind: Secret\nstringData: {token: ${secret}}\n`,
  command: `HAWSER_TOKEN=${secret} hawser-agent run --hub hub.example.org:8443`,
};
const unknown = () => problemAnswer(404, "cluster_unknown", "there is no such cluster");

test("steps follow the agent of this token, and no agent of before", () => {
  const states = (...x: Parameters<typeof stepsOf>) => Object.values(stepsOf(...x)).join(" ");
  const used = token({ usedAt: minutes(0) });
  for (const [what, t, c, want] of [
    ["nothing is known", undefined, undefined, "now later later later"],
    ["another agent is connected", token(), cluster({ kubeVersion: "v1" }), "now later later later"],
    ["used", used, null, "done now later later"],
    ["connected", used, cluster(), "done done now later"],
    ["told of its cluster", used, cluster({ kubeVersion: "v1" }), "done done done now"],
    ["has an application", used, cluster({ kubeVersion: "v1", applications: 1 }), "done done done done"],
    ["gone again", used, cluster({ connected: false, kubeVersion: "v1" }), "done now later later"],
  ] as const)
    expect([what, states(t, c)]).toEqual([what, want]);
});

test("texts", () => {
  expect(masked(issued.command, secret)).not.toContain("0123");
  expect(egressTest("hub:8443")).toContain("https://hub:8443/livez");
  expect(labelsOf("a=b, c=d=e  f=")).toEqual({ labels: { a: "b", c: "d=e", f: "" }, wrong: [] });
  expect(labelsOf("=x nonsense").wrong).toEqual(["=x", "nonsense"]);
});

test("one command, its secret hidden, and a checklist that goes on by itself", async () => {
  let now = token();
  let there: Cluster | undefined;
  const asked = hubAnswers({
    "GET /projects": () => ({ items: [{ metadata: { name: "pay" } }], total: 1, asOf: minutes(0) }),
    "POST /enrolment-tokens": () => issued,
    "GET /enrolment-tokens": () => ({ items: [now] }),
    "GET /clusters/:name": () => there ?? unknown(),
  });
  const { client, router } = drawAt("/enrol");
  const user = userEvent.setup();
  await user.type(await screen.findByRole("textbox", { name: "Name" }), "eu");
  await user.type(screen.getByRole("textbox", { name: "Labels" }), "env=prod region=eu");
  await user.selectOptions(screen.getByRole("combobox", { name: "Reserved for" }), "pay");
  await user.selectOptions(screen.getByRole("combobox", { name: "What the agent may do" }), "namespaced");
  await user.type(screen.getByRole("textbox", { name: "Namespaces" }), "shop, web");
  expect(screen.getByText(/ --profile namespaced --watch-namespace shop --watch-namespace web/)).toBeInTheDocument();
  expect(
    screen.getByText("hawser cluster enroll eu --label env=prod --label region=eu --project pay", { exact: false }),
  ).toBeInTheDocument();
  await expectAccessible();
  await user.click(screen.getByRole("button", { name: "Make the command" }));
  expect(await screen.findByText(/helm upgrade --install .* --set token.value=hwe_•+/s)).toBeInTheDocument();
  expect(asked.find((a) => a.method === "POST")?.body).toEqual({
    cluster: "eu",
    labels: { env: "prod", region: "eu" },
    project: "pay",
    ttl: "1h",
    profile: "namespaced",
    namespaces: ["shop", "web"],
  });
  expect(document.body.textContent).not.toContain(secret);
  expect(router.state.location.href).not.toContain(secret);
  await user.click(screen.getByRole("radio", { name: "Manifest" }));
  expect(screen.getByText(/^kubectl apply -f - <<'HAWSER' kind: Secret .*hwe_•+.* HAWSER$/)).toBeInTheDocument();
  await expectAccessible();
  await user.click(screen.getByRole("radio", { name: "Program" }));
  expect(screen.getByText(/HAWSER_TOKEN=hwe_•+ hawser-agent run/)).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Show" }));
  expect(screen.getByText(new RegExp(secret))).toBeInTheDocument();
  await expectAccessible();

  now = token({ usedAt: minutes(0), usedFrom: "192.0.2.7" });
  there = cluster({ agentVersion: "v0.4.1", kubeVersion: "v1.37.2", namespaces: 12, nodes: 3 });
  await act(() => client.invalidateQueries({ queryKey: ["clusters"] })); // as an event does
  expect(await screen.findByText("Kubernetes v1.37.2, 12 namespaces, 3 nodes")).toBeInTheDocument();
  expect(screen.getByText("192.0.2.7")).toBeInTheDocument();
  expect(screen.queryByText(new RegExp(secret))).toBeNull();
  expect(screen.getByRole("link", { name: "Open the cluster" })).toHaveAttribute("href", "/clusters/eu");
});

test("what the agent found before it enrolled is there without a reload, as text", async () => {
  let now = token({ createdAt: minutes(-2) });
  hubAnswers({ "GET /enrolment-tokens": () => ({ items: [now] }), "GET /clusters/:name": unknown });
  const { client } = drawAt("/enrol?token=t1");
  expect(await screen.findByText("Nothing has reached us yet")).toBeInTheDocument();
  now = token({
    createdAt: minutes(-2),
    preflight: {
      at: minutes(0),
      agentVersion: "v0.4.1",
      checks: [
        { check: "dns", outcome: "ok", message: "the hub hub.example.org is 192.0.2.1" },
        {
          check: "clock",
          outcome: "failed",
          code: "clock_skewed",
          id: "HW-6100",
          message: "this machine's clock is 10m0s behind the hub's <b>\u202e",
          fix: "have the nodes set their clocks by NTP",
        },
        { check: "token", outcome: "skipped", message: "it comes later" },
        { check: "of-a-newer-agent", outcome: "splendid", message: "x" },
      ],
    },
  });
  await act(() => client.invalidateQueries({ queryKey: ["clusters"] }));
  const box = await screen.findByRole("region", { name: /found before it enrolled: 1 of 3 well/ });
  expect(within(box).getByText("HW-6100")).toBeInTheDocument();
  expect(within(box).getByText(/10m0s behind the hub's <b>/).textContent).not.toContain("\u202e");
  expect(within(box).getByText("have the nodes set their clocks by NTP")).toBeInTheDocument();
  expect(within(box).getByText("of-a-newer-agent")).toBeInTheDocument();
  expect(screen.queryByText("Nothing has reached us yet")).toBeNull();
  await expectAccessible();
});

test("what goes wrong is said: a refusal with its code, an end, silence, a token taken back", async () => {
  let now: EnrolmentToken | undefined = token({
    refused: {
      at: minutes(0),
      from: "192.0.2.7",
      code: "enrolment_token_other_cluster",
      id: "HW-2104",
      message: "for another cluster <b>",
    },
  });
  hubAnswers({
    "GET /enrolment-tokens": () => ({ items: now === undefined ? [] : [now] }),
    "GET /clusters/:name": unknown,
  });
  let drawn = drawAt("/enrol?token=t1");
  expect(await screen.findByText("HW-2104")).toBeInTheDocument();
  expect(screen.getByText("for another cluster <b>")).toBeInTheDocument();
  drawn.unmount();
  now = token({ createdAt: minutes(-2) });
  drawn = drawAt("/enrol?token=t1");
  expect(await screen.findByText("Nothing has reached us yet")).toBeInTheDocument();
  drawn.unmount();
  now = token({ createdAt: minutes(-90), expiresAt: minutes(-30) });
  drawn = drawAt("/enrol?token=t1");
  expect(await screen.findByText("The command has ended")).toBeInTheDocument();
  drawn.unmount();
  now = undefined;
  drawAt("/enrol?token=t1", { locale: "de" });
  expect(await screen.findByText("Dieser Befehl wurde zurückgenommen")).toBeInTheDocument();
});

test("a name that is taken by a connected cluster is asked about, and a wrong one is said at its field", async () => {
  const asked = hubAnswers({
    "GET /projects": () => ({ items: [], total: 0, asOf: minutes(0) }),
    "GET /clusters/:name": ({ path }) => (path.endsWith("/eu") ? cluster() : unknown()),
    "POST /enrolment-tokens": () => problemAnswer(400, "name_invalid", "this is no name", { field: "cluster" }),
  });
  drawAt("/enrol?name=eu");
  const user = userEvent.setup();
  await user.click(await screen.findByRole("button", { name: "Make the command" }));
  expect(await screen.findByText(/takes its place/)).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Cancel" }));
  expect(asked.some((a) => a.method === "POST")).toBe(false);
  await user.click(screen.getByRole("button", { name: "Make the command" }));
  const before = asked.length;
  const dialog = within(await screen.findByRole("dialog"));
  await user.click(dialog.getByRole("button", { name: "Make the command" }));
  await waitFor(() => expect(dialog.getByText(/this is no name/)).toBeInTheDocument());
  // The dialog's form is the one that was sent, and the page's was not with it.
  expect(asked.slice(before).map((a) => `${a.method} ${a.path}`)).toEqual(["POST /enrolment-tokens"]);
  await user.click(dialog.getByRole("button", { name: "Cancel" }));
  const name = screen.getByRole("textbox", { name: "Name" });
  await user.clear(name);
  await user.type(name, "My_Edge");
  await user.click(screen.getByRole("button", { name: "Make the command" }));
  await waitFor(() => expect(name).toHaveAccessibleDescription(/this is no name/));
});

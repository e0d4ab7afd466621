import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { AuditRecord } from "../../api/types";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";
import { auditCommand, auditQueryOf } from "./filter";

const hostile = `<img src=x onerror=alert(1)>\u202e`;

const record = (seq: number, more: Partial<AuditRecord> = {}): AuditRecord => ({
  seq,
  prev: "",
  at: "2026-06-01T10:00:00Z",
  kind: "command",
  actor: "ana",
  action: "syncApplication",
  resource: "applications",
  project: "shop",
  name: hostile,
  outcome: "done",
  ...more,
});

const page = (items: AuditRecord[], nextCursor?: string) => ({ items, total: items.length, asOf: "", nextCursor });

describe("audit", () => {
  it("asks what the address says, and shows records as text", async () => {
    const asked = hubAnswers({ "GET /audit": () => page([record(7, { outcome: "denied" })]) });
    drawAt("/audit?actor=ana&outcome=denied&in=shop&project=frame");
    const grid = await screen.findByRole("grid", { name: "Audit" });
    expect(within(grid).getByText("Denied")).toBeVisible();
    expect(within(grid).getByText(/shop \/ <img src=x/)).toBeVisible();
    expect(document.querySelector("img")).toBeNull();
    const query = asked.find((a) => a.path === "/audit")?.query;
    expect(query?.get("actor")).toBe("ana");
    expect(query?.get("project")).toBe("shop");
    expect(screen.getByText("hawser audit list --actor ana --in-project shop --outcome denied")).toBeVisible();
    await expectAccessible();
  });

  it("shows a linked record that is further down, with the filter of the first window", async () => {
    const asked = hubAnswers({
      "GET /audit": (a) =>
        a.query.get("cursor") === null ? page([record(9)], "c1") : page([record(3, { reason: "because" })]),
    });
    drawAt("/audit?since=24h&sel=3");
    const sheet = await screen.findByRole("complementary", { name: "Details" });
    expect(await within(sheet).findByText("because")).toBeVisible();
    const [first, second] = asked.filter((a) => a.path === "/audit").map((a) => a.query.get("since"));
    expect(second).toBe(first);
    await userEvent.click(within(sheet).getByRole("button", { name: "Only records with ana" }));
    await waitFor(() => expect(asked.at(-1)?.query.get("actor")).toBe("ana"));
  });

  it("names the parts of the filter that leave nothing", async () => {
    hubAnswers({ "GET /audit": (a) => page(a.query.get("actor") === null ? [record(1)] : []) });
    const { router } = drawAt("/audit?actor=nobody&outcome=done");
    await userEvent.click(await screen.findByRole("button", { name: "Without Who nobody" }));
    await waitFor(() => expect(router.state.location.search).not.toHaveProperty("actor"));
    expect(router.state.location.search).toMatchObject({ outcome: "done" });
  });

  it("explains to those who may not read it", async () => {
    hubAnswers({
      "GET /audit": () =>
        problemAnswer(403, "permission_denied", "not for you", {
          id: "HW-4101",
          explain: { allowed: false, project: "", checks: [{ rule: "role", result: "failed", message: "no grant" }] },
        }),
    });
    drawAt("/audit");
    expect(await screen.findByRole("region", { name: "Why" })).toHaveTextContent("no grant");
    expect(screen.queryByRole("button", { name: "Export" })).toBeNull();
  });

  it("turns days and ranges into times, and leaves out what is none", () => {
    const now = new Date("2026-06-02T00:00:00Z");
    expect(auditQueryOf({ since: "7d", from: "2026-01-01" }, now)).toMatchObject({
      since: "2026-05-26T00:00:00.000Z",
      until: undefined,
    });
    const days = auditQueryOf({ from: "2026-01-01", to: "2026-01-01" }, now);
    expect(Date.parse(days.until ?? "") - Date.parse(days.since ?? "")).toBe(86_400_000);
    expect(auditQueryOf({ from: "2026-99-99", to: "x" }, now)).toMatchObject({ since: undefined, until: undefined });
    expect(auditCommand({ since: "7d", actor: "a b" }, "list")).toBe("hawser audit list --actor 'a b' --since 168h");
  });
});

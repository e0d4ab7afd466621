import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";
import { itemState, jobState } from "./state";

const job = {
  id: "j1",
  kind: "sync",
  phase: "Running",
  initiatedBy: "ana\u202e@acme",
  createdAt: "2026-01-01T00:00:00Z",
  total: 3,
  pending: 1,
  accepted: 1,
  failed: 1,
  cancelled: 0,
};
const items = [
  {
    number: 1,
    application: "api",
    phase: "Accepted",
    operation: "o",
    operationPhase: "Succeeded",
    changes: { created: 2, unchanged: 0 },
  },
  {
    number: 2,
    application: "web",
    phase: "Failed",
    code: "permission_denied",
    id: "HW-4001",
    message: "<img src=x onerror=alert(1)> no",
  },
  { number: 3, application: "ledger", phase: "Pending" },
];

describe("states", () => {
  it("show a failure while the job runs", () => {
    expect(jobState({ phase: "Running", failed: 1 })).toBe("degraded");
    expect(jobState({ phase: "Running", failed: 0 })).toBe("progressing");
    expect(jobState({ phase: "Cancelled", failed: 0 })).toBe("suspended");
    expect(jobState({ phase: "Finished", failed: 0 })).toBe("healthy");
  });
  it("are those of the operation once the command was accepted", () => {
    expect(itemState({ phase: "Accepted" })).toBe("healthy");
    expect(itemState({ phase: "Accepted", operationPhase: "Running" })).toBe("progressing");
    expect(itemState({ phase: "Accepted", operationPhase: "Failed" })).toBe("degraded");
    expect(itemState({ phase: "Pending" })).toBe("pending");
  });
});

describe("the list of jobs", () => {
  it("asks for a state in the language of filters", async () => {
    const asked = hubAnswers({ "GET /jobs": () => ({ items: [job], total: 1, asOf: job.createdAt }) });
    const { router } = drawAt("/jobs");
    expect(await screen.findByText(/2 of 3, 1 failed|2 of 3/)).toBeVisible();
    await expectAccessible();
    await userEvent.click(screen.getByText("With failures"));
    await waitFor(() => expect(router.state.location.search).toMatchObject({ show: "failing" }));
    await waitFor(() => expect(asked.some((a) => a.query.get("filter") === "is:failing")).toBe(true));
  });
  it("says what a job is when there is none", async () => {
    hubAnswers({ "GET /jobs": () => ({ items: [], total: 0, asOf: job.createdAt }) });
    drawAt("/jobs");
    expect(await screen.findByText("No jobs yet")).toBeVisible();
    expect(screen.getByText(/hawser app sync/)).toBeVisible();
  });
});

describe("a job", () => {
  it("tells of each application what became of it, and is cancelled after a question", async () => {
    const asked = hubAnswers({
      "GET /jobs/:id": (a) => ({ ...job, items: items.slice(0, Number(a.query.get("limit"))) }),
      "POST /jobs/:id/cancel": () => ({ ...job, phase: "Cancelled" }),
    });
    drawAt("/jobs/j1");
    const grid = await screen.findByRole("grid");
    const [, api, web] = within(grid).getAllByRole("row");
    expect(api).toHaveTextContent(/Succeeded2 created/);
    expect(web).toHaveTextContent("HW-4001<img src=x onerror=alert(1)> no");
    expect(web?.querySelector("img")).toBeNull();
    expect(screen.getByRole("progressbar")).toHaveAttribute("aria-valuenow", "2");
    await expectAccessible();
    await userEvent.click(screen.getByRole("button", { name: "Cancel the job" }));
    const dialog = await screen.findByRole("dialog");
    expect(dialog).toHaveTextContent("hawser job cancel j1");
    await userEvent.click(within(dialog).getByRole("button", { name: "Cancel the job" }));
    await waitFor(() => expect(asked.some((a) => a.path === "/jobs/j1/cancel" && a.method === "POST")).toBe(true));
  });
  it("shows those of one phase", async () => {
    hubAnswers({ "GET /jobs/:id": () => ({ ...job, items }) });
    drawAt("/jobs/j1?show=Failed");
    const grid = await screen.findByRole("grid");
    expect(within(grid).getAllByRole("row")).toHaveLength(2);
    expect(grid).toHaveTextContent("web");
  });
  it("that is not there says so", async () => {
    hubAnswers({ "GET /jobs/:id": () => problemAnswer(404, "job_not_found", 'there is no job "j1"') });
    drawAt("/jobs/j1");
    expect(await screen.findByText(/Not found/)).toBeVisible();
  });
});

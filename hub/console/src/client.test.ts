import { afterEach, describe, expect, it, vi } from "vitest";
import { api, Problem, setHooks } from "./client";
import { safeReturn } from "./routes/urls";
import { hubAnswers, problemAnswer } from "./test/render";

let unset = () => {};
afterEach(() => unset());

describe("the transport", () => {
  it("makes a Problem of what the hub says", async () => {
    hubAnswers({
      "GET /clusters": () =>
        problemAnswer(403, "permission_denied", "not yours", {
          id: "HW-4101",
          fix: "ask ana",
          explain: { checks: [] },
        }),
    });
    const p = await api.listClusters().catch(Problem.of);
    expect(p).toMatchObject({
      status: 403,
      code: "permission_denied",
      id: "HW-4101",
      fix: "ask ana",
      explain: { checks: [] },
    });
  });
  it("makes a Problem of what stands before the hub, and of nothing", async () => {
    hubAnswers({ "GET /clusters": () => new Response("<html>Bad gateway</html>", { status: 502 }) });
    expect(await api.listClusters().catch(Problem.of)).toMatchObject({ code: "hub_unreachable", isUnreachable: true });
    vi.spyOn(globalThis, "fetch").mockRejectedValue(new TypeError("Failed to fetch"));
    expect(await api.listClusters().catch(Problem.of)).toMatchObject({ status: 0, isUnreachable: true });
  });
  it("leaves an ended request what it is", async () => {
    vi.spyOn(globalThis, "fetch").mockRejectedValue(new DOMException("ended", "AbortError"));
    await expect(api.listClusters()).rejects.toHaveProperty("name", "AbortError");
  });
  it("asks for the login when the session has ended, but not while somebody logs in", async () => {
    const loginNeeded = vi.fn();
    unset = setHooks({ loginNeeded, confirmLogin: async () => false });
    hubAnswers({
      "GET /clusters": () => problemAnswer(401, "session_expired", "ended"),
      "POST /login": () => problemAnswer(401, "login_failed", "wrong"),
    });
    await api.login({ username: "x", password: "y" }).catch(() => {});
    expect(loginNeeded).not.toHaveBeenCalled();
    await api.listClusters().catch(() => {});
    expect(loginNeeded).toHaveBeenCalledOnce();
  });
  it("repeats a dangerous command after the password, with the same key", async () => {
    unset = setHooks({ loginNeeded: () => {}, confirmLogin: async () => true });
    let fresh = false;
    const asked = hubAnswers({
      "DELETE /applications/:name": () => {
        if (fresh) return undefined;
        fresh = true;
        return problemAnswer(403, "login_confirmation_needed", "confirm");
      },
    });
    await api.deleteApplication("api", {}, { idempotencyKey: "k1" });
    expect(asked.map((a) => a.headers.get("Idempotency-Key"))).toEqual(["k1", "k1"]);
  });
  it("gives up a dangerous command that is not confirmed", async () => {
    unset = setHooks({ loginNeeded: () => {}, confirmLogin: async () => false });
    const asked = hubAnswers({
      "DELETE /applications/:name": () => problemAnswer(403, "login_confirmation_needed", "confirm"),
    });
    await expect(api.deleteApplication("api")).rejects.toHaveProperty("code", "login_confirmation_needed");
    expect(asked).toHaveLength(1);
  });
});

describe("a return address", () => {
  it.each(["/apps?q=health%3Adegraded#x", "/fleet"])("%s is kept", (a) => expect(safeReturn(a)).toBe(a));
  it.each([
    undefined,
    "",
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "/\t/evil.example",
    "javascript:alert(1)",
    "/login?return=/login",
  ])("%j leads home", (a) => expect(safeReturn(a)).toBe("/"));
});

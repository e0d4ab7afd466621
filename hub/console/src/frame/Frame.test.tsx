import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { api } from "../client";
import { drawAt, expectAccessible, hubAnswers, problemAnswer } from "../test/render";

const empty = { items: [], total: 0, asOf: "2026-01-01T00:00:00Z" };
const hub = {
  "GET /settings": () => empty,
  "GET /hub": () => ({ hubID: "h1", incarnation: 1, holdDeletes: false, version: "1.2.3" }),
  "GET /login/providers": () => ({ providers: ["acme"] }),
  "GET /projects": () => ({
    ...empty,
    items: ["team-pay", "team-fin"].map((name) => ({ metadata: { name }, spec: {} })),
  }),
};

describe("the frame", () => {
  it("has navigation, project, search, live pill and account, and can be used by everybody", async () => {
    hubAnswers(hub);
    const { container } = drawAt("/nowhere");
    expect(await screen.findByRole("heading", { name: "There is no such page" })).toBeVisible();
    const nav = screen.getByRole("navigation", { name: "Main" });
    expect(within(nav).getAllByRole("link")).toHaveLength(8);
    expect(await screen.findByRole("button", { name: /Account of ana@acme.io/ })).toHaveTextContent("AN");
    await waitFor(() => expect(screen.getByText("Live")).toBeInTheDocument());
    await expectAccessible(container);
  });
  it("speaks German, and keeps it", async () => {
    hubAnswers(hub);
    drawAt("/nowhere");
    await userEvent.click(await screen.findByRole("button", { name: "Appearance and language" }));
    await userEvent.click(await screen.findByRole("menuitemradio", { name: "Deutsch" }));
    expect(await screen.findByRole("heading", { name: "Diese Seite gibt es nicht" })).toBeVisible();
    expect(localStorage.getItem("hawser.locale")).toBe("de");
    expect(document.documentElement.lang).toBe("de");
  });
  it("has density and contrast on the page", async () => {
    hubAnswers(hub);
    drawAt("/nowhere");
    await userEvent.click(await screen.findByRole("button", { name: "Appearance and language" }));
    await userEvent.click(await screen.findByRole("menuitemradio", { name: "Compact" }));
    await userEvent.click(screen.getByRole("menuitemradio", { name: "High" }));
    expect(document.documentElement.dataset).toMatchObject({ density: "compact", contrast: "more" });
  });
  it("narrows every page to a project", async () => {
    hubAnswers(hub);
    const { router } = drawAt("/settings");
    await userEvent.click(await screen.findByRole("button", { name: "All projects" }));
    await userEvent.type(await screen.findByLabelText("Find a project"), "pay");
    expect(screen.queryByRole("option", { name: "team-fin" })).toBeNull();
    await userEvent.click(await screen.findByRole("option", { name: "team-pay" }));
    await waitFor(() => expect(router.state.location.search).toMatchObject({ project: "team-pay" }));
  });
  it("finds pages in the palette and goes there, with keys alone", async () => {
    hubAnswers(hub);
    const { router } = drawAt("/nowhere");
    await screen.findByRole("heading", { name: "There is no such page" });
    await userEvent.keyboard("{Control>}k{/Control}");
    const box = await screen.findByRole("combobox", { name: "Search or run…" });
    await userEvent.type(box, ">sett");
    await waitFor(() => expect(screen.getAllByRole("option")).toHaveLength(1));
    await expectAccessible();
    await userEvent.keyboard("{Enter}");
    await waitFor(() => expect(router.state.location.pathname).toBe("/settings"));
    await userEvent.keyboard("{Control>}k{/Control}");
    expect(await screen.findByRole("group", { name: "Recent" })).toHaveTextContent("Settings");
  });
  it("does in the palette what the page and its look can do", async () => {
    hubAnswers(hub);
    drawAt("/nowhere");
    await screen.findByRole("heading", { name: "There is no such page" });
    await userEvent.keyboard("{Control>}k{/Control}");
    const box = await screen.findByRole("combobox", { name: "Search or run…" });
    await userEvent.type(box, ">theme: dark");
    expect(await screen.findByRole("option", { name: /Theme: Dark/ })).toBeInTheDocument();
    await userEvent.keyboard("{Enter}");
    await waitFor(() => expect(document.documentElement).toHaveAttribute("data-mantine-color-scheme", "dark"));
    await userEvent.keyboard("{Control>}k{/Control}");
    await userEvent.type(await screen.findByRole("combobox", { name: "Search or run…" }), ">keyboard");
    await userEvent.click(await screen.findByRole("option", { name: /Keyboard shortcuts/ }));
    expect(await screen.findByRole("dialog", { name: "Keyboard shortcuts" })).toBeInTheDocument();
  });
  it("offers in the palette only what the person may do", async () => {
    const asked = hubAnswers({
      ...hub,
      "GET /whoami": () => ({ name: "ana", admin: false, createdAt: "", expiresAt: "" }),
      "POST /can-i": (a) => ({ allowed: (a.body as { resource: string }).resource !== "enrolment-tokens" }),
    });
    localStorage.setItem(
      "hawser.recent",
      JSON.stringify([
        { id: "enrol", title: "Enrol", to: "/enrol", needs: { verb: "create", resource: "enrolment-tokens" } },
        { id: "/audit", title: "Audit", to: "/audit", needs: { verb: "get", resource: "audit" } },
      ]),
    );
    drawAt("/nowhere");
    await screen.findByRole("heading", { name: "There is no such page" });
    await userEvent.keyboard("{Control>}k{/Control}");
    const recent = await screen.findByRole("group", { name: "Recent" });
    expect(within(recent).getByRole("option")).toHaveTextContent("Audit");
    expect(await screen.findByRole("option", { name: /Add repository/ })).toBeInTheDocument();
    expect(screen.queryByRole("option", { name: /Enrol/ })).toBeNull();
    const questions = asked.filter((a) => a.path === "/can-i").map((a) => a.body);
    expect(questions).toHaveLength(3); // each once
    expect(questions).toContainEqual({ verb: "create", resource: "repositories" });
  });
  it("copies the link to the view that is shown", async () => {
    hubAnswers(hub);
    const user = userEvent.setup();
    const copied = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
    drawAt("/nowhere");
    await screen.findByRole("heading", { name: "There is no such page" });
    await user.keyboard("c");
    expect(copied).toHaveBeenCalledWith(location.href);
  });
  it("lists its keys, and switches them off", async () => {
    hubAnswers(hub);
    drawAt("/nowhere");
    await screen.findByRole("heading", { name: "There is no such page" });
    await userEvent.keyboard("?");
    const dialog = await screen.findByRole("dialog", { name: "Keyboard shortcuts" });
    expect(within(dialog).getByText("Applications")).toBeInTheDocument();
    await userEvent.click(within(dialog).getByRole("switch", { name: "Single-key shortcuts" }));
    expect(localStorage.getItem("hawser.chords")).toBe("off");
    await userEvent.click(within(dialog).getByRole("switch", { name: "Single-key shortcuts" }));
  });
  it("says that the hub does not answer, and tries again", async () => {
    let away = true;
    hubAnswers({
      ...hub,
      "GET /whoami": () =>
        away
          ? problemAnswer(503, "database_away", "the database does not answer", { id: "HW-9" })
          : { name: "ana", admin: false, createdAt: "", expiresAt: "" },
    });
    drawAt("/nowhere");
    expect(await screen.findByRole("alert")).toHaveTextContent("This did not work HW-9");
    away = false;
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(await screen.findByRole("heading", { name: "There is no such page" })).toBeVisible();
  });
  it("asks for the password before a dangerous command, and goes on with it", async () => {
    let fresh = false;
    const asked = hubAnswers({
      ...hub,
      "DELETE /applications/:name": () =>
        fresh ? undefined : problemAnswer(403, "login_confirmation_needed", "confirm"),
      "POST /session/confirm": (a) => {
        if ((a.body as { password: string }).password !== "right")
          return problemAnswer(401, "login_failed", "that is wrong");
        fresh = true;
        return { name: "ana", expiresAt: "" };
      },
    });
    drawAt("/nowhere");
    await screen.findByRole("heading", { name: "There is no such page" });
    const command = api.deleteApplication("api");
    const dialog = await screen.findByRole("dialog", { name: "Confirm that it is you" });
    const password = await within(dialog).findByLabelText(/Password/, { selector: "input" });
    await userEvent.type(password, "wrong{Enter}");
    expect(await within(dialog).findByText("that is wrong")).toBeInTheDocument();
    await expectAccessible();
    await userEvent.clear(password);
    await userEvent.type(password, "right{Enter}");
    await command;
    expect(asked.filter((a) => a.method === "DELETE")).toHaveLength(2);
  });
});

describe("the login", () => {
  it("comes when the session has ended, says why it is refused, and leads back", async () => {
    let session = false;
    const asked = hubAnswers({
      ...hub,
      "GET /whoami": () =>
        session
          ? { name: "ana", admin: true, createdAt: "", expiresAt: "" }
          : problemAnswer(401, "session_expired", "the session has ended"),
      "POST /login": (a) => {
        if ((a.body as { password: string }).password !== "right")
          return problemAnswer(401, "login_failed", "no", { id: "HW-3037" });
        session = true;
        return { name: "ana", expiresAt: "" };
      },
    });
    const { router, container } = drawAt("/settings?project=team-pay");
    expect(await screen.findByRole("heading", { name: "Log in to Hawser" })).toBeVisible();
    expect(await screen.findByRole("link", { name: "Continue with acme" })).toHaveAttribute(
      "href",
      "/auth/login?provider=acme&return=%2Fsettings%3Fproject%3Dteam-pay",
    );
    await userEvent.type(screen.getByLabelText(/User name/), "ana");
    await userEvent.type(screen.getByLabelText(/Password/, { selector: "input" }), "wrong{Enter}");
    expect(await screen.findByRole("alert")).toHaveTextContent("The user name or the password is wrong. HW-3037");
    await expectAccessible(container);
    await userEvent.type(screen.getByLabelText(/Password/, { selector: "input" }), "right{Enter}");
    await waitFor(() => expect(router.state.location.href).toBe("/settings?project=team-pay"));
    expect(await screen.findByRole("heading", { level: 1, name: "Settings" })).toBeVisible();
    expect(asked.find((a) => a.path === "/login")?.body).toMatchObject({ browser: true });
  });
  it("says how long to wait after too many attempts", async () => {
    hubAnswers({
      ...hub,
      "POST /login": () =>
        new Response(JSON.stringify({ code: "too_many_logins", detail: "x", status: 429 }), {
          status: 429,
          headers: { "Retry-After": "30" },
        }),
    });
    drawAt("/login");
    await userEvent.type(await screen.findByLabelText(/User name/), "ana");
    await userEvent.type(screen.getByLabelText(/Password/, { selector: "input" }), "x{Enter}");
    expect(await screen.findByRole("alert")).toHaveTextContent("Try again in 30 seconds");
  });
});

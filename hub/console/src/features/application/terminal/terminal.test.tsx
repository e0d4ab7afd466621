import { act, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { draw, drawAt, expectAccessible, hubAnswers, problemAnswer } from "../../../test/render";
import { leavesTerminal } from "./keys";
import { decodeEnd, pageOf } from "./protocol";
import type { ScreenProps } from "./Screen";
import { Shell } from "./Shell";

// The terminal itself needs a browser: e2e/walk.spec.ts has it.
let drawn: ScreenProps | undefined;
vi.mock("./Screen", () => ({
  default: (props: ScreenProps) => {
    drawn = props;
    return <textarea aria-label={props.label} />;
  },
}));

import { openSession } from "./session";

const bytes = (text: string) => new TextEncoder().encode(text);

describe("what comes at the end", () => {
  it("is an exit code, a problem, or nothing that is known", () => {
    expect(decodeEnd(bytes('{"exitCode":130}'))).toEqual({ exitCode: 130 });
    const end = decodeEnd(bytes('{"code":"exec_disabled","id":"HW-1","detail":"not here","status":403}'));
    expect(end).toMatchObject({ problem: { code: "exec_disabled", id: "HW-1", message: "not here", status: 403 } });
    for (const text of ["", "null", "7", "[]", '{"exitCode":"0"}', "{"])
      expect(decodeEnd(bytes(text))).toEqual({ lost: true });
  });
});

describe("links that a program writes", () => {
  it("lead to pages only", () => {
    expect(pageOf("https://example.com/a?b#c")).toBe("https://example.com/a?b#c");
    for (const link of ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "/apps", "ssh://h", ""])
      expect(pageOf(link)).toBeUndefined();
  });
});

describe("the chord that leaves", () => {
  it("is one that no program gets, and nothing else", () => {
    const key = { ctrlKey: true, shiftKey: true, altKey: false, metaKey: false, code: "KeyX" };
    expect(leavesTerminal(key)).toBe(true);
    for (const other of [
      { shiftKey: false },
      { altKey: true },
      { code: "Tab" },
      { code: "Escape" },
      { ctrlKey: false },
    ])
      expect(leavesTerminal({ ...key, ...other })).toBe(false);
  });
});

class FakeSocket {
  static readonly OPEN = 1;
  static last: FakeSocket;
  readyState = 1;
  binaryType = "";
  sent: Uint8Array[] = [];
  onopen?: () => void;
  onmessage?: (e: { data: unknown }) => void;
  onclose?: () => void;
  constructor(
    readonly url: URL,
    readonly protocol: string,
  ) {
    FakeSocket.last = this;
  }
  send(b: Uint8Array) {
    this.sent.push(b);
  }
  close() {
    this.readyState = 3;
    this.onclose?.();
  }
}

describe("a session", () => {
  const real = globalThis.WebSocket;
  beforeEach(() => vi.stubGlobal("WebSocket", FakeSocket));
  afterEach(() => vi.stubGlobal("WebSocket", real));

  const open = (explain: () => Promise<unknown> = () => Promise.resolve()) => {
    const on = { onOpen: vi.fn(), onOutput: vi.fn(), onEnd: vi.fn() };
    return { on, session: openSession("/api/v1/applications/shop/exec?pod=p", explain, on), socket: FakeSocket.last };
  };

  it("speaks the hub's protocol and tells its end once", () => {
    const { on, session, socket } = open();
    expect(socket.protocol).toBe("v1.exec.hawser.dev");
    expect(socket.url.pathname).toBe("/api/v1/applications/shop/exec");
    socket.onopen?.();
    session.input(bytes("ls\r"));
    session.resize(100, 30);
    session.input(new Uint8Array(70_000));
    expect(socket.sent.map((m) => [m[0], m.length])).toEqual([
      [0, 4],
      [4, 1 + '{"columns":100,"rows":30}'.length],
      [0, 32 * 1024 + 1],
      [0, 32 * 1024 + 1],
      [0, 70_000 - 64 * 1024 + 1],
    ]);
    socket.onmessage?.({ data: "text is not the protocol" });
    socket.onmessage?.({ data: new Uint8Array([1, 104, 105]).buffer });
    expect(on.onOutput.mock.calls).toEqual([[new Uint8Array([104, 105])]]);
    socket.onmessage?.({ data: new Uint8Array([3, ...bytes('{"exitCode":2}')]).buffer });
    socket.onmessage?.({ data: new Uint8Array([1, 104]).buffer });
    expect(on.onEnd.mock.calls).toEqual([[{ exitCode: 2 }]]);
    expect(on.onOutput).toHaveBeenCalledTimes(1);
  });

  it("asks why it did not open", async () => {
    const denied = new Error("you may not");
    const { on, socket } = open(() => Promise.reject(denied));
    socket.close();
    await vi.waitFor(() => expect(on.onEnd.mock.calls).toEqual([[{ problem: denied }]]));
  });

  it("that breaks off says so", () => {
    const { on, socket } = open();
    socket.onopen?.();
    socket.close();
    expect(on.onEnd.mock.calls).toEqual([[{ lost: true }]]);
  });

  it("that the page ends is silent", () => {
    const { on, session, socket } = open();
    socket.onopen?.();
    session.close();
    expect(on.onEnd).not.toHaveBeenCalled();
  });
});

const app = {
  ...{ uid: "u", name: "shop", project: "pay", cluster: "eu", autoSync: false, generation: 1, freshness: "live" },
  ...{ desired: { commit: "0123456789" }, sync: { status: "Synced" }, health: { status: "Healthy" }, resources: [] },
};
const pod = { kind: "Pod", namespace: "pay", name: "api-x", version: "v1", uid: "p", health: { status: "Healthy" } };
const routes = {
  "GET /applications/:name": () => app,
  "GET /applications": () => ({ items: [], total: 0, asOf: "" }),
  "GET /applications/:name/tree": () => ({ truncated: false, freshness: "live", nodes: [pod] }),
  "GET /applications/:name/resource": () => ({
    metadata: { uid: "p", annotations: { "kubectl.kubernetes.io/default-container": "web" } },
    spec: { containers: [{ name: "proxy" }, { name: "web" }] },
  }),
};

describe("the tab", () => {
  it("opens a shell in the usual container, says how it ended, and opens another", async () => {
    hubAnswers(routes);
    draw(<Shell name="shop" pod={pod} />);
    expect(await screen.findByRole("textbox", { name: "Terminal of web in api-x" })).toBeVisible();
    expect(drawn).toMatchObject({ pod: "api-x", namespace: "pay", container: "web" });
    expect(screen.getByText("Connecting…")).toBeVisible();
    act(() => drawn?.onOpen());
    expect(screen.getByText(/^Connected/)).toBeVisible();
    expect(screen.getByText(/^hawser app exec shop --pod api-x -n pay -c web/)).toBeVisible();
    await expectAccessible();
    act(() => drawn?.onLeave());
    expect(screen.getByRole("button", { name: "New session" })).toHaveFocus();
    act(() => drawn?.onEnd({ exitCode: 3 }));
    expect(screen.getByText("The shell has ended with exit code 3.")).toBeVisible();
    const before = drawn;
    await userEvent.click(screen.getByRole("button", { name: "New session" }));
    expect(screen.getByText("Connecting…")).toBeVisible();
    expect(drawn).not.toBe(before);
  }, 60_000);

  it("says why it is denied, and when there is no pod", async () => {
    hubAnswers(routes);
    const { unmount } = draw(<Shell name="shop" pod={pod} />);
    await screen.findByRole("textbox", { name: "Terminal of web in api-x" });
    const { Problem } = await import("../../../problem");
    act(() =>
      drawn?.onEnd({
        problem: new Problem({ code: "exec_disabled", id: "HW-4999", status: 403, detail: "no shells here" }),
      }),
    );
    expect(await screen.findByText(/no shells here/)).toBeVisible(); // once
    expect(screen.queryByText(/leaves the terminal/)).toBeNull();
    expect(screen.queryByRole("textbox", { name: /^Terminal/ })).toBeNull();
    unmount();
    hubAnswers({
      ...routes,
      "GET /applications/:name/tree": () => ({ truncated: false, freshness: "live", nodes: [] }),
    });
    drawAt("/apps/shop?tab=terminal");
    expect(await screen.findByText("No pods")).toBeVisible();
  });

  it("says why the pod cannot be read", async () => {
    hubAnswers({
      ...routes,
      "GET /applications/:name/resource": () => problemAnswer(503, "agent_offline", "eu is away"),
    });
    drawAt("/apps/shop?tab=terminal");
    expect(await screen.findByText(/eu is away/)).toBeVisible();
  });
});

import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Problem } from "../problem";
import { LiveConnection, type LiveEvent, type LiveState } from "./connection";
import { liveInvalidator } from "./rules";

const bytes = (s: string) => new TextEncoder().encode(s);

/** A hub whose streams the test writes. */
function hub() {
  const streams: {
    send: (s: string) => void;
    raw: (b: Uint8Array) => void;
    end: () => void;
    headers: Headers;
    closed: boolean;
  }[] = [];
  let refuse: unknown;
  const fetch = async (_: string, init: RequestInit) => {
    if (refuse !== undefined) throw refuse;
    let controller!: ReadableStreamDefaultController<Uint8Array>;
    const stream = {
      send: (s: string) => controller.enqueue(bytes(s)),
      raw: (b: Uint8Array) => controller.enqueue(b),
      end: () => controller.close(),
      headers: new Headers(init.headers),
      closed: false,
    };
    streams.push(stream);
    init.signal?.addEventListener("abort", () => {
      stream.closed = true;
      controller.error(new DOMException("", "AbortError"));
    });
    return new Response(
      new ReadableStream<Uint8Array>({
        start: (c) => {
          controller = c;
        },
      }),
    );
  };
  return {
    streams,
    fetch,
    refuse: (e: unknown) => {
      refuse = e;
    },
  };
}

function connected() {
  const h = hub();
  const states: LiveState[] = [];
  const frames: LiveEvent[][] = [];
  const onReset = vi.fn();
  const c = new LiveConnection({
    url: "/api/v1/events",
    fetch: h.fetch,
    onState: (s) => states.push(s),
    onFrame: (f) => frames.push(f),
    onReset,
  });
  c.open();
  return { h, c, states, frames, onReset, phase: () => states[states.length - 1]?.phase };
}

const settle = () => vi.advanceTimersByTimeAsync(5);
const hello = 'id: a-1\nevent: hello\ndata: {"version":"1"}\n\n';
const app = (n: number, uid: string, health: string) =>
  `id: a-${n}\nevent: application\ndata: {"uid":"${uid}","name":"${uid}","health":"${health}"}\n\n`;

let open: { c: LiveConnection } | undefined;
beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  open?.c.close();
  vi.useRealTimers();
});

describe("the stream", () => {
  it("hands on at most two frames a second, each thing once", async () => {
    const l = connected();
    open = l;
    await settle();
    l.h.streams[0]?.send(hello);
    await settle();
    expect(l.phase()).toBe("live");
    for (let i = 0; i < 100; i++) {
      l.h.streams[0]?.send(app(i + 2, `app-${i % 4}`, `h${i}`));
      await vi.advanceTimersByTimeAsync(20);
    }
    await vi.advanceTimersByTimeAsync(600);
    expect(l.frames.length).toBeLessThanOrEqual(6);
    expect(l.frames.every((f) => f.length <= 4)).toBe(true);
    expect(l.frames[l.frames.length - 1]).toContainEqual({
      type: "application",
      data: { uid: "app-3", name: "app-3", health: "h99" },
    });
  });
  it("takes events that come in pieces", async () => {
    const l = connected();
    open = l;
    await settle();
    const all = bytes(hello + app(2, "größe", "x"));
    for (let i = 0; i < all.length; i += 3) l.h.streams[0]?.raw(all.slice(i, i + 3));
    await vi.advanceTimersByTimeAsync(600);
    expect(l.frames[0]?.[0]).toMatchObject({ type: "application", data: { name: "größe" } });
  });
  it("resumes where it was lost, with growing pauses", async () => {
    const l = connected();
    open = l;
    await settle();
    l.h.streams[0]?.send(hello + app(7, "x", "y"));
    await settle();
    l.h.streams[0]?.end();
    await settle();
    expect(l.phase()).toBe("reconnecting");
    l.h.refuse(new Problem({ status: 0, code: "hub_unreachable" }));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(l.phase()).toBe("reconnecting");
    l.h.refuse(undefined);
    await vi.advanceTimersByTimeAsync(40_000);
    expect(l.h.streams).toHaveLength(2);
    expect(l.h.streams[1]?.headers.get("Last-Event-ID")).toBe("a-7");
    l.h.streams[1]?.send(hello);
    await settle();
    expect(l.phase()).toBe("live");
  });
  it("ends a connection on which nothing is heard", async () => {
    const l = connected();
    open = l;
    await settle();
    l.h.streams[0]?.send(hello);
    await vi.advanceTimersByTimeAsync(45_000);
    l.h.streams[0]?.send(": still here\n\n");
    await vi.advanceTimersByTimeAsync(45_000);
    expect(l.h.streams).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(l.h.streams[0]?.closed).toBe(true);
    expect(l.h.streams).toHaveLength(2);
  });
  it("has everything read again after a gap", async () => {
    const l = connected();
    open = l;
    await settle();
    l.h.streams[0]?.send(`${hello}${app(2, "x", "y")}id: b-1\nevent: reset\ndata: {}\n\n`);
    await vi.advanceTimersByTimeAsync(600);
    expect(l.onReset).toHaveBeenCalledOnce();
    expect(l.frames).toHaveLength(0);
  });
  it("tries no more when the login has ended", async () => {
    const l = connected();
    open = l;
    await settle();
    l.h.streams[0]?.send(`${hello}event: end\ndata: {"code":"permission_revoked","detail":"gone"}\n\n`);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(l.phase()).toBe("ended");
    expect(l.h.streams).toHaveLength(1);
  });
  it("pauses and goes on", async () => {
    const l = connected();
    open = l;
    await settle();
    l.h.streams[0]?.send(hello);
    await settle();
    l.c.pause();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(l.phase()).toBe("paused");
    expect(l.h.streams).toHaveLength(1);
    l.c.resume();
    await settle();
    expect(l.h.streams).toHaveLength(2);
  });
});

describe("what events invalidate", () => {
  it("is the thing at once, lists at most every two seconds, and nothing that listens for itself", async () => {
    const client = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY } } });
    const keys = [
      ["applications", "detail", "api"],
      ["applications", "detail", "web"],
      ["applications", "list", {}],
      ["applications", "list", { mine: true }],
      ["fleet", "summary"],
      ["projects", "list", {}],
    ];
    client.setQueryDefaults(["applications", "list", { mine: true }], { meta: { live: "manual" } });
    for (const key of keys) client.setQueryData(key, 1);
    const stale = () =>
      client
        .getQueryCache()
        .getAll()
        .filter((q) => q.state.isInvalidated)
        .map((q) => JSON.stringify(q.queryKey));
    const invalidate = liveInvalidator(client);
    const event: LiveEvent = { type: "application", data: { uid: "1", name: "api" } };
    invalidate([event]);
    expect(stale()).toEqual(['["applications","detail","api"]']);
    await vi.advanceTimersByTimeAsync(1);
    expect(stale()).toEqual(['["applications","detail","api"]', '["applications","list",{}]', '["fleet","summary"]']);
    client.setQueryData(["applications", "list", {}], 2);
    invalidate([event]);
    await vi.advanceTimersByTimeAsync(1500);
    expect(stale()).not.toContain('["applications","list",{}]');
    await vi.advanceTimersByTimeAsync(600);
    expect(stale()).toContain('["applications","list",{}]');
  });
});

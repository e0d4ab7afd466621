import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { Problem } from "../problem";
import { draw, expectAccessible } from "../test/render";
import { CliLine } from "./CliLine";
import { ConfirmDialog } from "./ConfirmDialog";
import { CopyButton } from "./CopyButton";
import { MiddleTruncate, PlainText, SafeLink } from "./PlainText";
import { states } from "./palette";
import { RelativeTime } from "./RelativeTime";
import { SideSheet } from "./SideSheet";
import { StatusIcon, StatusText } from "./StatusIcon";
import { details, EmptyView, ErrorView, FilteredEmpty, PartialBanner } from "./states";

const hostile = `<img src=x onerror="alert(1)">\u001b[31m\u202egnp.exe`;

describe("an error", () => {
  it("says that the hub does not answer only when nothing of the hub's came", () => {
    const { unmount } = draw(<ErrorView error={new Problem({ status: 503, code: "agent_offline", id: "HW-6001" })} />);
    expect(screen.getByRole("heading")).not.toHaveTextContent("The hub does not answer");
    unmount();
    draw(<ErrorView error={new Problem({ status: 502, code: "answer_invalid" })} />);
    expect(screen.getByRole("heading")).toHaveTextContent("The hub does not answer");
  });
  it("says what happened, its code and what to do, and is tried again", async () => {
    const retry = vi.fn();
    const { container } = draw(
      <ErrorView
        error={new Problem({ status: 503, code: "database_away", id: "HW-9001", detail: hostile, fix: "wait" })}
        onRetry={retry}
      />,
    );
    const alert = screen.getByRole("alert");
    expect(alert).toHaveTextContent("This did not work HW-9001");
    expect(alert).toHaveTextContent('<img src=x onerror="alert(1)">⟨U+202E⟩gnp.exe');
    expect(container.querySelector("img")).toBeNull();
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(retry).toHaveBeenCalledOnce();
    await expectAccessible(container);
  });
  it("that is a refusal says so, and has nothing to try again", () => {
    draw(
      <ErrorView
        error={new Problem({ status: 403, code: "permission_denied", id: "HW-4101", detail: "no" })}
        onRetry={() => {}}
      />,
    );
    expect(screen.getByRole("heading")).toHaveTextContent("Not allowed HW-4101");
    expect(screen.queryByRole("button", { name: "Try again" })).toBeNull();
  });
  it("is copied with everything that helps", () => {
    const text = details(
      new Problem({ status: 409, code: "conflict", id: "HW-1", detail: "d", requestId: "r1", traceId: "t1" }),
    );
    expect(text).toContain("code: HW-1 conflict");
    expect(text).toContain("request: r1");
    expect(text).toContain("trace: t1");
  });
});

describe("nothing to show", () => {
  it("is explained, with something to do", async () => {
    const { container } = draw(
      <EmptyView title="No clusters yet" actions={<button type="button">Enrol</button>}>
        A cluster is…
      </EmptyView>,
    );
    expect(screen.getByRole("button", { name: "Enrol" })).toBeVisible();
    await expectAccessible(container);
  });
  it("because of the filter says which word to drop", async () => {
    const drop = vi.fn();
    draw(<FilteredEmpty total={10412} drop={{ term: "env:prod", leaves: 12 }} onDrop={drop} onClear={() => {}} />);
    expect(screen.getByRole("status")).toHaveTextContent("0 of 10,412 match");
    await userEvent.click(screen.getByRole("button", { name: "Without env:prod: 12" }));
    expect(drop).toHaveBeenCalledWith("env:prod");
  });
  it("in part is told", () => {
    draw(<PartialBanner>3 clusters are stale</PartialBanner>);
    expect(screen.getByRole("status")).toHaveTextContent("3 clusters are stale");
  });
});

describe("a state", () => {
  it.each(states)("%s has a word and a shape of its own", async (state) => {
    const { container } = draw(<StatusText state={state} />);
    expect(container.querySelector("svg")).not.toBeNull();
    expect(container.textContent).not.toBe("");
    await expectAccessible(container);
  });
  it("draws every shape differently", () => {
    const drawn = states.map(
      (state) => draw(<StatusIcon state={state} label={state} />).container.querySelector("svg")?.innerHTML,
    );
    expect(new Set(drawn).size).toBe(states.length);
  });
  it("that is old is hatched and says of when it is", () => {
    const { container } = draw(<StatusText state="healthy" asOf="14m" />);
    expect(container.querySelector("[data-stale]")).not.toBeNull();
    expect(container).toHaveTextContent("Healthy 14m");
  });
});

describe("a stranger's text", () => {
  it("is text, and the rest of a long one is on request", async () => {
    const { container } = draw(<PlainText text={`${hostile}${"x".repeat(10_000)}`} lines={3} />);
    expect(container.querySelector("img")).toBeNull();
    const shown = () => container.querySelector("bdi")?.textContent?.length;
    expect(shown()).toBeLessThan(2200);
    await userEvent.click(screen.getByRole("button"));
    expect(shown()).toBeGreaterThan(10_000);
  });
  it.each(["javascript:alert(1)", "data:text/html,x", "  javascript:alert(1)"])("%s is no link", (href) => {
    const { container } = draw(<SafeLink href={href}>click</SafeLink>);
    expect(container.querySelector("a")).toBeNull();
    expect(container).toHaveTextContent("click");
  });
  it("that is an address is a link that tells nobody where it is from", () => {
    draw(<SafeLink href="https://git.acme.io/x">x</SafeLink>);
    expect(screen.getByRole("link")).toHaveAttribute("rel", "noopener noreferrer nofollow");
  });
  it("that is cut is whole to readers", () => {
    draw(<MiddleTruncate text="payments-api-7c9f8d-x2x4z" most={13} />);
    expect(screen.getByText("payments-api-7c9f8d-x2x4z")).toHaveClass("visually-hidden");
  });
});

describe("a time", () => {
  it("is how long ago, and goes on", () => {
    vi.useFakeTimers({ now: new Date("2026-03-01T12:00:00Z") });
    try {
      const { container } = draw(<RelativeTime at="2026-03-01T11:46:00Z" />);
      expect(container).toHaveTextContent("14 minutes ago");
      expect(container.querySelector("time")).toHaveAttribute("datetime", "2026-03-01T11:46:00.000Z");
    } finally {
      vi.useRealTimers();
    }
  });
  it("is in the language", () => {
    const { container } = draw(<RelativeTime at={new Date(Date.now() - 3 * 3_600_000)} />, { locale: "de" });
    expect(container).toHaveTextContent("vor 3 Stunden");
  });
  it("is the date and time for whoever prefers that, and how long ago on hover", () => {
    localStorage.setItem("hawser.look", JSON.stringify({ times: "utc" }));
    vi.useFakeTimers({ now: new Date("2026-03-01T12:00:00Z") });
    try {
      const { container } = draw(
        <>
          <RelativeTime at="2026-03-01T11:46:05Z" short />
          <RelativeTime at="2025-03-01T11:46:05Z" />
        </>,
      );
      const [short, long] = container.querySelectorAll("time");
      expect(short).toHaveTextContent(/^Mar 1, 11:46 UTC$/);
      expect(short).toHaveAttribute("title", "13 minutes ago");
      expect(long).toHaveTextContent(/^Mar 1, 2025, 11:46:05 UTC$/);
    } finally {
      vi.useRealTimers();
      localStorage.clear();
    }
  });
  it("that is none is never", () => {
    expect(draw(<RelativeTime at="x" />).container).toHaveTextContent("never");
  });
});

describe("a copy", () => {
  it("says that it is made, or that the browser forbids it", async () => {
    const user = userEvent.setup();
    draw(<CliLine command="hawser app sync api" />);
    await user.click(screen.getByRole("button", { name: "Copy Copy as hawser" }));
    expect(await navigator.clipboard.readText()).toBe("hawser app sync api");
    expect(screen.getByRole("status")).toHaveTextContent("Copied");
  });
  it("fails aloud", async () => {
    const user = userEvent.setup();
    vi.spyOn(navigator.clipboard, "writeText").mockRejectedValue(new Error("denied"));
    draw(<CopyButton value="x" label="Copy details" />);
    await user.click(screen.getByRole("button"));
    expect(screen.getByRole("status")).toHaveTextContent("did not allow");
  });
});

describe("a confirmation", () => {
  it("wants the word, shows what goes wrong, and closes when it is done", async () => {
    const confirm = vi
      .fn()
      .mockRejectedValueOnce(new Problem({ code: "conflict", id: "HW-7", detail: "changed meanwhile" }));
    const close = vi.fn();
    draw(
      <ConfirmDialog title="Delete 3 applications" action="Delete 3" type="3" onConfirm={confirm} onClose={close}>
        42 objects are pruned.
      </ConfirmDialog>,
    );
    const button = await screen.findByRole("button", { name: "Delete 3" });
    expect(button).toBeDisabled();
    await userEvent.type(screen.getByLabelText("Type 3 to confirm"), "3");
    await userEvent.click(button);
    expect(await screen.findByRole("alert")).toHaveTextContent("changed meanwhile HW-7");
    expect(close).not.toHaveBeenCalled();
    confirm.mockResolvedValueOnce(undefined);
    await userEvent.click(screen.getByRole("button", { name: "Delete 3" }));
    expect(close).toHaveBeenCalledOnce();
    await expectAccessible();
  });
});

describe("a side sheet", () => {
  it("takes the focus and is named", async () => {
    const close = vi.fn();
    const { container } = draw(
      <SideSheet title="Deployment/api" onClose={close}>
        content
      </SideSheet>,
    );
    expect(screen.getByRole("complementary")).toHaveFocus();
    await userEvent.click(screen.getByRole("button", { name: "Close" }));
    expect(close).toHaveBeenCalledOnce();
    await expectAccessible(container);
  });
});

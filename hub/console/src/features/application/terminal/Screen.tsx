import { FitAddon } from "@xterm/addon-fit";
import { type ITheme, Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { useEffect, useRef } from "react";
import { api, hubFetch } from "../../../client";
import { leavesTerminal } from "./keys";
import { type End, pageOf, shellCommand } from "./protocol";
import { openSession } from "./session";
import classes from "./Terminal.module.css";

export interface ScreenProps {
  name: string;
  namespace?: string;
  pod: string;
  container?: string;
  label: string;
  describedBy: string;
  onOpen: () => void;
  onEnd: (end: End) => void;
  /** Where the link leads that the pointer is on. */
  onLink: (to: string | undefined) => void;
  /** Gives the focus back to the page. */
  onLeave: () => void;
}

/** The colours of the page as they are now. */
function themeOf(): ITheme {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string) => style.getPropertyValue(`--hw-${name}`).trim() || undefined;
  return {
    background: token("bg-sunken"),
    foreground: token("text"),
    cursor: token("text"),
    cursorAccent: token("bg-sunken"),
    selectionBackground: token("bg-selected"),
    red: token("degraded"),
    green: token("healthy"),
    yellow: token("drifted"),
    blue: token("accent"),
    magenta: token("suspended"),
    brightBlack: token("unknown"),
    scrollbarSliderBackground: token("border-strong"),
  };
}

/**
 * One session with a shell, from its first byte to its last; another one is another
 * Screen. What the container writes is shown by the terminal and by nothing else: it
 * sets no title, no clipboard, and its links lead to pages only.
 */
export default function Screen(props: ScreenProps) {
  const box = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const { name, namespace, pod, container, label, describedBy } = props;
  useEffect(() => {
    const host = box.current;
    if (host === null) return;
    const terminal = new Terminal({
      fontFamily: '"JetBrains Mono Variable", ui-monospace, monospace',
      fontSize: 13,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      scrollback: 5000,
      minimumContrastRatio: 4.5,
      theme: themeOf(),
      linkHandler: {
        allowNonHttpProtocols: false,
        activate: (_, link) => {
          const page = pageOf(link);
          if (page !== undefined) window.open(page, "_blank", "noopener,noreferrer");
        },
        hover: (_, link) => latest.current.onLink(pageOf(link)),
        leave: () => latest.current.onLink(undefined),
      },
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(host);
    // What is typed is the container's: Escape closes no sheet, and no key is a chord.
    // After its end they are the page's again, and Tab leads on.
    let over = false;
    const keep = (e: KeyboardEvent) => {
      if (!over) e.stopPropagation();
    };
    host.addEventListener("keydown", keep);
    terminal.textarea?.setAttribute("aria-label", label);
    terminal.textarea?.setAttribute("aria-describedby", describedBy);
    terminal.attachCustomKeyEventHandler((e) => {
      if (leavesTerminal(e)) {
        e.preventDefault();
        if (e.type === "keydown") latest.current.onLeave();
        return false;
      }
      if (over && !(e.ctrlKey || e.metaKey)) return false;
      if (e.ctrlKey && e.shiftKey && e.code === "KeyC" && terminal.hasSelection()) {
        e.preventDefault();
        if (e.type === "keydown") void navigator.clipboard?.writeText(terminal.getSelection()).catch(() => {});
        return false;
      }
      return !(e.ctrlKey && e.shiftKey && e.code === "KeyV"); // the browser pastes
    });
    fit.fit();
    const path = api.execResourcePath(name, {
      namespace,
      pod,
      container,
      command: [...shellCommand],
      tty: true,
      stdin: true,
      columns: terminal.cols,
      rows: terminal.rows,
      late: true,
    });
    const session = openSession(path, () => hubFetch(path), {
      onOpen: () => {
        session.resize(terminal.cols, terminal.rows);
        terminal.focus();
        latest.current.onOpen();
      },
      onOutput: (bytes) => terminal.write(bytes),
      onEnd: (end) => {
        over = true;
        terminal.options.disableStdin = true;
        terminal.options.cursorBlink = false;
        latest.current.onEnd(end);
      },
    });
    const encoder = new TextEncoder();
    terminal.onData((text) => session.input(encoder.encode(text)));
    terminal.onBinary((text) => session.input(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    terminal.onResize(({ cols, rows }) => session.resize(cols, rows));
    const sized = new ResizeObserver(() => {
      if (host.clientWidth > 0 && host.clientHeight > 0) fit.fit();
    });
    sized.observe(host);
    const themed = new MutationObserver(() => {
      terminal.options.theme = themeOf();
    });
    themed.observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-mantine-color-scheme", "data-contrast"],
    });
    return () => {
      host.removeEventListener("keydown", keep);
      sized.disconnect();
      themed.disconnect();
      session.close();
      terminal.dispose();
    };
  }, [name, namespace, pod, container, label, describedBy]);
  return <div ref={box} className={classes.screen} />;
}

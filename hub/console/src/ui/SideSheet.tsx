import { ActionIcon, Tooltip } from "@mantine/core";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useT } from "../i18n";
import { useChord } from "./chords";
import { Icon } from "./Icon";
import classes from "./SideSheet.module.css";

/**
 * A sheet at the right of a view, about one thing of it. It is a part of the URL: the
 * view shows it when the URL says so, and onClose changes the URL. Esc closes it,
 * Shift+Esc pins it, so that Esc is for the view again. On narrow screens it covers the page.
 */
export function SideSheet({
  title,
  actions,
  onClose,
  children,
  width = 480,
}: {
  title: ReactNode;
  actions?: ReactNode;
  onClose: () => void;
  children: ReactNode;
  width?: number;
}) {
  const t = useT();
  const [pinned, setPinned] = useState(false);
  const sheet = useRef<HTMLElement>(null);
  const before = useRef<Element | null>(null);
  useEffect(() => {
    before.current = document.activeElement;
    sheet.current?.focus({ preventScroll: true });
    return () => {
      // Back to where one came from, if that is still there.
      if (before.current instanceof HTMLElement && before.current.isConnected)
        before.current.focus({ preventScroll: true });
    };
  }, []);
  useChord("Escape", t("ui.close"), t("ui.sheet.keys"), (e) => {
    if (e.shiftKey) setPinned(!pinned);
    else if (!pinned) onClose();
  });
  const label = pinned ? t("ui.sheet.unpin") : t("ui.sheet.pin");
  return (
    <aside
      ref={sheet}
      className={classes.sheet}
      tabIndex={-1}
      aria-label={t("ui.sheet")}
      style={{ "--sheet": `${width}px` } as never}
    >
      <header className={classes.header}>
        <h2>{title}</h2>
        <div className={classes.actions}>
          {actions}
          <Tooltip label={label}>
            <ActionIcon
              aria-label={label}
              aria-pressed={pinned}
              onClick={() => setPinned(!pinned)}
              className={classes.pin}
            >
              <Icon name="pin" size={14} />
            </ActionIcon>
          </Tooltip>
          <ActionIcon aria-label={t("ui.close")} onClick={onClose}>
            <Icon name="close" />
          </ActionIcon>
        </div>
      </header>
      <div className={classes.content}>{children}</div>
    </aside>
  );
}

/** A view with room for a sheet beside it. */
export function WithSheet({ sheet, children }: { sheet?: ReactNode; children: ReactNode }) {
  return (
    <div className={classes.split}>
      <div className={classes.view}>{children}</div>
      {sheet}
    </div>
  );
}

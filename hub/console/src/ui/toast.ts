import { notifications } from "@mantine/notifications";
import type { T } from "../i18n";
import { Problem } from "../problem";
import { plainLine } from "./plain";

/** Says that something was done, in a corner and to readers. */
export function toast(title: string, message = ""): void {
  notifications.show({ title: plainLine(title), message: plainLine(message), autoClose: 5000 });
}

/** Says what went wrong with something that somebody did; it stays until it is closed. */
export function toastProblem(t: T, e: unknown): void {
  const p = Problem.of(e);
  notifications.show({
    title: `${t(p.isDenied ? "ui.denied.title" : p.isUnreachable ? "ui.error.unreachable" : "ui.error.title")} ${p.id || p.code}`,
    message: plainLine([p.message, p.fix].filter(Boolean).join(" · ").slice(0, 500)),
    color: "red",
    autoClose: false,
    role: "alert",
  });
}

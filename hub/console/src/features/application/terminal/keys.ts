/** How the chord is written that gives the keyboard back to the page. */
export const leaveChord = "Ctrl+Shift+X";

/** Everything else that is typed is the container's, Tab and Escape too. */
export function leavesTerminal(
  e: Pick<KeyboardEvent, "ctrlKey" | "shiftKey" | "altKey" | "metaKey" | "code">,
): boolean {
  return e.ctrlKey && e.shiftKey && !e.altKey && !e.metaKey && e.code === "KeyX";
}

import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { draw } from "../test/render";
import { installChords, setChordsOn, useChord } from "./chords";

const fleet = vi.fn();
const help = vi.fn();
const palette = vi.fn();
const open = vi.fn();
const pressed = vi.fn();
function Page() {
  useChord("g f", "Fleet", "Go to", fleet);
  useChord("?", "Help", "General", help);
  useChord("mod+k", "Palette", "General", palette);
  useChord("Enter", "Open", "General", open);
  return (
    <>
      <input aria-label="text" />
      <button type="button" onClick={pressed}>
        New
      </button>
    </>
  );
}
let remove = () => {};
beforeEach(() => {
  remove = installChords();
  for (const f of [fleet, help, palette, open, pressed]) f.mockClear();
  draw(<Page />);
});
afterEach(() => {
  remove();
  setChordsOn(true);
});

it("knows sequences, and what is typed between is no part of one", async () => {
  await userEvent.keyboard("gf");
  expect(fleet).toHaveBeenCalledOnce();
  await userEvent.keyboard("gxf");
  expect(fleet).toHaveBeenCalledOnce();
  await userEvent.keyboard("xggf");
  expect(fleet).toHaveBeenCalledTimes(2);
});
it("leaves text alone", async () => {
  await userEvent.type(screen.getByLabelText("text"), "gf?");
  expect(fleet).not.toHaveBeenCalled();
  expect(help).not.toHaveBeenCalled();
  await userEvent.keyboard("{Control>}k{/Control}");
  expect(palette).toHaveBeenCalledOnce();
});
it("is switched off, but for keys with Ctrl", async () => {
  setChordsOn(false);
  await userEvent.keyboard("gf?{Control>}k{/Control}");
  expect(fleet).not.toHaveBeenCalled();
  expect(help).not.toHaveBeenCalled();
  expect(palette).toHaveBeenCalledOnce();
});
it("leaves Enter to a button that has the focus", async () => {
  await userEvent.keyboard("{Enter}");
  expect(open).toHaveBeenCalledOnce();
  screen.getByRole("button", { name: "New" }).focus();
  await userEvent.keyboard("{Enter}");
  expect(pressed).toHaveBeenCalledOnce();
  expect(open).toHaveBeenCalledOnce();
});

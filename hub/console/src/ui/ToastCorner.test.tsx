import { screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { draw, expectAccessible } from "../test/render";
import ToastCorner from "./ToastCorner";
import { toast } from "./toast";

it("toasts have a button to close them that says so, in each language", async () => {
  draw(<ToastCorner />, { locale: "de" });
  toast("Gespeichert", "shop");
  expect(await screen.findByText("Gespeichert")).toBeVisible();
  expect(screen.getByRole("button", { name: "Schließen" })).toBeVisible();
  await expectAccessible();
});

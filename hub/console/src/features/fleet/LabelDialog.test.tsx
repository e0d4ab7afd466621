import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { draw, expectAccessible, hubAnswers, problemAnswer } from "../../test/render";
import LabelDialog from "./LabelDialog";

test("a label of many clusters: what it means, how many, then each against its version", async () => {
  const labels: Record<string, Record<string, string>> = { eu: { env: "prod" }, us: {}, ap: { ring: "2" } };
  const asked = hubAnswers({
    "GET /clusters/:name": (a) => {
      const name = a.path.split("/")[2] ?? "";
      return new Response(JSON.stringify({ name, labels: labels[name] }), {
        headers: { "Content-Type": "application/json", ETag: `"${name}-1"` },
      });
    },
    "PUT /clusters/:name/labels": (a) => {
      if (a.query.get("dryRun") === "true") return { invalidCount: a.path.includes("/eu/") ? 3 : 0, validCount: 1 };
      return a.path.includes("/us/") ? problemAnswer(412, "version_conflict", "it has changed", { id: "HW-1" }) : {};
    },
  });
  const onClose = vi.fn();
  draw(<LabelDialog names={["ap", "eu", "us"]} onClose={onClose} />);
  const dialog = within(await screen.findByRole("dialog", { name: "Label 3 clusters" }));
  const look = dialog.getByRole("button", { name: "See what it changes" });
  expect(look).toBeDisabled();
  fireEvent.change(dialog.getByLabelText("Key"), { target: { value: "ring" } });
  fireEvent.change(dialog.getByLabelText("Value"), { target: { value: "2" } });
  expect(dialog.getByText("hawser cluster label ap eu us ring=2 --overwrite")).toBeVisible();
  fireEvent.click(look);
  expect(await dialog.findByText(/2 clusters change, 1 are so already/)).toBeVisible();
  expect(dialog.getByText(/3 applications become invalid, 2 become valid/)).toBeVisible();
  expect(asked.filter((a) => a.method === "PUT" && !a.query.has("dryRun"))).toHaveLength(0);
  await expectAccessible();
  fireEvent.click(dialog.getByRole("button", { name: "Change 2 clusters" }));
  expect(await dialog.findByRole("alert")).toHaveTextContent("1 cluster was not changed");
  expect(dialog.getByRole("alert")).toHaveTextContent("us it has changed HW-1");
  const puts = asked.filter((a) => a.method === "PUT" && !a.query.has("dryRun"));
  expect(puts.map((a) => [a.path, a.body, a.headers.get("If-Match")])).toEqual([
    ["/clusters/eu/labels", { labels: { env: "prod", ring: "2" } }, '"eu-1"'],
    ["/clusters/us/labels", { labels: { ring: "2" } }, '"us-1"'],
  ]);
  expect(onClose).not.toHaveBeenCalled();
});

test("a label is removed where it is, in German too", async () => {
  const asked = hubAnswers({
    "GET /clusters/:name": () => ({ name: "eu", labels: { ring: "2", env: "prod" } }),
    "PUT /clusters/:name/labels": () => ({}),
  });
  const onClose = vi.fn();
  draw(<LabelDialog names={["eu"]} onClose={onClose} />, { locale: "de" });
  const dialog = within(await screen.findByRole("dialog", { name: "1 Cluster mit Label versehen" }));
  fireEvent.click(dialog.getByRole("radio", { name: "Label entfernen" }));
  fireEvent.change(dialog.getByLabelText("Schlüssel"), { target: { value: "ring" } });
  expect(dialog.getByText("hawser cluster label eu ring-")).toBeVisible();
  fireEvent.click(dialog.getByRole("button", { name: "Zeigen, was sich ändert" }));
  fireEvent.click(await dialog.findByRole("button", { name: "1 Cluster ändern" }));
  await waitFor(() => expect(onClose).toHaveBeenCalled());
  expect(asked.filter((a) => a.method === "PUT").at(-1)?.body).toEqual({ labels: { env: "prod" } });
});

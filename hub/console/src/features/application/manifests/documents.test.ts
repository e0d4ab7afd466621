import { describe, expect, it } from "vitest";
import { documentsOf } from "./documents";

describe("manifests with their names", () => {
  it("are in order, each once, whatever they are", () => {
    const got = documentsOf([
      { kind: "Service", metadata: { name: "b", namespace: "pay" } },
      { kind: "ConfigMap", metadata: { name: "a" } },
      { kind: "ConfigMap", metadata: { name: "a" } },
      null,
      "text",
      {},
    ]);
    expect(got.map((d) => d.id)).toEqual(["? ?", "ConfigMap a", "ConfigMap a (2)", "Service pay/b"]);
    expect(documentsOf([])).toEqual([]);
  });
});

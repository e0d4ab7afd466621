import { describe, expect, it } from "vitest";
import type { AppView, Health, HealthCause, TreeNode } from "../../../api/types";
import { whyNotHealthy } from "./why";

const node = (kind: string, name: string, status: Health, parent?: string, message?: string): TreeNode => ({
  kind,
  name,
  namespace: "shop",
  version: "v1",
  uid: `${kind}-${name}`,
  parentUIDs: parent === undefined ? undefined : [parent],
  health: { status, message },
});

const app = (status: Health, ...healthCauses: HealthCause[]) => ({ health: { status }, healthCauses }) as AppView;
const cause = (kind: string, name: string, status: Health, message?: string): HealthCause => ({
  kind,
  name,
  namespace: "shop",
  status,
  message,
});
const names = (w: ReturnType<typeof whyNotHealthy>) => w.map((x) => x.chain.map((k) => k.name).join(" > "));

describe("whyNotHealthy", () => {
  it("says nothing of a healthy application, whatever is below it", () => {
    expect(whyNotHealthy(app("Healthy", cause("Deployment", "api", "Degraded")), [])).toEqual([]);
  });
  it("goes down to the leaf that says it", () => {
    const got = whyNotHealthy(app("Degraded", cause("Deployment", "api", "Degraded", "too few")), [
      node("Deployment", "api", "Degraded", undefined, "too few"),
      node("ReplicaSet", "api-7c", "Degraded", "Deployment-api"),
      node("Pod", "api-7c-x", "Degraded", "ReplicaSet-api-7c", "OOMKilled"),
      node("Pod", "api-7c-y", "Healthy", "ReplicaSet-api-7c"),
      node("ReplicaSet", "api-6b", "Healthy", "Deployment-api"),
    ]);
    expect(names(got)).toEqual(["api > api-7c > api-7c-x"]);
    expect(got[0]).toMatchObject({ status: "Degraded", message: "OOMKilled" });
  });
  it("takes the nearest message above a leaf that has none", () => {
    const got = whyNotHealthy(app("Progressing", cause("Deployment", "api", "Progressing", "cause")), [
      node("Deployment", "api", "Progressing", undefined, "waiting"),
      node("Pod", "p", "Progressing", "Deployment-api"),
    ]);
    expect(got[0]?.message).toBe("waiting");
  });
  it("has the managed object where the tree does not know better", () => {
    expect(names(whyNotHealthy(app("Missing", cause("Service", "web", "Missing")), []))).toEqual(["web"]);
    const healthyBelow = [node("Deployment", "api", "Degraded"), node("Pod", "p", "Healthy", "Deployment-api")];
    expect(names(whyNotHealthy(app("Degraded", cause("Deployment", "api", "Degraded")), healthyBelow))).toEqual([
      "api",
    ]);
    // The tree is of another moment than the causes.
    const healed = [node("Deployment", "api", "Healthy")];
    expect(names(whyNotHealthy(app("Degraded", cause("Deployment", "api", "Degraded")), healed))).toEqual(["api"]);
  });
  it("puts the worst first", () => {
    const causes = (["Progressing", "Unknown", "Degraded", "Missing"] as Health[]).map((h) => cause("X", h, h));
    expect(names(whyNotHealthy(app("Degraded", ...causes), []))).toEqual([
      "Degraded",
      "Missing",
      "Unknown",
      "Progressing",
    ]);
  });
  it("counts leaves that say the same but for numbers and hashes", () => {
    const pods = Array.from({ length: 40 }, (_, i) =>
      node("Pod", `p${i}`, "Degraded", "Deployment-api", `OOMKilled ${i} times in api-7c9f8d${i}`),
    );
    const got = whyNotHealthy(app("Degraded", cause("Deployment", "api", "Degraded")), [
      node("Deployment", "api", "Degraded"),
      ...pods,
      node("Pod", "other", "Degraded", "Deployment-api", "ImagePullBackOff"),
    ]);
    expect(got.map((w) => [w.chain.at(-1)?.name, w.alike])).toEqual([
      ["p0", 39],
      ["other", 0],
    ]);
  });
  it("ends with rings and with shared children", () => {
    const a = node("A", "a", "Degraded", "B-b");
    const b = node("B", "b", "Degraded", "A-a");
    const shared = { ...node("C", "c", "Degraded"), parentUIDs: ["A-a", "B-b"] };
    const got = whyNotHealthy(app("Degraded", cause("A", "a", "Degraded")), [a, b, shared]);
    expect(names(got)).toEqual(["a > b", "a > c"]);
  });
  it("stops at the most", () => {
    const causes = Array.from({ length: 50 }, (_, i) => cause("X", `x${i}`, "Degraded"));
    expect(whyNotHealthy(app("Degraded", ...causes), [], 7)).toHaveLength(7);
  });
  it("goes through a thousand levels", () => {
    const deep = Array.from({ length: 1000 }, (_, i) =>
      node("L", String(i), "Degraded", i === 0 ? undefined : `L-${i - 1}`),
    );
    expect(whyNotHealthy(app("Degraded", cause("L", "0", "Degraded")), deep)[0]?.chain).toHaveLength(1000);
  });
});

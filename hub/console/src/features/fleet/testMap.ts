// Maps as the hub makes them, for tests.
import type { Attention, Column, FleetMap } from "../../api/types";

export interface TestCluster {
  name: string;
  state?: string;
  worst?: string;
  lastSeen?: number;
  applications?: number;
  counts?: Record<string, number>;
  labels?: Record<string, string>;
  kubernetes?: string;
  agent?: string;
}

export function columnOf(values: string[]): Column {
  const distinct = [...new Set(values)];
  return { values: distinct, of: values.map((v) => distinct.indexOf(v)) };
}

export function mapOf(clusters: TestCluster[], more: Partial<FleetMap> = {}, attention: Attention[] = []): FleetMap {
  const words = [...new Set(clusters.flatMap((c) => Object.keys(c.counts ?? {})))];
  const labels = [...new Set(clusters.flatMap((c) => Object.keys(c.labels ?? {})))];
  const reporting = clusters.filter((c) => (c.state ?? "connected") === "connected").length;
  return {
    asOf: "2026-05-01T12:00:00Z",
    clusterCounts: { total: clusters.length, reporting, silent: clusters.length - reporting },
    applicationCounts: { total: 0, health: {}, sync: {}, operation: {}, stale: 0, never: 0, unrendered: 0 },
    names: clusters.map((c) => c.name),
    state: columnOf(clusters.map((c) => c.state ?? "connected")),
    lastSeen: clusters.map((c) => c.lastSeen ?? 0),
    worst: columnOf(clusters.map((c) => c.worst ?? "healthy")),
    applications: clusters.map((c) => c.applications ?? 0),
    counts: Object.fromEntries(words.map((w) => [w, clusters.map((c) => c.counts?.[w] ?? 0)])),
    kubernetes: columnOf(clusters.map((c) => c.kubernetes ?? "")),
    agent: columnOf(clusters.map((c) => c.agent ?? "")),
    labels: Object.fromEntries(labels.map((l) => [l, columnOf(clusters.map((c) => c.labels?.[l] ?? ""))])),
    attention,
    ...more,
  };
}

// Package exposition is what the metrics of hub and agent have in common: a
// registry of one's own (nothing registers itself anywhere), labels that cannot
// grow without bound, and the listener that Prometheus scrapes. What is measured
// is each half's own: hub/metrics, agent/metrics.
package exposition

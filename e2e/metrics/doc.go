// Package metrics holds docs/metrics.md and docs/alerts.yaml to what hub and agent
// tell: the page is generated from their registries, and an alert may only name
// metrics that exist. `go test ./e2e/metrics -update` writes the page.
package metrics

// Package metrics is what the hub tells Prometheus. A Set is made in hub/app and
// handed to the packages that have something to count, through small interfaces
// that they declare themselves; none of them knows Prometheus. What exists, rather
// than happens (clusters, applications, certificates, queues), is read when it is
// asked for: see Sources.
//
// No label is a message, a commit, a user or anything else without a bound, and a
// name of an application or cluster is only on the gauges of Sources, which are
// bounded by maxApplications. docs/metrics.md is generated from the registry.
package metrics

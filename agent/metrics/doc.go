// Package metrics is what an agent tells Prometheus. A Set is made once in
// agent/app and handed to the packages that have something to count, through
// small interfaces that they declare; what exists is read when it is asked for,
// from whichever agent runs in the process at the time (it starts over when
// another takes the Lease). Nothing is labelled with an application: the hub tells
// of those. docs/metrics.md is generated from the registry.
package metrics

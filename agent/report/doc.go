// Package report tells the hub what the agent observes: it coalesces changes by
// application, builds the status and the resource tree, numbers the reports and
// hands them to the link.
//
// It judges nothing: agent/reconcile says what the status is, agent/observe what
// exists. It is the last door before the wire, so it bounds sizes and takes out
// whatever could be the value of a Secret. A report that was not acknowledged is
// never lost: after a reconnect everything is said again.
//
// agent/app constructs one Reporter; reconcile marks applications as changed,
// the link says when sessions open and close and what was acknowledged.
package report

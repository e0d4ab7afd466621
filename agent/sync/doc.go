// Package sync makes a cluster match a desired state.
//
// Prepare turns a bundle into prepared objects; DecidePrune says what may be
// deleted; BuildPlan orders everything into waves and stages. These are pure: a
// plan is a value that can be printed and tested without a cluster. An Executor
// carries a plan out through the Applier interface, one server-side apply per
// object that differs and none for the others, with bounded concurrency and the
// caller's fence before each effect. Kube is the Applier for a real API server.
//
// It remembers nothing between two plans: what was intended and what is owned
// is agent/journal's, when to sync is agent/reconcile's, which calls it.
package sync

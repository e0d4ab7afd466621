// Package health judges how well a live object does: Healthy, Progressing,
// Degraded, Suspended, Missing or Unknown, in Argo CD's words and by its rules.
//
// It is pure: an object as decoded JSON goes in, a facet comes out. Kinds of
// Kubernetes itself have checks of their own (workloads.go, pods.go,
// services.go); some hundred custom kinds have rules, in a file for each family
// (rules.go says how to read them); kstatus judges all others. Users' scripts
// come before all of them: an Evaluator asks its Override first.
//
// Argo CD's own expectations were the oracle: where a rule here says something
// else, a comment says why. Rules look at what controllers promise to keep up to
// date, and are silent about what they do not know.
//
// agent/observe judges each object that it keeps; agent/reconcile calls
// Aggregate for an application; agent/explain judges files.
package health

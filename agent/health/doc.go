// Package health judges how well a live object does: Healthy, Progressing,
// Degraded, Suspended, Missing or Unknown, in Argo CD's words and by its rules.
//
// It is pure: an object as decoded JSON goes in, a facet comes out. Kinds of
// Kubernetes itself have checks of their own; kstatus judges all others.
// agent/observe calls Of and Facts for each object that it keeps;
// agent/reconcile calls Aggregate for an application.
package health

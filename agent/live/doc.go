// Package live is the agent's vocabulary of live facts: the trimmed record of
// an object, and whether it is known to be present or absent.
//
// It is pure values: no I/O, no clock, no goroutine. agent/observe fills it;
// agent/reconcile, agent/sync, agent/diff and agent/report read it.
package live

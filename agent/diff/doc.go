// Package diff compares a desired object with its live counterpart, field by
// field, the way server-side apply means it: only fields that the desired
// object sets count, fields that others set or that the server defaulted do
// not, and a field that this agent set before and that is desired no longer is
// a difference, because applying removes it.
//
// It is pure. What it cannot know (a webhook's changes, an object served in
// another version than the desired one) it says, and the caller asks the API
// server by a dry run. Values of Secrets never leave it in clear.
//
// Callers: agent/sync when it plans, agent/reconcile when it judges drift.
package diff

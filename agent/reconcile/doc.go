// Package reconcile is the agent's application controller: one state machine for
// each application, which joins the journal, the observed cluster, comparison
// and sync.
//
// It takes what the hub says (it implements link.Handler), makes it durable in
// the journal, acknowledges it, and acts: an automated sync once for each
// generation, retries, self-heal, manual operations with exactly one end, and
// withdrawals. It needs no hub to go on: what was accepted last is healed, also
// after a restart. Everything is driven by events; nothing polls.
//
// What to do next is decided by pure functions (decide.go); the rest carries it
// out. It does not watch (agent/observe), does not build reports (agent/report
// asks it for status) and does not speak to the hub itself.
package reconcile

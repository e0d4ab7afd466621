// Package journal is what an agent must not forget: the desired states it has
// accepted, the objects it owns, the operations it has taken on and how they
// ended, the highest epoch, and what agents were doing that did not end in good
// order (Lives).
//
// Book is pure: transitions on values, no I/O, no clock. Each says what it
// changed; the store writes that to the agent's own cluster before anything is
// acknowledged to the hub or done to an object (intent before effect). The
// package is not a cache of live state and decides nothing about syncing.
//
// agent/reconcile calls it; agent/link reaches it through the handler that the
// agent's app wires.
package journal

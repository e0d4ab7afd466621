// Package fleet is the hub's domain: the facts that Postgres keeps, and the
// pure decisions over them: what an agent session is sent, when a generation
// rises, how an operation lives and ends.
//
// It does no I/O and reads no clock: (facts, now) → decisions. Other packages
// of the hub may import it.
package fleet

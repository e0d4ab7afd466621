// Package sim runs Hawser's pure state machines (hub/fleet, agent/journal and
// the prune decision of agent/sync) in a seeded, single-threaded simulation
// with a virtual clock, and checks what happened against the promise.
//
// Around the real decisions stand small models: a database with snapshots, a
// hub process, Git, clusters with objects and an agent's journal, a network
// that loses, repeats, reorders and delays, clients that journal every answer.
// Faults stop, the world comes to rest, and Check looks at the history: it uses
// none of the code that it judges.
//
// It is not a test of the real programs: e2e/scenarios runs those.
package sim

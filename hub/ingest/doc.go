// Package ingest brings what agents observe into the database: it takes reports
// and heartbeats from the sessions, keeps the newest of each application, and
// writes them in batches.
//
// Nothing is dropped: while the database fails, reports wait, and because only
// the newest of an application waits, what waits is bounded by the number of
// applications. An agent is told that its reports are stored only when they
// are. Heartbeats that confirm reports are written after those reports.
//
// It does not judge what an agent says; fencing is in the store's statements.
// hub/app makes one Ingest, runs it, and gives it to the gateway.
package ingest

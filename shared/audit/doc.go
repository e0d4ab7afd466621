// Package audit is the record of who did what: what a record holds, how records
// are chained and signed, and how a copy of the chain is verified without the hub.
//
// Each record holds the hash of the one before it, so that none can be changed or
// taken out, and is signed, so that nobody who can write the database, and has not
// the hub's vault key, can make a chain of his own. Taking away the newest records
// is seen by who knows a later head of the chain: a running hub, the hub's log, an
// earlier export.
//
// A key hands over to the next in a record that it signs itself. Who knows a later
// key needs no earlier one: the first record of the later key holds the hash of all
// that came before.
//
// The package is pure. hub/store appends, hub/audit decides when, the command
// line verifies.
package audit

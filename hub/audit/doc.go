// Package audit writes the chain of who did what (shared/audit) for one hub: it
// gathers records so that many share a transaction, bounds what strangers can
// have written, closes what a killed hub left open, says the head of the chain to
// the log once an hour, and retires old months.
//
// It decides nothing about permissions and knows no HTTP: hub/api makes records
// of requests, hub/store chains them.
package audit

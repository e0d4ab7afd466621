package fleet

import (
	"time"

	"github.com/hawser-dev/hawser/shared/audit"
)

// AuditEntry is a record that is to be added to the chain.
type AuditEntry struct {
	Record audit.Record
	// Begun is under which it was begun, "" for one that was not.
	Begun string
	// Stranger: it was caused by somebody who is nobody to the hub, so that only so
	// many of them are taken, as of refusals.
	Stranger bool
}

// CertificateRecord is under which the record of a certificate's issue is begun.
func CertificateRecord(serial string) string { return "certificate " + serial }

// AuditFilter says which records are meant; the zero value means all.
type AuditFilter struct {
	Actor, Action, Resource, Project, Cluster, Name, Request, Operation string

	Kind    audit.Kind
	Outcome audit.Outcome
	// Since and Until bound the time, nil for no bound; Until is not in it.
	Since, Until *time.Time
	// After and Before bound the number, and are not in it; 0 for no bound.
	After, Before int64
	OldestFirst   bool
	Limit         int
}

// Narrows reports whether records are left out that are between others.
func (f AuditFilter) Narrows() bool {
	g := f
	g.OldestFirst, g.Limit = false, 0
	return g != AuditFilter{}
}

package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"os/user"
	"strconv"
	"sync"
	"time"

	auditlog "github.com/hawser-dev/hawser/hub/audit"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// startAudit makes the log of who did what, with the key that all replicas share.
func (h *hub) startAudit(ctx context.Context) (err error) {
	h.audit, err = auditlog.New(ctx, auditlog.Options{Store: h.store, Kept: h.cfg.AuditRetention, Log: h.log, Failed: h.metrics.AuditFailed})
	return err
}

// auditReceivers are those that the configuration names.
func (c *Config) auditReceivers() ([]auditlog.Receiver, error) {
	out := make([]auditlog.Receiver, 0, len(c.AuditExports))
	for _, text := range c.AuditExports {
		r, err := auditlog.ParseReceiver(text, c.AuditExportCAFile, os.Getenv("HAWSER_AUDIT_EXPORT_HEADERS"))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// exportAudit sends audit records to each receiver until ctx ends.
func (h *hub) exportAudit(ctx context.Context) error {
	receivers, err := h.cfg.auditReceivers()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, r := range receivers {
		wg.Go(func() { _ = auditlog.NewExporter(r, h.store, h.metrics, h.log).Run(ctx) }) // ends with ctx only
	}
	wg.Wait()
	<-ctx.Done()
	return nil
}

// attended has a record of what somebody at the hub's own machine does to the
// database. It is begun before, and ended after; what is killed in between a hub
// ends, as unknown. Without a record nothing is done.
func attended(ctx context.Context, s *store.Store, action, resource string, do func() error) error {
	r := atTheHub()
	r.Kind, r.Action, r.Verb, r.Resource, r.Outcome = audit.Command, action, "update", resource, audit.Unknown
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	id := hex.EncodeToString(b[:])
	if err := s.BeginAudit(ctx, id, r); err != nil {
		return fault.Wrap(err, fault.Unavailable, "audit_unavailable", "nothing is done that cannot be recorded, and the audit record could not be stored").WithFix("try again")
	}
	failed := do()
	r.Outcome = audit.Done
	if failed != nil {
		r.Outcome, r.Code = audit.Failed, fault.As(failed).Code
	}
	// It was done, also when nobody waits any more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := s.AppendAudit(ctx, audit.Head{}, []fleet.AuditEntry{{Record: r, Begun: id}})
	return errors.Join(failed, err)
}

// atTheHub is a record that says who runs this.
func atTheHub() audit.Record {
	r := audit.Record{Actor: "operating-system user " + osUser() + " at the hub", From: "hawser-hub"}
	if host, err := os.Hostname(); err == nil {
		r.From = "hawser-hub at " + host
	}
	return r
}

// osUser is the name of who runs this, or the number.
func osUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

// audited is the log as the API sees it.
type audited struct{ *auditlog.Log }

func (a audited) KeyOf(ctx context.Context, s audit.Signed) ([]byte, error) {
	return a.Log.KeyOf(ctx, s)
}

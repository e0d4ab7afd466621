package app

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"

	"github.com/hawser-dev/hawser/hub/audit"
)

// startAudit makes the log of who did what, with the key that all replicas share.
func (h *hub) startAudit(ctx context.Context) error {
	made := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(made) // never fails
	seed, err := h.store.PutSecretOnce(ctx, "audit", made)
	if err != nil {
		return err
	}
	h.audit, err = audit.New(audit.Options{Store: h.store, Seed: seed, Kept: h.cfg.AuditRetention, Log: h.log})
	return err
}

// audited is the log as the API sees it.
type audited struct{ *audit.Log }

func (a audited) Key() []byte { return a.Log.Key() }

package link

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const callTimeout = 30 * time.Second

// obtainIdentity loads the stored identity, or enrols. It repeats what may
// pass, and returns what will not.
func (l *Link) obtainIdentity(ctx context.Context) error {
	retry := backoff{base: l.opts.BackoffBase, cap: 15 * time.Second}
	for {
		err := l.tryIdentity(ctx)
		if err == nil {
			return nil
		}
		f := fault.As(err)
		if ctx.Err() != nil {
			return err
		}
		if !f.Kind.Retryable() || f.Kind == fault.Internal {
			l.setStatus(func(s *Status) { s.Connected, s.LastError = false, err })
			l.log.Error("enrolment refused", "code", f.Code, "error", err, "fix", f.Fix)
			return err
		}
		l.failed("enrolment", err)
		l.wait(ctx, retry.next(l.opts.Random))
	}
}

func (l *Link) tryIdentity(ctx context.Context) error {
	if p := l.unsaved; p != nil {
		// Issued already; the token is spent, so it must not be asked for again.
		if err := l.saveIdentity(ctx, p.Identity); err != nil {
			return err
		}
		l.unsaved = nil
		l.use(*p)
		return nil
	}
	id, err := l.opts.Identity.Load(ctx)
	switch {
	case fault.Is(err, fault.NotFound):
		return l.enrol(ctx)
	case err != nil:
		return err
	}
	p, err := parseIdentity(id)
	if err != nil {
		return err
	}
	if l.pin != "" && p.caHash() != l.pin {
		if l.opts.Token != "" {
			l.log.Warn("the stored identity belongs to another hub CA; enrolling anew", "code", "hub_pin_changed", "stored", p.caHash(), "pinned", l.pin)
			return l.enrol(ctx)
		}
		return fault.New(fault.Precondition, "hub_pin_changed", "the stored identity belongs to the hub CA %s, and %s is pinned", p.caHash(), l.pin).
			WithFix("enrol the cluster with a new token, or correct the CA hash")
	}
	l.use(p)
	return nil
}

func (l *Link) use(p proven) {
	l.identity.Store(&p)
	l.setStatus(func(s *Status) { s.Enrolled, s.Cluster, s.ClusterName = true, p.Cluster, p.ClusterName })
}

// enrol redeems the token. The key is made here and does not leave the
// cluster.
func (l *Link) enrol(ctx context.Context) error {
	if l.opts.Token == "" {
		return fault.New(fault.Precondition, "identity_not_found", "this cluster has not enrolled, and no enrolment token is configured").
			WithFix("run `hawser cluster enroll NAME` and start the agent as it says")
	}
	if l.pin == "" {
		return fault.New(fault.Invalid, "ca_hash_missing", "the hub's CA hash is not configured; without it the hub cannot be told from another").
			WithFix("copy it from the answer of `hawser cluster enroll`")
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	key, csr, err := newKey()
	if err != nil {
		return err
	}
	cc, err := l.rpc(ctx, model.EnrolServerName, trust{pin: l.pin}, nil)
	if err != nil {
		return err
	}
	defer cc.Close()
	resp, err := agentv1.NewEnrolmentClient(cc).Enrol(ctx, &agentv1.EnrolRequest{
		Token: l.opts.Token, ClusterName: l.opts.ClusterName, CsrPem: csr,
		AgentVersion: l.opts.AgentVersion, AgentTime: timestamppb.New(l.opts.Now()),
	})
	if err != nil {
		return fault.FromGRPC(err)
	}
	for _, w := range resp.Warnings {
		l.log.Warn("the hub warns", "warning", w)
	}
	p, err := l.accept(Identity{
		Cluster: model.ClusterID(resp.ClusterId), ClusterName: resp.ClusterName,
		KeyPEM: key, CertificatePEM: resp.CertificatePem, CAPEM: resp.CaPem,
	}, l.pin)
	if err != nil {
		return err
	}
	// The token is spent: the identity must not be lost for a passing fault.
	if err := l.saveIdentity(ctx, p.Identity); err != nil {
		l.unsaved = &p
		return err
	}
	l.use(p)
	l.log.Info("enrolled", "cluster", resp.ClusterId, "name", resp.ClusterName, "not_after", p.leaf.NotAfter.Format(time.RFC3339))
	return nil
}

// accept checks what the hub issued before it replaces anything.
func (l *Link) accept(id Identity, pin string) (proven, error) {
	p, err := parseIdentity(id)
	if err != nil {
		return proven{}, fault.Wrap(err, fault.Upstream, "certificate_unusable", "the hub issued a certificate that does not fit the key")
	}
	if p.caHash() != pin || p.leaf.CheckSignatureFrom(p.ca) != nil {
		return proven{}, fault.New(fault.Unauthorized, "hub_identity_changed", "the hub issued a certificate of another CA than %s", pin)
	}
	return p, nil
}

func (l *Link) saveIdentity(ctx context.Context, id Identity) error {
	ctx = context.WithoutCancel(ctx)
	retry := backoff{base: 100 * time.Millisecond, cap: 2 * time.Second}
	var err error
	for range 8 {
		if err = l.opts.Identity.Save(ctx, id); err == nil {
			return nil
		}
		l.log.Warn("the identity could not be stored; trying again", "error", err)
		l.wait(ctx, retry.next(l.opts.Random))
	}
	return err
}

// enrolAgain uses a configured token when the hub no longer accepts the stored
// identity, once. It reports whether the token was tried.
func (l *Link) enrolAgain(ctx context.Context, refusal error, tried bool) bool {
	if tried || l.opts.Token == "" || l.pin == "" {
		return tried
	}
	switch fault.As(refusal).Code {
	case "certificate_revoked", "certificate_expired", "certificate_unknown_ca", "cluster_unknown", "cluster_revoked":
	default:
		return false
	}
	l.log.Warn("the stored identity is no longer accepted; enrolling with the configured token")
	if err := l.enrol(ctx); err != nil {
		l.failed("enrolment", err)
		return !fault.As(err).Kind.Retryable()
	}
	return true
}

// keepRenewed replaces the certificate at two thirds of its life, while the
// session goes on.
func (l *Link) keepRenewed(ctx context.Context) {
	tick := time.NewTicker(l.opts.RenewCheck)
	defer tick.Stop()
	var notBefore time.Time
	retry := backoff{base: time.Minute, cap: time.Hour}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := l.opts.Now()
		if now.Before(l.identity.Load().renewAt()) || now.Before(notBefore) {
			continue
		}
		if err := l.renew(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("certificate renewal failed", "code", fault.As(err).Code, "error", err)
			notBefore = now.Add(retry.next(l.opts.Random))
			continue
		}
		retry.reset()
	}
}

// renew gets a certificate for a new key, proving the old one.
func (l *Link) renew(ctx context.Context) error {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	old := l.identity.Load()
	if l.opts.Now().Before(old.renewAt()) {
		return nil // somebody else has just done it
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	key, csr, err := newKey()
	if err != nil {
		return err
	}
	cc, err := l.rpc(ctx, model.EnrolServerName, trust{ca: old.ca}, &old.pair)
	if err != nil {
		return err
	}
	defer cc.Close()
	resp, err := agentv1.NewEnrolmentClient(cc).Renew(ctx, &agentv1.RenewRequest{CsrPem: csr})
	if err != nil {
		return fault.FromGRPC(err)
	}
	next := old.Identity
	next.KeyPEM, next.CertificatePEM = key, resp.CertificatePem
	p, err := l.accept(next, old.caHash())
	if err != nil {
		return err
	}
	if err := l.saveIdentity(ctx, p.Identity); err != nil {
		return err
	}
	l.use(p)
	l.log.Info("certificate renewed", "not_after", p.leaf.NotAfter.Format(time.RFC3339))
	return nil
}

package hostile

import (
	"context"
	"crypto/ecdsa"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// replica is another hub on the same database.
func (w *world) replica() *world {
	w.t.Helper()
	r := &world{t: w.t, store: w.store, authority: w.authority, logs: w.logs, refused: w.refused, mux: w.mux, options: w.options}
	r.start("127.0.0.1:0")
	w.t.Cleanup(func() { r.stop() })
	return r
}

// What one hub decides cuts the sessions at another one within 5 s, and leaves
// its other sessions alone.
func TestE12_ARevocationAtOneReplicaCutsSessionsAtAnother(t *testing.T) {
	w := newWorld(t, nil)
	there := w.replica()
	neighbour, theirs := w.join("us")
	neighbour.Address = there.address
	other := open(t, call(t, neighbour, model.AgentServerName), theirs)
	for name, c := range map[string]struct {
		decide func(model.ClusterID) error
		code   string
	}{
		"revoked":        {func(id model.ClusterID) error { return w.store.RevokeCluster(t.Context(), id) }, "cluster_revoked"},
		"enrolled again": {func(model.ClusterID) error { w.join("enrolled-again"); return nil }, "certificate_revoked"},
		"deleted":        {func(id model.ClusterID) error { return w.store.DeleteCluster(t.Context(), id, 0) }, "cluster_deleted"},
		"quarantined": {func(id model.ClusterID) error {
			_, _, err := w.store.NoteDouble(t.Context(), id, time.Minute, 0)
			return err
		}, "duplicate_identity"},
	} {
		t.Run(name, func(t *testing.T) {
			a, cluster := w.join(cleaned(name))
			a.Address = there.address
			s := open(t, call(t, a, model.AgentServerName), cluster)
			must(t, c.decide(cluster))
			began := time.Now()
			if err := s.end(); !fault.HasCode(err, c.code) || time.Since(began) > 5*time.Second {
				t.Errorf("the session ended after %s: %v", time.Since(began), err)
			}
		})
	}
	there.lives(other)
}

// A session that was opened at another hub ends the older one here, and a clone
// that comes back is noted wherever it comes back.
func TestE03_E12_ClonesAtTwoReplicas(t *testing.T) {
	w := newWorld(t, func(o *gateway.Options, _ *gateway.MuxOptions) { o.FenceEvery = 20 * time.Millisecond })
	there := w.replica()
	a, cluster := w.join("eu")
	refused := false
	for range 12 {
		for i, at := range []*world{w, there} {
			who := *a
			who.Address = at.address
			hello := Hello(cluster)
			hello.GetHello().Instance = []string{"first", "second"}[i]
			s := begin(t, call(t, &who, model.AgentServerName), hello)
			m, err := s.stream.Recv()
			if err != nil {
				t.Fatal(fault.FromGRPC(err))
			}
			if m.GetGoAway() != nil {
				if m.GetGoAway().Code != "duplicate_identity" {
					t.Fatalf("told to go away: %v", m.GetGoAway())
				}
				refused = true
				continue
			}
			s.epoch = m.GetWelcome().GetEpoch()
			if other := []*world{there, w}[i]; other.gateway.IsConnected(cluster) {
				await(t, "the older session to end at the other hub", func() bool { return !other.gateway.IsConnected(cluster) })
			}
		}
		if refused {
			break
		}
	}
	if !refused {
		t.Fatal("nobody was shut out")
	}
	// So it is at a hub that was started afterwards.
	third := w.replica()
	who := *a
	who.Address = third.address
	if err := begin(t, call(t, &who, model.AgentServerName), Hello(cluster)).end(); !fault.HasCode(err, "duplicate_identity") {
		t.Errorf("at a third hub: %v", err)
	}
	c, err := w.store.Cluster(t.Context(), string(cluster))
	if err != nil || c.Held != "duplicate_identity" {
		t.Errorf("shown as held %q, %v", c.Held, err)
	}
	must(t, w.store.AllowCluster(t.Context(), cluster))
	open(t, call(t, &who, model.AgentServerName), cluster)
	if err := w.store.AllowCluster(t.Context(), cluster); !fault.HasCode(err, "cluster_not_held") {
		t.Errorf("allowed twice: %v", err)
	}
}

// A copy of a cluster, with all that is stored in it, is another Kubernetes
// cluster: it does not get in until somebody allows it, and the original does.
func TestE03_AnAgentFromAnotherKubernetesClusterIsHeld(t *testing.T) {
	w := newWorld(t, nil)
	a, cluster := w.join("eu")
	from := func(uid string) func(*agentv1.Hello) { return func(h *agentv1.Hello) { h.KubeUid = uid } }
	copied := func() error {
		hello := Hello(cluster)
		from("copy")(hello.GetHello())
		return begin(t, call(t, a, model.AgentServerName), hello).end()
	}
	open(t, call(t, a, model.AgentServerName), cluster)                   // may not read it
	open(t, call(t, a, model.AgentServerName), cluster, from("original")) // binds it
	s := open(t, call(t, a, model.AgentServerName), cluster, from("original"))
	held := func() string {
		c, err := w.store.Cluster(t.Context(), string(cluster))
		must(t, err)
		return c.Held
	}
	if held() != "" {
		t.Errorf("held as %q", held())
	}
	for range 2 {
		if err := copied(); !fault.HasCode(err, "cluster_changed") {
			t.Fatalf("the copy: %v", err)
		}
	}
	w.lives(s)
	if held() != "cluster_changed" {
		t.Errorf("held as %q", held())
	}
	w.stop()
	w.start(w.address)
	if err := copied(); !fault.HasCode(err, "cluster_changed") {
		t.Errorf("the copy after a restart: %v", err)
	}
	must(t, w.store.AllowCluster(t.Context(), cluster))
	open(t, call(t, a, model.AgentServerName), cluster, from("copy"))
	hello := Hello(cluster)
	from("original")(hello.GetHello())
	if err := begin(t, call(t, a, model.AgentServerName), hello).end(); !fault.HasCode(err, "cluster_changed") {
		t.Errorf("the original afterwards: %v", err)
	}
}

// A key is one cluster's. Its own agent may renew with it.
func TestE02_AKeyIsOneClusters(t *testing.T) {
	w := newWorld(t, nil)
	key, err := Key()
	must(t, err)
	csr, err := CSR(key, nil)
	must(t, err)
	first, err := w.enrol(w.token("eu", time.Hour), "eu", csr)
	must(t, err)
	token := w.token("us", time.Hour)
	if _, err := w.enrol(token, "us", csr); !fault.HasCode(err, "agent_key_in_use") {
		t.Errorf("another cluster enrols with it: %v", err)
	}
	other, err := Key()
	must(t, err)
	theirs, err := CSR(other, nil)
	must(t, err)
	second, err := w.enrol(token, "us", theirs) // the token was not spent
	must(t, err)
	renew := func(certificate []byte, own *ecdsa.PrivateKey, with []byte) error {
		a := w.stranger()
		a.Certificate, err = Pair(certificate, own)
		must(t, err)
		_, err = agentv1.NewEnrolmentClient(call(t, a, model.EnrolServerName)).Renew(within(t), &agentv1.RenewRequest{CsrPem: with})
		return fault.FromGRPC(err)
	}
	if err := renew(first.CertificatePem, key, csr); err != nil {
		t.Errorf("a renewal with the same key: %v", err)
	}
	if err := renew(second.CertificatePem, other, csr); !fault.HasCode(err, "agent_key_in_use") {
		t.Errorf("a renewal with another cluster's key: %v", err)
	}
	// One that was recorded without a key gets it noted when its agent connects.
	must(t, w.store.DeleteCluster(t.Context(), model.ClusterID(second.ClusterId), 0))
	third, err := w.authority.IssueClient(model.ClusterID(first.ClusterId), theirs)
	must(t, err)
	must(t, w.store.RecordCertificate(t.Context(), fleet.Certificate{Serial: third.Serial, Cluster: third.Cluster, NotBefore: third.NotBefore, NotAfter: third.NotAfter}))
	a := w.stranger()
	a.Certificate, err = Pair(third.PEM, other)
	must(t, err)
	open(t, call(t, a, model.AgentServerName), model.ClusterID(first.ClusterId))
	if c, err := w.store.CertificateState(context.Background(), third.Serial); err != nil || c.Fingerprint != third.Fingerprint {
		t.Errorf("recorded as %+v, %v", c, err)
	}
	if _, err := w.enrol(w.token("asia", time.Hour), "asia", theirs); !fault.HasCode(err, "agent_key_in_use") {
		t.Errorf("with the key that was noted: %v", err)
	}
}

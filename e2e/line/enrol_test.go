package line

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/hub/gateway/ca"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestATokenEnrolsOneClusterOnce(t *testing.T) {
	h := newHub(t, nil)
	token := h.token("eu-prod", time.Hour)
	a := h.run(func(o *link.Options) { o.Token = token })
	a.inSync(t, 1)
	if s := a.link.Status(); !s.Enrolled || s.ClusterName != "eu-prod" || !s.Connected {
		t.Errorf("status is %+v", s)
	}
	second := h.run(func(o *link.Options) { o.Token = token })
	err := second.failed(t, "enrolment_token_used")
	if !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("the message does not say from where the token was used: %v", err)
	}
	await(t, "the hub's log", func() bool { return h.logs.line("enrolment refused", "enrolment_token_used", "remote=127.0.0.1") })
	if h.logs.line(token) || a.logs.line(token) || second.logs.line(token) {
		t.Error("a token is in a log")
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	h := newHub(t, nil)
	good := h.token("eu-prod", time.Hour)
	expired := h.token("eu-prod", -time.Minute)
	for code, change := range map[string]func(*link.Options){
		"enrolment_token_expired":       func(o *link.Options) { o.Token = expired },
		"enrolment_token_other_cluster": func(o *link.Options) { o.Token, o.ClusterName = good, "us-prod" },
		"enrolment_token_malformed":     func(o *link.Options) { o.Token = good[:len(good)-1] + "~" },
		"enrolment_token_unknown":       func(o *link.Options) { o.Token = newHub(t, nil).token("x", time.Hour) },
		"identity_not_found":            func(o *link.Options) {},
		"ca_hash_missing":               func(o *link.Options) { o.Token, o.CAHash = good, "" },
	} {
		t.Run(code, func(t *testing.T) {
			a := h.run(change)
			select {
			case err := <-a.ended:
				a.ended <- err
				if !fault.HasCode(err, code) {
					t.Errorf("ended with %v", err)
				}
			case <-time.After(patience):
				t.Fatal("the agent goes on trying")
			}
			if _, saved := a.vault.get(); saved > 0 {
				t.Error("an identity was stored")
			}
			if !a.logs.line("enrolment refused", "code="+code) {
				t.Error("the agent's log does not name the code")
			}
		})
	}
	if h.run(func(o *link.Options) { o.Token, o.ClusterName = good, "eu-prod" }); h.store.tokens[0].UsedAt != nil {
		t.Error("a refused attempt spent the token")
	}
}

func TestAWrongPinIsNamedAtBothEnds(t *testing.T) {
	h := newHub(t, nil)
	other := newHub(t, nil).authority.Hash()
	token := h.token("eu-prod", time.Hour)
	a := h.run(func(o *link.Options) { o.Token, o.CAHash = token, other })
	err := a.failed(t, "hub_identity_changed")
	if s := err.Error(); !strings.Contains(s, other) || !strings.Contains(s, h.authority.Hash()) {
		t.Errorf("the error does not name both hashes: %v", err)
	}
	await(t, "the hub's log", func() bool { return h.logs.line("hub_certificate_refused", "remote=127.0.0.1") })
	if h.store.tokens[0].UsedAt != nil {
		t.Error("the token was shown to a stranger")
	}
}

func TestACertificateOfAnotherCAIsNamedAtBothEnds(t *testing.T) {
	h, foreign := newHub(t, nil), newHub(t, nil)
	stranger, _ := foreign.join("eu-prod", nil)
	stranger.stop()
	id, _ := stranger.vault.get()
	id.CAPEM = h.authority.PEM() // trusts our hub, but was enrolled elsewhere
	a := h.run(func(o *link.Options) { o.Identity = &vault{id: id, saved: 1} })
	err := a.failed(t, "certificate_unknown_ca")
	if !strings.Contains(err.Error(), h.authority.Hash()) {
		t.Errorf("the error does not name the hub's CA: %v", err)
	}
	await(t, "the hub's log", func() bool { return h.logs.line("certificate_unknown_ca", "remote=127.0.0.1") })
}

func TestAClusterCannotClaimAnothersID(t *testing.T) {
	h := newHub(t, nil)
	victim, victimID := h.join("eu-prod", nil)
	other, _ := h.join("us-prod", nil)
	other.stop()
	id, _ := other.vault.get()
	id.Cluster = victimID
	a := h.run(func(o *link.Options) { o.Identity = &vault{id: id, saved: 1} })
	a.failed(t, "cluster_mismatch")
	await(t, "the hub's log", func() bool { return h.logs.line("cluster_mismatch", "remote=127.0.0.1") })
	if n := victim.journal.is(func(j *journal) bool { return len(j.lost) == 0 }); !n() {
		t.Error("the claim cut the victim's session")
	}
}

func TestReEnrolmentKeepsTheIdAndRevokesTheOldCertificate(t *testing.T) {
	h := newHub(t, nil)
	old, id := h.join("eu-prod", nil)
	_, again := h.join("eu-prod", nil)
	if id != again {
		t.Errorf("the cluster's id changed from %s to %s", id, again)
	}
	old.failed(t, "certificate_revoked")
	if h.gateway.Connected()[id].Instance == "" {
		t.Error("the new agent is not connected")
	}
}

func TestAnAgentWithANewTokenEnrolsAgainWhenItsCertificateIsRevoked(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	a.stop()
	h.join("eu-prod", nil) // somebody else took the name over
	kept, _ := a.vault.get()
	token := h.token("eu-prod", time.Hour)
	back := h.run(func(o *link.Options) { o.Identity, o.Token = &vault{id: kept, saved: 1}, token })
	back.inSync(t, 1)
	if got, saved := back.vault.get(); got.Cluster != id || saved != 2 {
		t.Errorf("cluster %s, saved %d times", got.Cluster, saved)
	}
}

func TestAClockThatIsOffIsReportedAndAgesStayTrue(t *testing.T) {
	h := newHub(t, nil)
	agentClock := &clock{}
	agentClock.forward(-30 * time.Minute)
	token := h.token("eu-prod", time.Hour)
	a := h.run(func(o *link.Options) { o.Token, o.Now = token, agentClock.Now })
	a.inSync(t, 1)
	if !a.logs.line("the agent's clock is 30m0s behind the hub's") {
		t.Error("the agent was not warned")
	}
	observed := agentClock.Now().Add(-10 * time.Second)
	a.link.Reports([]model.AppReport{{App: "a", Seq: 1, Generation: 1, ObservedAt: observed}})
	await(t, "the report", func() bool {
		h.ingest.mu.Lock()
		defer h.ingest.mu.Unlock()
		return len(h.ingest.reports) == 1
	})
	if age := h.clock.Now().Sub(h.ingest.reports[0].ObservedAt); age < 10*time.Second || age > 12*time.Second {
		t.Errorf("an observation 10 s old arrived with the age %s", age)
	}
	await(t, "a heartbeat that tells of line and clock", func() bool {
		h.ingest.mu.Lock()
		defer h.ingest.mu.Unlock()
		for _, b := range h.ingest.beats {
			if b.RoundTrip > 0 && b.ClockAhead != nil && (*b.ClockAhead+30*time.Minute).Abs() < 10*time.Second {
				return true
			}
		}
		return false
	})
	expired := h.token("eu-prod", -time.Minute)
	late := h.run(func(o *link.Options) { o.Token, o.Now = expired, agentClock.Now })
	if err := late.failed(t, "enrolment_token_expired"); !strings.Contains(err.Error(), "30m0s behind") {
		t.Errorf("the refusal does not name the clocks' difference: %v", err)
	}
}

func TestBrowsersAndAgentsShareThePort(t *testing.T) {
	h := newHub(t, nil)
	h.join("eu-prod", nil)
	for _, name := range []string{"", "hub.example", "other.example"} {
		client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: name}}}
		resp, err := client.Get("https://" + h.addr)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		client.CloseIdleConnections()
		if string(body) != "hello HTTP/2.0" {
			t.Errorf("%q: got %q", name, body)
		}
	}
}

func TestReplicasAgreeOnOneCA(t *testing.T) {
	m := newMemory(time.Now)
	first, err := ca.Load(context.Background(), m, ca.Options{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := ca.Load(context.Background(), m, ca.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if first.Hash() != second.Hash() {
		t.Error("two CAs")
	}
}

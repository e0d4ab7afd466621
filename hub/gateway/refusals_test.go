package gateway

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// end reads until the stream ends.
func end(stream agentv1.Control_SessionClient) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return fault.FromGRPC(err)
		}
	}
}

func TestWhatAnAgentMayNotSay(t *testing.T) {
	p := serve(t, Options{SessionBurst: 100})
	cert, _ := p.certificate(t, "a")
	for name, c := range map[string]struct {
		message *agentv1.AgentMessage
		code    string
	}{
		"another epoch":          {&agentv1.AgentMessage{Epoch: &agentv1.Epoch{Incarnation: 1, Number: 9999}, Message: &agentv1.AgentMessage_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}}, "epoch_stale"},
		"no epoch":               {&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}}, "epoch_stale"},
		"a second hello":         {hello("a"), "epoch_stale"},
		"a hello in the epoch":   {&agentv1.AgentMessage{Epoch: &agentv1.Epoch{}, Message: hello("a").Message}, "wire_invalid"},
		"nothing":                {&agentv1.AgentMessage{Epoch: &agentv1.Epoch{}}, "wire_invalid"},
		"a report without time":  {&agentv1.AgentMessage{Epoch: &agentv1.Epoch{}, Message: &agentv1.AgentMessage_Reports{Reports: &agentv1.AppReports{Reports: []*agentv1.AppReport{{AppUid: "x", Seq: 1}}}}}, "wire_invalid"},
		"an ack of generation 0": {&agentv1.AgentMessage{Epoch: &agentv1.Epoch{}, Message: &agentv1.AgentMessage_Ack{Ack: &agentv1.Ack{AppUid: "x"}}}, "wire_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			stream, epoch := open(t, p.dial(t, model.AgentServerName, cert), "a")
			if c.message.Epoch != nil && c.message.Epoch.Number == 0 {
				c.message.Epoch = epoch
			}
			if err := stream.Send(c.message); err != nil {
				t.Fatal(err)
			}
			if err := end(stream); !fault.HasCode(err, c.code) {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}

func TestWhoMayNotSpeak(t *testing.T) {
	p := serve(t, Options{SessionBurst: 100})
	cert, issued := p.certificate(t, "a")
	stranger := serve(t, Options{})
	foreign, _ := stranger.certificate(t, "a")
	server, err := p.authority.IssueServer("agent.example")
	if err != nil {
		t.Fatal(err)
	}
	session := func(name string, certs ...tls.Certificate) error {
		stream, err := agentv1.NewControlClient(p.dial(t, name, certs...)).Session(t.Context())
		if err != nil {
			return fault.FromGRPC(err)
		}
		stream.Send(hello("a"))
		return end(stream)
	}
	for name, c := range map[string]struct {
		err  error
		code string
	}{
		"no certificate":         {session(model.AgentServerName), "certificate_missing"},
		"another CA":             {session(model.AgentServerName, foreign), "certificate_unknown_ca"},
		"the hub's own":          {session(model.AgentServerName, *server), "certificate_not_an_agents"},
		"under the enrolment's":  {session(model.EnrolServerName, cert), "wrong_server_name"},
		"another cluster's name": {func() error { b, _ := p.certificate(t, "b"); return session(model.AgentServerName, b) }(), "cluster_mismatch"},
	} {
		if !fault.HasCode(c.err, c.code) {
			t.Errorf("%s: got %v, want %s", name, c.err, c.code)
		}
	}
	_, err = agentv1.NewEnrolmentClient(p.dial(t, model.AgentServerName, cert)).Enrol(t.Context(), &agentv1.EnrolRequest{})
	if !fault.HasCode(fault.FromGRPC(err), "wrong_server_name") {
		t.Errorf("enrolment under the agents' name: %v", err)
	}
	_, err = agentv1.NewEnrolmentClient(p.dial(t, model.EnrolServerName)).Renew(t.Context(), &agentv1.RenewRequest{})
	if !fault.HasCode(fault.FromGRPC(err), "certificate_missing") {
		t.Errorf("renewal without a certificate: %v", err)
	}

	// A revocation holds although the client would resume its TLS session.
	cc := p.dial(t, model.AgentServerName, cert)
	stream, _ := open(t, cc, "a")
	p.store.mu.Lock()
	p.store.revoked[issued.Serial] = true
	p.store.mu.Unlock()
	p.gateway.CloseCluster("a", "certificate_revoked", "revoked")
	if err := end(stream); !fault.HasCode(err, "certificate_revoked") {
		t.Errorf("the running session ended with %v", err)
	}
	again, err := agentv1.NewControlClient(cc).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again.Send(hello("a"))
	if err := end(again); !fault.HasCode(err, "certificate_revoked") {
		t.Errorf("after the revocation: %v", err)
	}
}

// Whoever has the key of a certificate that was revoked can knock as often as he likes:
// the cluster's agent still gets in.
func TestARevokedCertificateUsesUpNobodysSessions(t *testing.T) {
	p := serve(t, Options{SessionBurst: 3, SessionRefill: time.Hour})
	stolen, revoked := p.certificate(t, "a")
	p.store.mu.Lock()
	p.store.revoked[revoked.Serial] = true
	p.store.mu.Unlock()
	cc := p.dial(t, model.AgentServerName, stolen)
	for i := 0; ; i++ {
		stream, err := agentv1.NewControlClient(cc).Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stream.Send(hello("a"))
		err = end(stream)
		if fault.HasCode(err, "session_rate") {
			break
		}
		if i == 10 || !fault.HasCode(err, "certificate_revoked") {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	mine, _ := p.certificate(t, "a")
	open(t, p.dial(t, model.AgentServerName, mine), "a")
}

func TestOldAndNewProtocols(t *testing.T) {
	p := serve(t, Options{SessionBurst: 100})
	cert, _ := p.certificate(t, "a")
	for code, r := range map[string][2]uint32{"hub_too_old": {7, 9}} {
		stream, err := agentv1.NewControlClient(p.dial(t, model.AgentServerName, cert)).Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h := hello("a")
		h.GetHello().ProtocolMin, h.GetHello().ProtocolMax = r[0], r[1]
		stream.Send(h)
		msg, err := stream.Recv()
		if err != nil || msg.GetGoAway().GetCode() != code || msg.GetGoAway().GetRetryAfter().AsDuration() == 0 {
			t.Errorf("%s: got %v, %v", code, msg, err)
		}
		if err := end(stream); !fault.HasCode(err, code) {
			t.Errorf("%s: ended with %v", code, err)
		}
	}
}

// An agent of before is told so, and is not taken for one of tomorrow. There is no
// version below the lowest that a hello can name yet, so the decision is asked.
func TestE11_AnAgentOfBefore(t *testing.T) {
	p := serve(t, Options{SessionBurst: 100})
	s := &session{caller: &caller{}, g: p.gateway, cluster: "a"}
	for code, h := range map[string]model.Hello{
		"agent_too_old": {ProtocolMin: wire.ProtocolMin - 1, ProtocolMax: wire.ProtocolMin - 1},
		"hub_too_old":   {ProtocolMin: wire.ProtocolMax + 1, ProtocolMax: wire.ProtocolMax + 2},
	} {
		got := s.admit(h)
		if got == nil || got.Code != code || got.RetryAfter == 0 || !strings.Contains(got.Message, fmt.Sprintf("speaks %d to %d of the protocol, this hub %d to %d", h.ProtocolMin, h.ProtocolMax, wire.ProtocolMin, wire.ProtocolMax)) {
			t.Errorf("%s: %+v", code, got)
		}
	}
	if got := s.admit(model.Hello{ProtocolMin: wire.ProtocolMin, ProtocolMax: wire.ProtocolMax + 5}); got != nil {
		t.Errorf("one that speaks our version too: %+v", got)
	}
}

func fetch(t *testing.T, c agentv1.ControlClient, digest string, offset int64) ([]byte, []int, error) {
	t.Helper()
	stream, err := c.GetBundle(t.Context(), &agentv1.GetBundleRequest{Digest: digest, Offset: offset})
	if err != nil {
		return nil, nil, fault.FromGRPC(err)
	}
	var all []byte
	var sizes []int
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, sizes, nil
		}
		if err != nil {
			return all, sizes, fault.FromGRPC(err)
		}
		all = append(all, chunk.Data...)
		sizes = append(sizes, len(chunk.Data))
	}
}

func TestBundlesAreServedFromAnOffsetToTheirClusterOnly(t *testing.T) {
	p := serve(t, Options{})
	bundle := make([]byte, 700<<10)
	rand.Read(bundle)
	mine, theirs := "sha256:"+strings.Repeat("0", 64), "sha256:"+strings.Repeat("1", 64)
	p.store.bundles["a"] = map[model.Digest][]byte{model.Digest(mine): bundle}
	p.store.bundles["b"] = map[model.Digest][]byte{model.Digest(theirs): bundle}
	cert, _ := p.certificate(t, "a")
	cc := p.dial(t, model.AgentServerName, cert)
	client := agentv1.NewControlClient(cc)
	if _, _, err := fetch(t, client, mine, 0); !fault.HasCode(err, "session_missing") {
		t.Errorf("without a session: %v", err)
	}
	open(t, cc, "a")
	for _, offset := range []int64{0, 1, 300 << 10, 700<<10 - 1, 700 << 10} {
		got, sizes, err := fetch(t, client, mine, offset)
		if err != nil || !bytes.Equal(got, bundle[offset:]) {
			t.Errorf("offset %d: %d bytes, %v", offset, len(got), err)
		}
		for _, n := range sizes {
			if n > chunkBytes {
				t.Errorf("a chunk has %d bytes", n)
			}
		}
	}
	for _, offset := range []int64{-1, 700<<10 + 1} {
		if _, _, err := fetch(t, client, mine, offset); !fault.HasCode(err, "bundle_offset") {
			t.Errorf("offset %d: %v", offset, err)
		}
	}
	if got, _, err := fetch(t, client, theirs, 0); !fault.Is(err, fault.NotFound) || len(got) > 0 {
		t.Errorf("another cluster's bundle: %d bytes, %v", len(got), err)
	}
}

// The hub goes on in the newest revision that both speak.
func TestTheProtocolIsTheNewestOfBoth(t *testing.T) {
	for _, c := range []struct{ agent, want uint32 }{
		{wire.ProtocolMin, wire.ProtocolMin}, {wire.ProtocolMax, wire.ProtocolMax}, {wire.ProtocolMax + 5, wire.ProtocolMax},
	} {
		if got := protocolWith(model.Hello{ProtocolMin: wire.ProtocolMin, ProtocolMax: c.agent}); got != c.want {
			t.Errorf("with an agent that speaks %d to %d: %d, want %d", wire.ProtocolMin, c.agent, got, c.want)
		}
	}
}

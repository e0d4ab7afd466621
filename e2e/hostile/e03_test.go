package hostile

import (
	"crypto/tls"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/tunnel"
)

// Two agents with one certificate push each other out three times; then neither
// is trusted, until the cluster has a new certificate. An agent that restarts,
// also without its memory, is one agent.
func TestE03_AClonedAgentShutsBothOut(t *testing.T) {
	for name, c := range map[string]struct {
		first, second func(*agentv1.Hello, *agentv1.Epoch)
	}{
		"by their instances": {
			func(h *agentv1.Hello, _ *agentv1.Epoch) { h.Instance = "first" },
			func(h *agentv1.Hello, _ *agentv1.Epoch) { h.Instance = "second" },
		},
		"by the epochs that they know": {
			func(h *agentv1.Hello, own *agentv1.Epoch) { h.LastEpoch = own },
			func(h *agentv1.Hello, own *agentv1.Epoch) { h.LastEpoch = own },
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept := &kept{}
			w := newWorld(t, func(o *gateway.Options, _ *gateway.MuxOptions) { o.Audit = kept })
			t.Cleanup(func() {
				if r := kept.of("quarantineCluster"); len(r) != 1 || r[0].Code != "duplicate_identity" || r[0].Name == "" {
					t.Errorf("the audit records about it: %+v", r)
				}
			})
			a, cluster := w.join("eu")
			neighbour, theirs := w.join("us")
			other := open(t, call(t, neighbour, model.AgentServerName), theirs)
			beat := &agentv1.AgentMessage{Message: &agentv1.AgentMessage_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}}
			var known [2]*agentv1.Epoch
			var last *session
			refused := 0
			for i := range 12 {
				who := i % 2
				hello := Hello(cluster)
				[]func(*agentv1.Hello, *agentv1.Epoch){c.first, c.second}[who](hello.GetHello(), known[who])
				s := begin(t, call(t, a, model.AgentServerName), hello)
				m, err := s.stream.Recv()
				if err != nil {
					t.Fatal(err)
				}
				if g := m.GetGoAway(); g != nil {
					if g.Code != "duplicate_identity" || g.RetryAfter.AsDuration() < time.Minute {
						t.Fatalf("told to go away: %v", g)
					}
					refused++
					continue
				}
				s.epoch = m.GetWelcome().GetEpoch()
				known[who], last = s.epoch, s
				must(t, s.say(beat))
				w.lives(s) // what was said before has arrived
				await(t, "the heartbeat", func() bool { return w.heard(cluster) })
			}
			if refused < 4 {
				t.Errorf("refused %d times", refused)
			}
			if err := last.end(); !fault.HasCode(err, "duplicate_identity") {
				t.Errorf("the one that was in: %v", err)
			}
			if !w.logs.line("level=ERROR", "code=duplicate_identity") || w.refused.of("duplicate_identity") == 0 {
				t.Error("nobody is told")
			}
			w.lives(other)
			b, again := w.join("eu")
			w.lives(open(t, call(t, b, model.AgentServerName), again))
		})
	}
}

func TestE03_AnAgentThatRestartsIsNoClone(t *testing.T) {
	w := newWorld(t, nil)
	a, cluster := w.join("eu")
	var epoch *agentv1.Epoch
	for i := range 12 {
		s := open(t, call(t, a, model.AgentServerName), cluster, func(h *agentv1.Hello) {
			h.Instance = strings.Repeat("i", i+1)
			if i%3 != 0 { // now and then it has lost its memory
				h.LastEpoch = epoch
			}
		})
		epoch = s.epoch
		must(t, s.say(&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}}))
		w.lives(s)
	}
}

// heard answers whether the agent's newest session has been spoken in.
func (w *world) heard(cluster model.ClusterID) bool {
	c, ok := w.gateway.Connected()[cluster]
	return ok && c.LastHeard.After(c.Since)
}

// What one cluster's agent says of another's applications and operations changes
// nothing.
func TestE04_NobodySpeaksForAnotherCluster(t *testing.T) {
	w := newWorld(t, nil)
	a, mine := w.join("mine")
	victim, theirs := w.join("theirs")
	own, foreign := w.application("own", mine), w.application("foreign", theirs)
	honest := open(t, call(t, victim, model.AgentServerName), theirs)
	report := func(app model.AppUID, seq uint64, health string) *agentv1.AgentMessage {
		return &agentv1.AgentMessage{Message: &agentv1.AgentMessage_Reports{Reports: &agentv1.AppReports{Reports: []*agentv1.AppReport{
			{AppUid: string(app), Seq: seq, ObservedAt: timestamppb.Now(), StatusJson: []byte(`{"health":{"status":"` + health + `"}}`)}}}}}
	}
	must(t, honest.say(report(foreign, 1, "Healthy")))
	w.health("foreign", "Healthy")

	s := open(t, call(t, a, model.AgentServerName), mine)
	must(t, s.say(report(foreign, 1, "Degraded")))
	must(t, s.say(report("there-is-none", 1, "Degraded"))) // such as one that was deleted meanwhile
	must(t, s.say(report("there-is-none", 2, "Degraded")))
	must(t, s.say(report("there-is-none", 3, "Degraded")))
	must(t, s.say(&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Ack{Ack: &agentv1.Ack{AppUid: string(foreign), Generation: 1, ErrorCode: "forged", Error: "forged"}}}))
	must(t, s.say(report(own, 4, "Degraded")))
	w.health("own", "Degraded") // all before it was taken
	v, err := w.store.AppView(t.Context(), "foreign")
	if err != nil || v.Health.Status != model.HealthHealthy {
		t.Errorf("the victim's application is %s, %v", v.Health.Status, err)
	}
	for _, c := range v.Conditions {
		if strings.Contains(c.Message, "forged") {
			t.Errorf("a forged acknowledgement is shown: %+v", c)
		}
	}
	w.lives(honest)
	// A time that is not yet is now, however far away it is.
	future := report(own, 5, "Healthy")
	future.GetReports().Reports[0].ObservedAt = timestamppb.New(time.Now().Add(1000 * time.Hour))
	must(t, s.say(future))
	w.health("own", "Healthy")
	if v, err := w.store.AppView(t.Context(), "own"); err != nil || v.ObservedAt == nil || v.ObservedAt.After(time.Now().Add(time.Second)) {
		t.Errorf("observed at %v, %v", v.ObservedAt, err)
	}
	// Twice was borne. The third time, by an operation under a name of its own, ends it.
	await(t, "the count", func() bool { return w.refused.of("application_foreign") == 2 })
	w.lives(s)
	op, _, err := w.store.CreateOperation(t.Context(), fleet.NewOperation{App: foreign, Kind: model.OperationSync, InitiatedBy: "x"})
	must(t, err)
	must(t, s.say(&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Operation{Operation: &agentv1.OperationUpdate{
		Id: string(op.ID), AppUid: string(own), Kind: string(model.OperationSync), Phase: string(model.PhaseSucceeded)}}}))
	if err := s.end(); !fault.HasCode(err, "application_foreign") {
		t.Errorf("after the third time: %v", err)
	}
	if n := w.refused.of("application_foreign"); n != 3 {
		t.Errorf("counted %d times", n)
	}
	if got, err := w.store.Operation(t.Context(), op.ID); err != nil || got.Phase != model.PhaseQueued {
		t.Errorf("the victim's operation is %s, %v", got.Phase, err)
	}
	w.lives(honest)
	// A hello that claims them makes them nobody's.
	hello := func(h *agentv1.Hello) {
		h.Known = []*agentv1.KnownApplication{{AppUid: string(foreign), Name: "foreign", Project: "default", Generation: 1}}
	}
	s = open(t, call(t, a, model.AgentServerName), mine, hello)
	for seq := range uint64(3) {
		must(t, s.say(report(foreign, 10+seq, "Degraded")))
	}
	if err := s.end(); !fault.HasCode(err, "application_foreign") {
		t.Errorf("with a hello that claims it: %v", err)
	}
}

// An agent can make the calls of its protocol, for itself, and no others.
func TestE05_L03_WhatAnAgentCanCall(t *testing.T) {
	w := newWorld(t, nil)
	a, cluster := w.join("eu")
	open(t, call(t, a, model.AgentServerName), cluster)
	for _, path := range []string{
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.health.v1.Health/Check", "/grpc.channelz.v1.Channelz/GetServers",
		"/hawser.agent.v1.Control/Dial", "/hawser.agent.v1.Secrets/Get", "/api/v1/applications", "/metrics", "/debug/pprof/heap", "/",
		strings.TrimPrefix(agentv1.Control_Session_FullMethodName, "/"), "/" + agentv1.Control_Session_FullMethodName, agentv1.Control_Session_FullMethodName + "/",
		"/x/.." + agentv1.Control_Session_FullMethodName,
	} {
		h, err := a.HTTP2(within(t), model.AgentServerName)
		must(t, err)
		stream, err := h.Call(path)
		must(t, err)
		code, message, err := h.Status(stream)
		if err == nil && code != "12" && !strings.HasPrefix(code, "http 4") {
			t.Errorf("%s: answered with %s %s", path, code, message)
		}
		h.Conn.Close()
	}
	// Without a session, of another, and of nobody.
	for name, err := range map[string]error{
		"a bundle without a session":     bundle(t, call(t, a, model.AgentServerName)),
		"a tunnel that nobody asked for": tunnelNamed(t, a, "0123456789abcdef0123456789abcdef"),
	} {
		if status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := agentv1.NewEnrolmentClient(call(t, a, model.AgentServerName)).Renew(within(t), &agentv1.RenewRequest{}); !fault.HasCode(fault.FromGRPC(err), "wrong_server_name") {
		t.Errorf("a renewal under the agents' name: %v", err)
	}
}

// L02: no TLS session is resumed, so each connection shows its certificate.
func TestE12_L02_TLSSessionsAreNotResumed(t *testing.T) {
	w := newWorld(t, nil)
	a, _ := w.join("eu")
	a.Sessions = tls.NewLRUClientSessionCache(8)
	for range 3 {
		conn, err := a.Handshake(within(t), model.AgentServerName)
		must(t, err)
		conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // tickets would come now
		_, _ = conn.Read(make([]byte, 1))
		if conn.ConnectionState().DidResume {
			t.Error("a TLS session was resumed")
		}
		conn.Close()
	}
}

// A revoked cluster is cut at once, and stays out: with a connection that it
// still has, with a new one, over a restart of the hub, and for renewals.
func TestE12_ARevokedClusterStaysOut(t *testing.T) {
	w := newWorld(t, nil)
	a, cluster := w.join("eu")
	a.Sessions = tls.NewLRUClientSessionCache(8)
	cc := call(t, a, model.AgentServerName)
	s := open(t, cc, cluster)
	began := time.Now()
	must(t, w.store.RevokeCluster(t.Context(), cluster))
	w.gateway.CloseCluster(cluster, "cluster_revoked", "the cluster was revoked")
	if err := s.end(); !fault.HasCode(err, "cluster_revoked") || time.Since(began) > 5*time.Second {
		t.Errorf("the session ended after %s: %v", time.Since(began), err)
	}
	stays := func(when string) {
		t.Helper()
		if err := begin(t, cc, Hello(cluster)).end(); !fault.HasCode(err, "certificate_revoked") {
			t.Errorf("%s, on the same client: %v", when, err)
		}
		if err := begin(t, call(t, a, model.AgentServerName), Hello(cluster)).end(); !fault.HasCode(err, "certificate_revoked") {
			t.Errorf("%s, on a new connection: %v", when, err)
		}
		key, err := Key()
		must(t, err)
		csr, err := CSR(key, nil)
		must(t, err)
		_, err = agentv1.NewEnrolmentClient(call(t, a, model.EnrolServerName)).Renew(within(t), &agentv1.RenewRequest{CsrPem: csr})
		if !fault.HasCode(fault.FromGRPC(err), "certificate_revoked") {
			t.Errorf("%s, a renewal: %v", when, err)
		}
	}
	stays("after the revocation")
	w.stop()
	await(t, "the client to notice", func() bool { return cc.GetState() != connectivity.Ready })
	w.start(w.address)
	t.Cleanup(func() { w.stop() })
	stays("after a restart")
}

// L04: streams that are opened and reset without end cost the hub nothing that
// stays, and neighbours notice nothing.
func TestE10_L04_RapidResets(t *testing.T) {
	w := newWorld(t, nil)
	a, _ := w.join("eu")
	neighbour, theirs := w.join("us")
	other := open(t, call(t, neighbour, model.AgentServerName), theirs)
	before := runtime.NumGoroutine()
	h, err := a.HTTP2(within(t), model.AgentServerName)
	must(t, err)
	go io.Copy(io.Discard, h.Conn)
	sent := 0
	for range 20_000 {
		stream, err := h.Call(agentv1.Control_Session_FullMethodName)
		if err == nil {
			err = h.WriteRSTStream(stream, http2.ErrCodeCancel)
		}
		if err != nil {
			break // cut off
		}
		sent++
	}
	w.lives(other)
	h.Conn.Close()
	await(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before+10 })
	t.Logf("%d streams were opened and reset", sent)
}

// Reports without end, of applications that there are not, with trees that are
// small on the wire and large in memory: the hub keeps little of it, and
// neighbours live.
func TestE06_E10_AFloodOfReportsIsHeldUp(t *testing.T) {
	w := newWorld(t, nil)
	a, cluster := w.join("eu")
	neighbour, theirs := w.join("us")
	app := w.application("shop", theirs)
	other := open(t, call(t, neighbour, model.AgentServerName), theirs)

	bomb := []byte(`{"nodes":[` + strings.Repeat("{},", 1<<20) + `{}]}`)
	s := open(t, call(t, a, model.AgentServerName), cluster)
	must(t, s.say(&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Reports{Reports: &agentv1.AppReports{Reports: []*agentv1.AppReport{
		{AppUid: "x", Seq: 1, ObservedAt: timestamppb.Now(), StatusJson: []byte(`{}`), TreeJson: bomb}}}}}))
	if err := s.end(); !fault.HasCode(err, "wire_too_large") {
		t.Errorf("a bomb: %v", err)
	}

	s = open(t, call(t, a, model.AgentServerName), cluster)
	runtime.GC()
	var start, now runtime.MemStats
	runtime.ReadMemStats(&start)
	text := []byte(`{"conditions":[{"type":"x","message":"` + strings.Repeat("xxxxxxxx", 64<<10) + `"}]}`)
	var sent atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 120 { // 60 MiB
			err := s.say(&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Reports{Reports: &agentv1.AppReports{Reports: []*agentv1.AppReport{
				{AppUid: "x" + strings.Repeat("y", i), Seq: uint64(i + 1), ObservedAt: timestamppb.Now(), StatusJson: text}}}}})
			if err != nil {
				return
			}
			sent.Add(1)
		}
	}()
	peak := uint64(0)
	for flooding := true; flooding; {
		select {
		case <-done:
			flooding = false
		case <-time.After(20 * time.Millisecond):
		}
		must(t, other.say(&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}}))
		runtime.GC()
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc)
	}
	if grown := int64(peak) - int64(start.HeapAlloc); grown > 64<<20 { // both ends are in this process
		t.Errorf("the heap grew by %d MiB while %d reports were sent", grown>>20, sent.Load())
	}
	must(t, other.say(&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Reports{Reports: &agentv1.AppReports{Reports: []*agentv1.AppReport{
		{AppUid: string(app), Seq: 1, ObservedAt: timestamppb.Now(), StatusJson: []byte(`{"health":{"status":"Healthy"}}`)}}}}}))
	w.health("shop", "Healthy")
	w.lives(other)
}

// bundle asks for one, and answers the error.
func bundle(t *testing.T, cc *grpc.ClientConn) error {
	t.Helper()
	stream, err := agentv1.NewControlClient(cc).GetBundle(within(t), &agentv1.GetBundleRequest{Digest: "sha256:" + strings.Repeat("0", 64)})
	must(t, err)
	_, err = stream.Recv()
	return err
}

// tunnelNamed opens a tunnel by an id, and answers the error.
func tunnelNamed(t *testing.T, a *Agent, id string) error {
	t.Helper()
	stream, err := agentv1.NewAccessClient(call(t, a, model.AgentServerName)).Tunnel(within(t), grpc.CallContentSubtype(tunnel.ContentSubtype))
	must(t, err)
	must(t, ignoreEOF(tunnel.SendOpen(stream, id)))
	var f agentv1.Frame
	return stream.RecvMsg(&f)
}

package line

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/hub/gateway/ca"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// script is a hub that says what a test wants it to say, as a newer one might.
type script struct {
	agentv1.UnimplementedControlServer
	t         *testing.T
	authority *ca.Authority
	addr      string
	say       chan *agentv1.HubMessage
	heard     chan *agentv1.AgentMessage

	// protocol is the revision that the welcome offers, instead of the newest.
	protocol uint32

	mu       sync.Mutex
	sessions int64
	hellos   []*agentv1.Hello
}

func newScript(t *testing.T) *script {
	t.Helper()
	s := &script{t: t, say: make(chan *agentv1.HubMessage, 100), heard: make(chan *agentv1.AgentMessage, 1000)}
	var err error
	if s.authority, err = ca.Load(t.Context(), newMemory(time.Now), ca.Options{}); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: s.authority.AgentServer().Get, ClientAuth: tls.RequireAnyClientCert})))
	agentv1.RegisterControlServer(server, s)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return s
}

func (s *script) Session(stream grpc.BidiStreamingServer[agentv1.AgentMessage, agentv1.HubMessage]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.sessions++
	epoch := model.Epoch{Incarnation: 1, Number: s.sessions}
	s.hellos = append(s.hellos, first.GetHello())
	s.mu.Unlock()
	signature, err := s.authority.SignIncarnation("hub", 1)
	if err != nil {
		return err
	}
	send := func(m *agentv1.HubMessage) error {
		m.Epoch = wire.EpochToProto(epoch)
		return stream.Send(m)
	}
	if err := send(&agentv1.HubMessage{Message: &agentv1.HubMessage_Welcome{Welcome: wire.WelcomeToProto(model.Welcome{
		Epoch: epoch, IncarnationSignature: signature, HubID: "hub", HubVersion: "9.9.9", Heartbeat: time.Minute, Protocol: cmp.Or(s.protocol, wire.ProtocolMax)})}}); err != nil {
		return err
	}
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			s.heard <- m
		}
	}()
	for {
		select {
		case m := <-s.say:
			if err := send(m); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// agent enrols without ceremony.
func (s *script) agent(change func(*link.Options)) *agent {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		s.t.Fatal(err)
	}
	issued, err := s.authority.IssueClient("c", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	h := &hub{t: s.t, authority: s.authority, addr: s.addr, clock: &clock{}}
	return h.run(func(o *link.Options) {
		o.Identity = &vault{saved: 1, id: link.Identity{Cluster: "c", ClusterName: "c", CertificatePEM: issued.PEM, CAPEM: s.authority.PEM(),
			KeyPEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}}
		if change != nil {
			change(o)
		}
	})
}

// hears waits for a message that the test looks for.
func (s *script) hears(what string, want func(*agentv1.AgentMessage) bool) {
	s.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case m := <-s.heard:
			if want(m) {
				return
			}
		case <-timeout:
			s.t.Fatalf("the agent did not say: %s", what)
		}
	}
}

func (s *script) opened() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// unknown is a message with a field that this build does not know.
func unknown(number protowire.Number) *agentv1.HubMessage {
	m := &agentv1.HubMessage{}
	b := protowire.AppendTag(nil, number, protowire.BytesType)
	m.ProtoReflect().SetUnknown(protowire.AppendBytes(b, []byte("what it means is not known yet")))
	return m
}

func inSyncMessage() *agentv1.HubMessage {
	return &agentv1.HubMessage{Message: &agentv1.HubMessage_InSync{InSync: &agentv1.InSync{}}}
}

func TestMessagesOfANewerHubArePassedOver(t *testing.T) {
	s := newScript(t)
	a := s.agent(nil)
	for range 3 {
		s.say <- unknown(77)
	}
	// Messages whose takers this agent does not have are the same to it.
	s.say <- &agentv1.HubMessage{Message: &agentv1.HubMessage_Settings{Settings: wire.SettingsToProto(model.Settings{Version: 1})}}
	s.say <- &agentv1.HubMessage{Message: &agentv1.HubMessage_OpenTunnel{OpenTunnel: wire.OpenTunnelToProto("t")}}
	s.say <- inSyncMessage()
	a.inSync(t, 1)
	if n := s.opened(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	if !a.logs.line("message_unknown", "9.9.9", "upgrade the agent") {
		t.Error("the log does not say that something was passed over")
	}
	a.logs.mu.Lock()
	if n := strings.Count(a.logs.b.String(), "message_unknown"); n != 1 {
		t.Errorf("it says so %d times", n)
	}
	a.logs.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.hellos[0].Capabilities) != 0 || s.hellos[0].SettingsDigest != "" {
		t.Errorf("the hello announces what nobody takes: %v", s.hellos[0])
	}
}

// A hub that goes on in a revision that the agent did not offer gets nothing from it.
func TestARevisionThatTheAgentDoesNotSpeakIsRefused(t *testing.T) {
	s := newScript(t)
	s.protocol = wire.ProtocolMax + 1
	a := s.agent(nil)
	err := a.failed(t, "agent_too_old")
	if want := fmt.Sprintf("the hub speaks %d of the protocol, this agent %d to %d; upgrade the agent", s.protocol, wire.ProtocolMin, wire.ProtocolMax); !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
	if !a.journal.is(func(j *journal) bool { return j.received == 0 && j.epoch.IsZero() })() {
		t.Error("the agent took something from it")
	}
}

// One application that cannot be understood does not cut off the others.
func TestWhatDoesNotDecodeIsRefusedAndTheRestGoesOn(t *testing.T) {
	s := newScript(t)
	a := s.agent(nil)
	spec, err := json.Marshal(model.DesiredSpec{})
	if err != nil {
		t.Fatal(err)
	}
	s.say <- &agentv1.HubMessage{Message: &agentv1.HubMessage_Desired{Desired: &agentv1.Desired{
		AppUid: "bad", Name: "bad", Generation: 3, BundleDigest: "sha256:" + strings.Repeat("0", 64), SpecJson: []byte(`{"namespace": 7}`), ProjectJson: []byte("{}"), InlineBundle: []byte("x")}}}
	s.hears("a refusal of the desired state", func(m *agentv1.AgentMessage) bool {
		ack := m.GetAck()
		return ack.GetAppUid() == "bad" && ack.Generation == 3 && ack.ErrorCode == "wire_invalid"
	})
	s.say <- &agentv1.HubMessage{Message: &agentv1.HubMessage_Operation{Operation: &agentv1.Operation{Id: "op1", Seq: 1, AppUid: "app", Kind: "teleport", SpecJson: []byte("{}")}}}
	s.say <- &agentv1.HubMessage{Message: &agentv1.HubMessage_Withdraw{Withdraw: &agentv1.Withdraw{OperationId: "op2", OperationSeq: 2, AppUid: "app", Generation: 1, Mode: 99}}}
	left := map[string]string{"op1": "teleport", "op2": "delete"}
	s.hears("the ends of both operations", func(m *agentv1.AgentMessage) bool {
		u := m.GetOperation()
		kind, ok := left[u.GetId()]
		if !ok {
			return false
		}
		delete(left, u.Id)
		if u.Phase != string(model.PhaseFailed) || u.Kind != kind || u.AppUid != "app" || u.FinishedAt == nil || !strings.Contains(u.Message, "this agent cannot carry it out") {
			t.Errorf("the end is %v", u)
		}
		return len(left) == 0
	})
	s.say <- &agentv1.HubMessage{Message: &agentv1.HubMessage_Desired{Desired: &agentv1.Desired{
		AppUid: "good", Name: "good", Generation: 1, BundleDigest: "sha256:" + fmt.Sprintf("%064d", 0), SpecJson: spec, ProjectJson: []byte("{}"), InlineBundle: []byte("x")}}}
	s.say <- inSyncMessage()
	a.inSync(t, 1)
	a.journal.mu.Lock()
	defer a.journal.mu.Unlock()
	if want := []string{"desired good 1", "in sync"}; !slices.Equal(a.journal.order, want) {
		t.Errorf("the agent did %v, want %v", a.journal.order, want)
	}
	if n := s.opened(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// Settings beyond this agent's bounds are said to be so; applications go on.
func TestSettingsThatAnAgentCannotTake(t *testing.T) {
	s := newScript(t)
	shelf := &shelf{}
	a := s.agent(keeps(shelf))
	good := wire.SettingsToProto(model.Settings{Version: 1, Customizations: model.Customizations{"resource.customizations.health.X": "a"}})
	damaged := wire.SettingsToProto(model.Settings{Version: 2, Customizations: model.Customizations{"k": "v"}})
	damaged.Digest = good.Digest
	large := wire.SettingsToProto(model.Settings{Version: 3, Customizations: model.Customizations{"k": strings.Repeat("x", model.MaxCustomizationsBytes)}})
	for _, m := range []*agentv1.Settings{good, damaged, large} {
		s.say <- &agentv1.HubMessage{Message: &agentv1.HubMessage_Settings{Settings: m}}
	}
	s.say <- inSyncMessage()
	a.inSync(t, 1)
	if !shelf.took("1 a")() || shelf.refused == nil || !strings.Contains(shelf.refused.Error(), "at most") {
		t.Errorf("took %v, refused %v", shelf.taken, shelf.refused)
	}
	if n := s.opened(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.hellos[0].Capabilities; !slices.Equal(got, []string{model.CapabilitySettings}) {
		t.Errorf("the hello announces %v", got)
	}
}

// What names nothing that could be answered, or says that the two do not speak
// of the same session, ends the session.
func TestWhatCannotBeAnsweredEndsTheSession(t *testing.T) {
	for name, m := range map[string]*agentv1.HubMessage{
		"a second welcome":          {Message: &agentv1.HubMessage_Welcome{Welcome: &agentv1.Welcome{}}},
		"an operation without id":   {Message: &agentv1.HubMessage_Operation{Operation: &agentv1.Operation{Kind: "sync"}}},
		"a desired state of nobody": {Message: &agentv1.HubMessage_Desired{Desired: &agentv1.Desired{}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			a := s.agent(nil)
			s.say <- m
			await(t, "the session after", func() bool { return s.opened() == 2 })
			if !a.logs.line("session ended", "wire_invalid") {
				t.Error("the log does not say why the session ended")
			}
			s.say <- inSyncMessage()
			a.inSync(t, 1)
		})
	}
}

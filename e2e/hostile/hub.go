package hostile

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hawser-dev/hawser/hub/gateway/ca"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/tunnel"
	"github.com/hawser-dev/hawser/shared/wire"
)

// Hub is somebody who took the hub over: he has its CA's key, the agents' line
// and every agent's trust, and does as he likes. He speaks the hub's protocol over
// mutual TLS and keeps none of the hub's rules: there are no users, projects or
// permissions, and what he wants is what he sends.
type Hub struct {
	// CA is the hub's, and its key in his hands.
	CA  *ca.Authority
	key *ecdsa.PrivateKey
	// Cluster that every agent is enrolled as.
	Cluster model.ClusterID
	ID      string
	// Bundle, if set before an agent is told to fetch one, answers it.
	Bundle func(*agentv1.GetBundleRequest, grpc.ServerStreamingServer[agentv1.BundleChunk]) error

	ln       net.Listener
	server   *grpc.Server
	sessions chan *HubSession
	tunnels  chan net.Conn

	mu    sync.Mutex
	epoch int64
	greet func(*agentv1.Hello) *agentv1.HubMessage
}

// quiet is the heartbeat that he asks for: he sends none himself.
const quiet = 5 * time.Minute

// keptSecrets are in memory; ca.Load makes a key there.
type keptSecrets map[string][]byte

func (s keptSecrets) Secret(_ context.Context, name string) ([]byte, error) {
	if v, ok := s[name]; ok {
		return v, nil
	}
	return nil, fault.New(fault.NotFound, "secret_unknown", "there is no %s", name)
}

func (s keptSecrets) PutSecretOnce(_ context.Context, name string, value []byte) ([]byte, error) {
	s[name] = value
	return value, nil
}

// StartHub starts one at a free port; Stop ends it.
func StartHub(ctx context.Context) (*Hub, error) {
	secrets := keptSecrets{}
	authority, err := ca.Load(ctx, secrets, ca.Options{})
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(secrets[ca.SecretName])
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	h := &Hub{CA: authority, key: key.(*ecdsa.PrivateKey), Cluster: model.ClusterID(uuid.NewString()), ID: uuid.NewString(),
		sessions: make(chan *HubSession, 16), tunnels: make(chan net.Conn, 16)}
	if h.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	h.server = grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: authority.AgentServer().Get, ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2"},
	})), grpc.MaxRecvMsgSize(64<<20), grpc.MaxSendMsgSize(1<<30))
	agentv1.RegisterEnrolmentServer(h.server, hubEnrolment{h: h})
	agentv1.RegisterControlServer(h.server, hubControl{h: h})
	agentv1.RegisterAccessServer(h.server, hubAccess{h: h})
	go h.server.Serve(h.ln)
	return h, nil
}

// Address of the agents' port.
func (h *Hub) Address() string { return h.ln.Addr().String() }

// Stop cuts every line.
func (h *Hub) Stop() { h.server.Stop() }

// Greet has hellos answered so, in place of an honest welcome above the epoch that
// they tell; nil has them welcomed again.
func (h *Hub) Greet(greet func(*agentv1.Hello) *agentv1.HubMessage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.greet = greet
}

// Sessions are those that agents open, in turn.
func (h *Hub) Sessions() <-chan *HubSession { return h.sessions }

// Tunnels are what agents open when they are told to; yamux runs on them.
func (h *Hub) Tunnels() <-chan net.Conn { return h.tunnels }

// Sign makes the hub's statement about a request, also one that no hub would sign.
func (h *Hub) Sign(s kubecall.Statement) model.KubeIdentity {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings and a time
	}
	sum := sha256.Sum256(append([]byte("hawser-kube-request-v1\n"), text...))
	signature, err := ecdsa.SignASN1(rand.Reader, h.key, sum[:])
	if err != nil {
		panic(err)
	}
	return model.KubeIdentity{Statement: text, Signature: signature}
}

type hubEnrolment struct {
	agentv1.UnimplementedEnrolmentServer
	h *Hub
}

// Enrol lets everybody in, whatever the token.
func (e hubEnrolment) Enrol(_ context.Context, r *agentv1.EnrolRequest) (*agentv1.EnrolResponse, error) {
	issued, err := e.h.CA.IssueClient(e.h.Cluster, r.GetCsrPem())
	if err != nil {
		return nil, fault.GRPC(err)
	}
	return &agentv1.EnrolResponse{ClusterId: string(e.h.Cluster), ClusterName: "eu", CertificatePem: issued.PEM, CaPem: e.h.CA.PEM(), NotAfter: timestamppb.New(issued.NotAfter)}, nil
}

type hubControl struct {
	agentv1.UnimplementedControlServer
	h *Hub
}

// HubSession is the hub's end of a session.
type HubSession struct {
	Hello *agentv1.Hello
	Epoch *agentv1.Epoch

	stream grpc.BidiStreamingServer[agentv1.AgentMessage, agentv1.HubMessage]
	cut    context.CancelFunc
	ended  chan struct{}
	sendMu sync.Mutex

	mu      sync.Mutex
	heard   []*agentv1.AgentMessage
	changed chan struct{} // closed and replaced with each message
}

// Session welcomes an agent and keeps what it says until it leaves or is cut.
func (c hubControl) Session(stream grpc.BidiStreamingServer[agentv1.AgentMessage, agentv1.HubMessage]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	h, hello := c.h, first.GetHello()
	h.mu.Lock()
	h.epoch = max(h.epoch, hello.GetLastEpoch().GetNumber()) + 1
	number, greet := h.epoch, h.greet
	h.mu.Unlock()
	ctx, cut := context.WithCancel(stream.Context())
	defer cut()
	s := &HubSession{Hello: hello, Epoch: &agentv1.Epoch{Incarnation: 1, Number: number}, stream: stream, cut: cut, ended: make(chan struct{}), changed: make(chan struct{})}
	welcome := h.Honest(s.Epoch)
	if greet != nil {
		welcome = greet(hello)
	}
	if err := stream.Send(welcome); err != nil {
		return err
	}
	go func() {
		defer close(s.ended)
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.heard = append(s.heard, m)
			close(s.changed)
			s.changed = make(chan struct{})
			s.mu.Unlock()
		}
	}()
	select {
	case h.sessions <- s:
	case <-ctx.Done():
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
	}
	return nil
}

// Honest is a welcome as the hub sends it.
func (h *Hub) Honest(epoch *agentv1.Epoch) *agentv1.HubMessage {
	signature, err := h.CA.SignIncarnation(h.ID, epoch.GetIncarnation())
	if err != nil {
		panic(err) // the key is in memory
	}
	return &agentv1.HubMessage{Epoch: epoch, Message: &agentv1.HubMessage_Welcome{Welcome: &agentv1.Welcome{
		Epoch: epoch, IncarnationSignature: signature, HubId: h.ID, HubVersion: "taken", Heartbeat: durationpb.New(quiet), Protocol: wire.ProtocolMax,
	}}}
}

// Say sends a message, of the session's epoch unless it names another.
func (s *HubSession) Say(m *agentv1.HubMessage) error {
	if m.Epoch == nil {
		m.Epoch = s.Epoch
	}
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	return s.stream.Send(m)
}

// Cut ends the session.
func (s *HubSession) Cut() { s.cut() }

// Ended is closed when the agent has left.
func (s *HubSession) Ended() <-chan struct{} { return s.ended }

// Heard waits for a message of the agent, also one that came before.
func (s *HubSession) Heard(ctx context.Context, match func(*agentv1.AgentMessage) bool) (*agentv1.AgentMessage, error) {
	for n := 0; ; {
		s.mu.Lock()
		heard, changed := s.heard, s.changed
		s.mu.Unlock()
		for ; n < len(heard); n++ {
			if match(heard[n]) {
				return heard[n], nil
			}
		}
		select {
		case <-changed:
		case <-s.ended:
			return nil, fault.New(fault.Unavailable, "session_ended", "the agent has left")
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// GetBundle implements the Control service.
func (c hubControl) GetBundle(r *agentv1.GetBundleRequest, stream grpc.ServerStreamingServer[agentv1.BundleChunk]) error {
	if c.h.Bundle == nil {
		return fault.GRPC(fault.New(fault.NotFound, "bundle_unknown", "there is none"))
	}
	return c.h.Bundle(r, stream)
}

type hubAccess struct {
	agentv1.UnimplementedAccessServer
	h *Hub
}

// Tunnel hands a tunnel on, whatever its id, and waits until it has ended.
func (a hubAccess) Tunnel(stream agentv1.Access_TunnelServer) error {
	if _, err := tunnel.ReceiveOpen(stream); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	conn := tunnel.NewConn(stream, nil, cancel)
	select {
	case a.h.tunnels <- conn:
	case <-ctx.Done():
	}
	<-ctx.Done()
	conn.Close()
	return nil
}

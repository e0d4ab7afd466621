package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway/ca"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// plain is a store with as little in it as these tests need. The whole
// conversation with a real agent is tested in e2e/line.
type plain struct {
	Store
	mu      sync.Mutex
	secrets map[string][]byte
	sign    []byte
	epoch   int64
	revoked map[string]bool
	bundles map[model.ClusterID]map[model.Digest][]byte
	opened  int
	// updates and hellos that agents send; nil: nobody looks.
	updates chan model.OperationUpdate
	hellos  chan model.Hello
	acks    chan []fleet.Ack
	reports chan fleet.ClusterReport
}

func (p *plain) AckDesired(_ context.Context, _ model.ClusterID, _ model.Epoch, acks []fleet.Ack) error {
	p.acks <- acks
	return nil
}

func (p *plain) SaveClusterReport(_ context.Context, r fleet.ClusterReport) error {
	p.reports <- r
	return nil
}

func (p *plain) ApplyOperationUpdates(_ context.Context, _ model.ClusterID, _ model.Epoch, updates []model.OperationUpdate) ([]model.OperationInfo, error) {
	for _, u := range updates {
		p.updates <- u
	}
	return nil, nil
}

func (p *plain) Secret(_ context.Context, name string) ([]byte, error) {
	if b, ok := p.secrets[name]; ok {
		return b, nil
	}
	return nil, fault.New(fault.NotFound, "secret_not_found", "none")
}

func (p *plain) PutSecretOnce(_ context.Context, name string, v []byte) ([]byte, error) {
	p.secrets = map[string][]byte{name: v}
	return v, nil
}

func (p *plain) CertificateState(_ context.Context, serial string) (fleet.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if revoked, known := p.revoked[serial]; known {
		return fleet.Certificate{Serial: serial, Revoked: revoked}, nil
	}
	return fleet.Certificate{}, fault.New(fault.NotFound, "certificate_unknown", "none")
}

func (p *plain) NotePreflight(context.Context, []byte, string, fleet.EnrolmentPreflight) error {
	return fault.New(fault.Unauthorized, "enrolment_token_unknown", "none")
}

func (p *plain) BindKey(context.Context, fleet.Certificate) error { return nil }

func (p *plain) Foreign(context.Context, model.ClusterID, []model.AppUID, []model.OperationID) ([]model.AppUID, []model.OperationID, error) {
	return nil, nil, nil
}

func (p *plain) NoteDouble(context.Context, model.ClusterID, time.Duration, int) (int, bool, error) {
	return 0, false, nil
}

func (p *plain) Fenced(context.Context, []fleet.OpenSession) ([]fleet.FencedSession, error) {
	return nil, nil
}

func (p *plain) RecordCertificate(context.Context, fleet.Certificate) error { return nil }

func (p *plain) OpenSession(_ context.Context, c model.ClusterID, h model.Hello, sign func(string, int64) ([]byte, error)) (fleet.Opening, error) {
	if p.hellos != nil {
		p.hellos <- h
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sign == nil {
		p.sign, _ = sign("hub", 1)
	}
	p.epoch++
	p.opened++
	return fleet.Opening{Epoch: model.Epoch{Incarnation: 1, Number: p.epoch}, Hub: fleet.HubState{HubID: "hub", Incarnation: 1, IncarnationSignature: p.sign}}, nil
}

func (p *plain) CloseSession(context.Context, model.ClusterID, model.Epoch, fleet.SessionEnd) error {
	return nil
}

func (p *plain) BundleFor(_ context.Context, c model.ClusterID, d model.Digest) ([]byte, error) {
	if b, ok := p.bundles[c][d]; ok {
		return b, nil
	}
	return nil, fault.New(fault.NotFound, "bundle_unknown", "this cluster's desired state names no such bundle")
}

type noIngest struct{}

func (noIngest) Offer(fleet.Report) {}
func (noIngest) Beat(fleet.Beat)    {}

type port struct {
	store     *plain
	authority *ca.Authority
	gateway   *Gateway
	mux       *Mux
	addr      string
}

func serve(t testing.TB, o Options) *port {
	t.Helper()
	return serveAt(t, o, MuxOptions{})
}

func serveAt(t testing.TB, o Options, m MuxOptions) *port {
	t.Helper()
	p := &port{store: &plain{bundles: map[model.ClusterID]map[model.Digest][]byte{}, revoked: map[string]bool{}}}
	var err error
	if p.authority, err = ca.Load(t.Context(), p.store, ca.Options{}); err != nil {
		t.Fatal(err)
	}
	o.Store, o.Authority = p.store, p.authority
	if o.Ingest == nil {
		o.Ingest = noIngest{}
	}
	p.gateway = New(o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = ln.Addr().String()
	m.Agents = p.authority.AgentServer().Get
	mux := NewMux(ln, m)
	p.mux = mux
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { mux.Serve(ctx) })
	wg.Go(func() { p.gateway.Serve(ctx, mux.Agents()) })
	t.Cleanup(func() {
		cancel()
		killed, kill := context.WithCancel(context.Background())
		kill()
		p.gateway.Shutdown(killed)
		wg.Wait()
	})
	return p
}

// certificate issues one for a cluster, with its key.
func (p *port) certificate(t testing.TB, cluster model.ClusterID) (tls.Certificate, ca.ClientCertificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := p.authority.IssueClient(cluster, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(issued.PEM)
	return tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}, issued
}

// dial connects as an agent that does as it likes.
func (p *port) dial(t testing.TB, serverName string, certs ...tls.Certificate) *grpc.ClientConn {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(p.authority.Certificate())
	cc, err := grpc.NewClient(p.addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		ServerName: serverName, RootCAs: roots, Certificates: certs, ClientSessionCache: tls.NewLRUClientSessionCache(4)})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

func hello(cluster model.ClusterID) *agentv1.AgentMessage {
	return &agentv1.AgentMessage{Message: &agentv1.AgentMessage_Hello{Hello: &agentv1.Hello{ClusterId: string(cluster), ProtocolMin: wire.ProtocolMin, ProtocolMax: wire.ProtocolMax}}}
}

// open opens a session and returns it with its epoch, after InSync.
func open(t testing.TB, cc *grpc.ClientConn, cluster model.ClusterID) (agentv1.Control_SessionClient, *agentv1.Epoch) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	stream, err := agentv1.NewControlClient(cc).Session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(hello(cluster)); err != nil {
		t.Fatal(err)
	}
	var epoch *agentv1.Epoch
	for {
		msg, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if w := msg.GetWelcome(); w != nil {
			epoch = w.Epoch
		}
		if msg.GetInSync() != nil {
			return stream, epoch
		}
	}
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// speaker is an agent without a cluster: the agent's own end of the line, over
// TLS and with its own certificate, and behind it nothing but reports that the
// benchmark makes up.
type speaker struct {
	*link.Link
	name string
	stop context.CancelFunc
	done chan struct{}

	mu       sync.Mutex
	identity *link.Identity
	epoch    model.Epoch
	seq      uint64
	inSync   chan struct{} // closed when a session is open and everything was handed over
}

// newSpeaker makes an agent that enrols under a name when it connects.
func newSpeaker(ctx context.Context, r *rig.Rig, api *client.Client, name string) (*speaker, error) {
	var minted struct {
		Token string `json:"token"`
	}
	if err := api.Do(ctx, "POST", "/enrolment-tokens", map[string]any{"cluster": name, "labels": map[string]string{"env": "prod", "region": "eu-west-1", "site": "site-" + name[max(0, len(name)-3):]}}, &minted); err != nil {
		return nil, err
	}
	s := &speaker{name: name}
	l, err := link.New(link.Options{
		Address: r.Hub.Addr, CAHash: r.Hub.CAHash, Token: minted.Token, ClusterName: name, Identity: s, Handler: s,
		AgentVersion: "bench", Instance: "bench", Proxy: link.ProxyDirect, Confirmed: s.confirmed, BackoffBase: 100 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	s.Link = l
	return s, err
}

// connect opens sessions until disconnect, and returns when the first is open.
func (s *speaker) connect(ctx context.Context) error {
	run, stop := context.WithCancel(ctx)
	s.stop, s.done = stop, make(chan struct{})
	s.mu.Lock()
	s.inSync = make(chan struct{})
	open := s.inSync
	s.mu.Unlock()
	go func() {
		defer close(s.done)
		_ = s.Run(run) // Status has what went wrong
	}()
	select {
	case <-open:
		return nil
	case <-s.done:
	case <-ctx.Done():
	case <-time.After(time.Minute):
	}
	s.disconnect()
	return fmt.Errorf("agent %s has no session: %v", s.name, s.Status().LastError)
}

func (s *speaker) disconnect() {
	if s.stop != nil {
		s.stop()
		<-s.done
	}
}

// report sends an observation of one application.
func (s *speaker) report(app model.AppUID, status model.AppStatus) {
	s.mu.Lock()
	s.seq++
	seq := s.seq
	s.mu.Unlock()
	s.Reports([]model.AppReport{{App: app, Seq: seq, Generation: status.Generation, ObservedAt: time.Now(), Status: status}})
}

func (s *speaker) confirmed() (uint64, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq, time.Now()
}

// Load and Save keep the identity in memory.
func (s *speaker) Load(context.Context) (link.Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.identity == nil {
		return link.Identity{}, fault.New(fault.NotFound, "identity_not_found", "this agent has not enrolled yet")
	}
	return *s.identity, nil
}

func (s *speaker) Save(_ context.Context, id link.Identity) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identity = &id
	return nil
}

func (s *speaker) Hello(context.Context) (model.Hello, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return model.Hello{LastEpoch: s.epoch, KubeVersion: kubeVersions[0]}, nil
}

func (s *speaker) Welcome(_ context.Context, w model.Welcome) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch, s.seq = w.Epoch, 0
	return nil
}

func (s *speaker) HaveBundle(model.Digest) bool { return true }

func (s *speaker) Desired(_ context.Context, _ model.Desired, _ []byte, ack func(error)) { ack(nil) }

func (s *speaker) InSync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.inSync:
	default:
		close(s.inSync)
	}
}

func (s *speaker) Withdraw(context.Context, model.Withdraw) {}
func (s *speaker) Operation(context.Context, model.Command) {}
func (s *speaker) OperationAck([]model.OperationID)         {}
func (s *speaker) ReportAck(uint64)                         {}
func (s *speaker) Refresh([]model.AppUID)                   {}
func (s *speaker) Disconnected(error)                       {}

package gateway

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hawser-dev/hawser/hub/fleet"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
)

// meanwhileStore has an operation that comes, with the limits that it is to be
// judged by, while a session reads what there is.
type meanwhileStore struct {
	Store
	out   *outbox
	reads int
	ops   []model.OperationInfo
}

func (m *meanwhileStore) PendingOperations(context.Context, model.ClusterID) ([]model.OperationInfo, error) {
	if m.reads++; m.reads == 1 {
		m.out.markDesired([]model.AppUID{"web"})
		m.ops = []model.OperationInfo{{ID: "op", Seq: 1, App: "web", Kind: model.OperationSync, Phase: model.PhaseQueued}}
		m.out.markOperations()
	}
	return slices.Clone(m.ops), nil
}

func (m *meanwhileStore) MarkSent(context.Context, model.ClusterID, model.Epoch, []model.OperationID) error {
	m.ops[0].Phase = model.PhaseSent
	return nil
}

func (m *meanwhileStore) DesiredFor(context.Context, model.ClusterID, []model.AppUID) ([]model.Desired, []model.Withdraw, error) {
	return []model.Desired{{App: "web", Name: "web", Generation: 2, Bundle: "sha256:x", BundleBytes: 1 << 30}}, nil, nil
}

// recorded is a stream that keeps what is sent.
type recorded struct {
	grpc.ServerStream
	sent []string
}

func (r *recorded) Context() context.Context { return context.Background() }

func (r *recorded) Recv() (*agentv1.AgentMessage, error) { panic("nothing is received here") }

func (r *recorded) Send(m *agentv1.HubMessage) error {
	switch {
	case m.GetDesired() != nil:
		r.sent = append(r.sent, "desired")
	case m.GetOperation() != nil:
		r.sent = append(r.sent, "operation")
	}
	return nil
}

func TestAnOperationNeverOvertakesTheLimitsThatCameBeforeIt(t *testing.T) {
	store, stream := &meanwhileStore{}, &recorded{}
	s := &session{g: &Gateway{}, log: slog.New(slog.DiscardHandler), stream: stream, cluster: "eu", out: newOutbox(), facts: fleet.NewSession(fleet.Opening{}, model.Hello{Known: []model.KnownApp{{UID: "web", Generation: 1}}})}
	store.out, s.g.opts.Store, s.g.opts.Now = &s.out, store, time.Now
	// Something else had the session look at operations, and not at desired states.
	if err := s.deliver(t.Context(), &outwork{operations: true}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(stream.sent, []string{"desired", "operation"}) {
		t.Errorf("sent %q", stream.sent)
	}
}

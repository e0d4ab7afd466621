package gateway

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hawser-dev/hawser/hub/fleet"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// owned fails when something is taken for another cluster or session than the
// certificate's, or from the future.
type owned struct {
	t     *testing.T
	epoch model.Epoch
	now   time.Time
}

func (o owned) Offer(r fleet.Report) {
	if r.Cluster != "mine" || r.Epoch != o.epoch || r.ObservedAt.After(o.now) {
		o.t.Errorf("taken: a report of %s in %s, observed at %s", r.Cluster, r.Epoch, r.ObservedAt)
	}
}

func (o owned) Beat(b fleet.Beat) {
	if b.Cluster != "mine" || b.Epoch != o.epoch || b.ObservedAt.After(o.now) {
		o.t.Errorf("taken: a heartbeat of %s in %s, observed at %s", b.Cluster, b.Epoch, b.ObservedAt)
	}
}

// Whatever an agent says in a session is of its own cluster and epoch and not
// from the future, or is refused with a name.
func FuzzSessionMessage(f *testing.F) {
	epoch := &agentv1.Epoch{Incarnation: 1, Number: 1}
	at := timestamppb.New(time.Unix(4_000_000_000, 0))
	for _, m := range []*agentv1.AgentMessage{
		{Epoch: epoch, Message: &agentv1.AgentMessage_Heartbeat{Heartbeat: &agentv1.Heartbeat{Seq: 1, ObservedAt: at}}, SentAt: at},
		{Epoch: epoch, Message: &agentv1.AgentMessage_Ack{Ack: &agentv1.Ack{AppUid: "a", Generation: 1}}},
		{Epoch: epoch, Message: &agentv1.AgentMessage_Reports{Reports: &agentv1.AppReports{Reports: []*agentv1.AppReport{{AppUid: "a", Seq: 1, ObservedAt: at, StatusJson: []byte(`{}`)}}}}},
		{Epoch: epoch, Message: &agentv1.AgentMessage_Cluster{Cluster: &agentv1.ClusterReport{ObservedAt: at}}},
		{Message: &agentv1.AgentMessage_Hello{Hello: &agentv1.Hello{ClusterId: "other"}}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m agentv1.AgentMessage
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		now := time.Unix(1_700_000_000, 0)
		opening := fleet.Opening{Epoch: model.Epoch{Incarnation: 1, Number: 1}}
		g := New(Options{Ingest: owned{t, opening.Epoch, now}, Now: func() time.Time { return now }})
		s := &session{g: g, log: g.log, cluster: "mine", epoch: opening.Epoch, out: newOutbox(), unstored: newUnstored()}
		s.facts = fleet.NewSession(opening, model.Hello{Cluster: "mine"})
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // nothing is stored
		var offset clockOffset
		if err := s.take(ctx, &m, &offset); err != nil && fault.As(err).Code == "" {
			t.Errorf("refused with %v", err)
		}
	})
}

// A token that is taken is one that could have been made.
func FuzzEnrolmentToken(f *testing.F) {
	token, _, err := NewEnrolmentToken()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add("hwe_")
	f.Fuzz(func(t *testing.T, s string) {
		hash, err := EnrolmentTokenHash(s)
		if (err == nil) != (len(hash) == 32) || err != nil && !fault.HasCode(err, "enrolment_token_malformed") {
			t.Errorf("%q: %x, %v", s, hash, err)
		}
	})
}

package gateway

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hawser-dev/hawser/hub/fleet"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
)

// A tree that is small on the wire and large in memory counts for what it costs, so
// that no second one is taken while it waits.
func TestE10_AReportCountsForWhatItCostsInMemory(t *testing.T) {
	u := newUnstored()
	u.add("app", 1, kept([]byte(`{"nodes":[`+strings.Repeat("{},", 10_000)+`{}]}`)))
	if !u.above(2 << 20) {
		t.Errorf("it counts as %d bytes", u.bytes)
	}
	u.stored(1)
	if u.above(0) {
		t.Errorf("%d bytes are left when it is stored", u.bytes)
	}
}

// taken counts what the hub has taken of an agent, and never stores it.
type taken struct {
	noIngest
	reports atomic.Int64
	all     chan struct{} // closed at most of them
	most    int64
}

func (i *taken) Offer(fleet.Report) {
	if i.reports.Add(1) == i.most {
		close(i.all)
	}
}

// heldUp hears why an agent is made to wait.
type heldUp chan string

func (heldUp) SessionOpened(bool)      {}
func (heldUp) RoundTrip(time.Duration) {}
func (h heldUp) Refused(reason string) {
	select {
	case h <- reason:
	default:
	}
}

// An agent that says more than the hub can store, or faster than it may, is made to
// wait, whatever memory the machine has: what was taken of it by then is counted.
func TestE10_AFloodIsTakenNoFasterThanItMay(t *testing.T) {
	const reports, size = 100, 64 << 10
	for name, c := range map[string]struct {
		options Options
		reason  string
		most    int64
	}{
		"what waits for the database": {Options{UnstoredBytes: 4 * size}, "reports_held_up", 5},
		"bytes":                       {Options{UnstoredBytes: 1 << 30, BytesBurst: 4 * size, BytesPerSecond: 1}, "bytes_held_up", 5},
		"messages":                    {Options{UnstoredBytes: 1 << 30, MessageBurst: 5, MessageEvery: time.Hour}, "messages_held_up", 5},
	} {
		t.Run(name, func(t *testing.T) {
			in, heard := &taken{all: make(chan struct{}), most: reports}, make(heldUp, 1)
			c.options.Ingest, c.options.Observer = in, heard
			p := serve(t, c.options)
			cert, _ := p.certificate(t, "eu")
			stream, epoch := open(t, p.dial(t, model.AgentServerName, cert), "eu")
			status := []byte(`{"conditions":[{"type":"x","message":"` + strings.Repeat("x", size) + `"}]}`)
			go func() {
				for i := range reports {
					if stream.Send(&agentv1.AgentMessage{Epoch: epoch, Message: &agentv1.AgentMessage_Reports{Reports: &agentv1.AppReports{Reports: []*agentv1.AppReport{
						{AppUid: fmt.Sprint("a", i), Seq: uint64(i + 1), ObservedAt: timestamppb.Now(), StatusJson: status}}}}}) != nil {
						return // the test is over
					}
				}
			}()
			select {
			case reason := <-heard:
				if n := in.reports.Load(); reason != c.reason || n > c.most {
					t.Errorf("%d reports were taken when it was made to wait for %s", n, reason)
				}
			case <-in.all:
				t.Errorf("all %d reports were taken at once", reports)
			case <-time.After(30 * time.Second):
				t.Error("nothing was taken")
			}
			if name != "what waits for the database" {
				return
			}
			// It goes on when the database has it, and loses nothing.
			for {
				p.gateway.ReportsStored("eu", model.Epoch{Incarnation: 1, Number: p.store.epoch}, uint64(in.reports.Load()))
				select {
				case <-in.all:
					return
				case <-heard:
				case <-time.After(30 * time.Second):
					t.Fatalf("it stands still after %d reports", in.reports.Load())
				}
			}
		})
	}
}

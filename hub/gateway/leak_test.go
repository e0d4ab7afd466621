package gateway

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// opened counts sessions.
type opened struct{ first, again atomic.Int64 }

func (o *opened) SessionOpened(again bool) {
	if again {
		o.again.Add(1)
	} else {
		o.first.Add(1)
	}
}
func (o *opened) RoundTrip(time.Duration) {}
func (o *opened) Refused(string)          {}

// TestSessionsLeaveNothingBehind opens and closes 200 sessions, of 40 clusters, and
// comes back to where it was.
func TestSessionsLeaveNothingBehind(t *testing.T) {
	seen := &opened{}
	p := serve(t, Options{Observer: seen})
	if err := p.gateway.Err(); err != nil {
		for deadline := time.Now().Add(10 * time.Second); p.gateway.Err() != nil; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	before := runtime.NumGoroutine()
	for range 5 {
		for i := range 40 {
			cluster := model.ClusterID(fmt.Sprintf("cluster-%d", i))
			certificate, _ := p.certificate(t, cluster)
			cc := p.dial(t, model.AgentServerName, certificate)
			stream, _ := open(t, cc, cluster)
			if i%2 == 0 { // half leave in good order
				if err := stream.CloseSend(); err != nil {
					t.Fatal(err)
				}
				for {
					if _, err := stream.Recv(); err != nil {
						break
					}
				}
			}
			cc.Close()
		}
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		n, live := runtime.NumGoroutine(), len(p.gateway.Connected())
		if n <= before && live == 0 {
			break
		}
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before, %d sessions:\n%s", n, before, live, buf[:runtime.Stack(buf, true)])
		}
	}
	if seen.first.Load() != 40 || seen.again.Load() != 160 {
		t.Errorf("%d first sessions and %d more were told", seen.first.Load(), seen.again.Load())
	}
}

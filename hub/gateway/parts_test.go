package gateway

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestEnrolmentTokens(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		token, hash, err := NewEnrolmentToken()
		if err != nil || seen[token] || len(token) != 37 || !strings.HasPrefix(token, "hwe_") {
			t.Fatalf("token %q, %v", token, err)
		}
		seen[token] = true
		got, err := EnrolmentTokenHash(token)
		if err != nil || !bytes.Equal(got, hash) {
			t.Fatalf("hash of %q differs: %v", token, err)
		}
		// Any one digit changed is noticed.
		for i := 4; i < len(token); i += 7 {
			c := byte('x')
			if token[i] == c {
				c = 'y'
			}
			if _, err := EnrolmentTokenHash(token[:i] + string(c) + token[i+1:]); !fault.HasCode(err, "enrolment_token_malformed") {
				t.Fatalf("a change at %d of %q went unnoticed", i, token)
			}
		}
	}
	for _, s := range []string{"", "hwe_", "hwt_" + strings.Repeat("0", 33), strings.Repeat("0", 37)} {
		if _, err := EnrolmentTokenHash(s); !fault.HasCode(err, "enrolment_token_malformed") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestBucket(t *testing.T) {
	var b bucket
	now := time.Unix(1000, 0)
	for i := range 3 {
		if w := b.take(now, 3, time.Minute); w != 0 {
			t.Errorf("take %d waits %s", i, w)
		}
	}
	if w := b.take(now, 3, time.Minute); w != time.Minute {
		t.Errorf("the fourth waits %s", w)
	}
	if w := b.take(now.Add(45*time.Second), 3, time.Minute); w != 15*time.Second {
		t.Errorf("after 45 s it waits %s", w)
	}
	if w := b.take(now.Add(61*time.Second), 3, time.Minute); w != 0 {
		t.Errorf("after 61 s it waits %s", w)
	}
	if b.full(now.Add(2*time.Minute), 3, time.Minute) || !b.full(now.Add(5*time.Minute), 3, time.Minute) {
		t.Error("full is wrong")
	}
	if w := b.take(now.Add(-time.Hour), 3, time.Minute); w <= 0 {
		t.Error("a clock that goes back fills the bucket")
	}
}

func TestClockOffset(t *testing.T) {
	hub := time.Unix(1_000_000, 0)
	for name, c := range map[string]struct {
		behind, transit []time.Duration // one pair for each message
		age             time.Duration
		want            time.Duration // age at the hub when the last one arrives
	}{
		"equal clocks":          {[]time.Duration{0}, []time.Duration{50 * time.Millisecond}, 10 * time.Second, 10*time.Second + 50*time.Millisecond},
		"agent behind":          {[]time.Duration{time.Hour}, []time.Duration{0}, 10 * time.Second, 10 * time.Second},
		"agent ahead":           {[]time.Duration{-time.Hour}, []time.Duration{0}, 10 * time.Second, 10 * time.Second},
		"a message that queued": {[]time.Duration{time.Hour, time.Hour}, []time.Duration{0, 20 * time.Second}, 10 * time.Second, 30 * time.Second},
		"equal clocks, queued":  {[]time.Duration{0, 0}, []time.Duration{0, 20 * time.Second}, 10 * time.Second, 30 * time.Second},
		"only ever queued ones": {[]time.Duration{time.Hour}, []time.Duration{20 * time.Second}, 10 * time.Second, 10 * time.Second},
		"in the hub's future":   {[]time.Duration{-time.Second}, []time.Duration{0}, 0, 0},
	} {
		var o clockOffset
		var arrived, sent time.Time
		for i := range c.behind {
			arrived = hub.Add(c.transit[i])
			sent = hub.Add(-c.behind[i])
			o.observe(arrived, sent)
		}
		if got := arrived.Sub(o.toHub(sent.Add(-c.age), arrived)); got != c.want {
			t.Errorf("%s: age %s, want %s", name, got, c.want)
		}
	}
}

// A clock that was set is noticed by the heartbeats, whichever way it went, and
// messages that queue are not taken for it.
func TestTheDifferenceOfTheClocksIsThatOfNow(t *testing.T) {
	const interval, way = 10 * time.Second, 20 * time.Millisecond
	hub := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	type beat struct{ behind, transit, took time.Duration }
	well := func(behind time.Duration) beat { return beat{behind, way, 2 * way} }
	slow := beat{0, 20 * time.Second, 2 * way} // comes late, and says how fast the one before was
	for name, c := range map[string]struct {
		beats []beat
		want  time.Duration
	}{
		"always right":                 {[]beat{well(0), well(0), well(0)}, way},
		"ahead":                        {[]beat{well(-time.Hour), well(-time.Hour)}, way - time.Hour},
		"ahead, then right":            {[]beat{well(-time.Hour), well(-time.Hour), well(0), well(0)}, way},
		"behind, then right":           {[]beat{well(time.Hour), well(0)}, way},
		"right, then ahead":            {[]beat{well(0), well(-time.Hour)}, way - time.Hour},
		"right, then behind":           {[]beat{well(0), well(time.Hour), well(time.Hour)}, way + time.Hour},
		"a heartbeat that queued":      {[]beat{well(0), slow, {0, way, 20 * time.Second}, well(0)}, way},
		"an older answer":              {[]beat{well(0), slow, {0, 21 * time.Second, interval}}, way},
		"an agent that tells no trips": {[]beat{{-time.Hour, way, 0}, {0, way, 0}, {0, way, 0}}, way - time.Hour},
	} {
		var o clockOffset
		for i, b := range c.beats {
			sent := hub.Add(time.Duration(i) * interval)
			o.observe(sent.Add(b.transit), sent.Add(-b.behind))
			o.beat(sent.Add(b.transit), sent.Add(-b.behind), b.took, interval)
		}
		if o.min != c.want {
			t.Errorf("%s: %s, want %s", name, o.min, c.want)
		}
	}
}

func TestInboxKeepsTheNewestAndNeverLosesAnEnd(t *testing.T) {
	update := func(id string, p model.OperationPhase) model.OperationUpdate {
		return model.OperationUpdate{ID: model.OperationID(id), Phase: p}
	}
	var b inbox
	b.ack(fleet.Ack{App: "a", Generation: 2})
	b.ack(fleet.Ack{App: "a", Generation: 1})
	b.operation(update("x", model.PhaseRunning))
	b.operation(update("y", model.PhaseFailed))
	b.operation(update("y", model.PhaseRunning))
	b.cluster = &fleet.ClusterReport{Cluster: "old"}
	acks, ops, cluster := b.take()
	if len(acks) != 1 || acks[0].Generation != 2 || len(ops) != 2 || ops[0].ID != "x" || ops[1].Phase != model.PhaseFailed || !b.empty() {
		t.Fatalf("took %v, %v", acks, ops)
	}
	// While they could not be stored, newer ones came.
	b.ack(fleet.Ack{App: "a", Generation: 3})
	b.operation(update("x", model.PhaseSucceeded))
	b.operation(update("z", model.PhaseRunning))
	b.cluster = &fleet.ClusterReport{Cluster: "new"}
	b.giveBack(acks, ops, cluster)
	acks, ops, cluster = b.take()
	if len(acks) != 1 || acks[0].Generation != 3 || cluster.Cluster != "new" {
		t.Errorf("acks %v, cluster %v", acks, cluster)
	}
	got := ""
	for _, u := range ops {
		got += fmt.Sprintf("%s=%s ", u.ID, u.Phase)
	}
	if got != "x=Succeeded y=Failed z=Running " {
		t.Errorf("operations %s", got)
	}
}

func TestInboxIsBounded(t *testing.T) {
	var b inbox
	for i := range maxInbox + 1 {
		b.ack(fleet.Ack{App: model.AppUID(fmt.Sprint(i)), Generation: 1})
	}
	if !b.overflow {
		t.Error("an agent may make the hub keep anything")
	}
}

func TestOutboxIsBoundedByNames(t *testing.T) {
	o := newOutbox()
	for range 1000 {
		o.markDesired([]model.AppUID{"a", "b"})
		o.refresh([]model.AppUID{"a"})
		o.markOperations()
	}
	o.ackReports(7)
	o.ackReports(5)
	w := o.take()
	if len(w.apps) != 2 || len(w.refreshes) != 1 || !w.operations || w.reportAck != 7 || w.all {
		t.Errorf("work is %+v", w)
	}
	o.ackReports(6)
	if w := o.take(); w.reportAck != 0 {
		t.Errorf("acknowledged %d after 7", w.reportAck)
	}
	o.markDesired([]model.AppUID{"a"})
	o.markDesired(nil)
	o.markDesired([]model.AppUID{"b"})
	if w := o.take(); !w.all || len(w.apps) != 0 {
		t.Errorf("work is %+v", w)
	}
}

func TestBundleCacheStaysWithinItsBytes(t *testing.T) {
	c := newBundleCache(100)
	for i := range 10 {
		c.put(model.Digest(fmt.Sprint(i)), make([]byte, 30))
		if _, ok := c.get("0"); !ok && i < 3 {
			t.Errorf("0 is gone after %d", i)
		}
	}
	if c.size > 100 || c.order.Len() != len(c.index) || c.order.Len() != 3 {
		t.Errorf("%d bytes in %d entries", c.size, c.order.Len())
	}
	if _, ok := c.get("9"); !ok {
		t.Error("the newest is gone")
	}
	c.put("big", make([]byte, 101))
	if _, ok := c.get("big"); ok {
		t.Error("one that is larger than all was kept")
	}
}

func TestSpreadGrowsWithTheFleet(t *testing.T) {
	for n, want := range map[int]time.Duration{0: 5 * time.Second, 100: 5 * time.Second, 5000: 20 * time.Second} {
		if got := capFor(n); got != want {
			t.Errorf("cap for %d agents is %s, want %s", n, got, want)
		}
	}
}

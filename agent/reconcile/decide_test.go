package reconcile

import (
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/model"
)

var now = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)

func off() *model.SyncPolicy {
	no := false
	return &model.SyncPolicy{Automated: &model.AutomatedSync{Enabled: &no, SelfHeal: true, Prune: true}}
}

func TestNext(t *testing.T) {
	heal := automated(true, true)
	noHeal := automated(true, false)
	ok := &journal.Attempt{Generation: 5, At: now.Add(-time.Hour), Count: 1}
	failed := func(count int, ago time.Duration) *journal.Attempt {
		return &journal.Attempt{Generation: 5, Failed: true, Count: count, At: now.Add(-ago)}
	}
	op := &journal.Operation{}
	ending := &journal.Operation{Terminating: true}
	soon := now.Add(time.Minute)
	retrying := &journal.Operation{Tries: 1, RetryAt: &soon}
	waiting := func(since time.Duration) *journal.Operation { return &journal.Operation{AcceptedAt: now.Add(-since)} }
	cases := []struct {
		name string
		s    situation
		do   deed
		at   time.Time
	}{
		{"nothing held", situation{}, doNothing, time.Time{}},
		{"withdrawal first", situation{Withdrawing: true, Op: op, Desired: true, Policy: heal}, doWithdraw, time.Time{}},
		{"withdrawal waits", situation{Withdrawing: true, WithdrawAt: now.Add(time.Second)}, doNothing, now.Add(time.Second)},
		{"withdrawal's time has come", situation{Withdrawing: true, WithdrawAt: now}, doWithdraw, time.Time{}},
		{"operation before automation", situation{Desired: true, Op: op, Policy: heal}, doOperation, time.Time{}},
		{"terminated operation", situation{Desired: true, Op: ending, Policy: heal}, doEnd, time.Time{}},
		{"no operation without a bundle", situation{Op: op, Policy: heal}, doNothing, time.Time{}},
		{"operation whose desired state is to come", situation{Pending: waiting(time.Minute)}, doNothing, now.Add(desiredTimeout - time.Minute)},
		{"operation whose desired state did not come", situation{Pending: waiting(desiredTimeout)}, doGiveUp, time.Time{}},
		{"terminated while it waits", situation{Pending: &journal.Operation{Terminating: true, AcceptedAt: now}}, doEnd, time.Time{}},
		{"operation whose manifests are lost", situation{Op: waiting(desiredTimeout), Pending: waiting(desiredTimeout)}, doGiveUp, time.Time{}},
		{"terminated without its manifests", situation{Op: ending, Pending: ending}, doEnd, time.Time{}},
		{"operation that may run, however late", situation{Desired: true, Op: waiting(time.Hour), Pending: waiting(time.Hour)}, doOperation, time.Time{}},
		{"self-heal while an operation waits", situation{Pending: waiting(0), Desired: true, Generation: 5, Policy: heal, Attempt: ok, Confirmed: true, Drifted: true, HealAt: now}, doHeal, time.Time{}},
		{"self-heal comes before the end of the wait", situation{Pending: waiting(0), Desired: true, Generation: 5, Policy: heal, Attempt: ok, Confirmed: true, Drifted: true, HealAt: now.Add(time.Second)}, doNothing, now.Add(time.Second)},
		{"withdrawal ends what waits", situation{Withdrawing: true, Pending: waiting(desiredTimeout)}, doWithdraw, time.Time{}},
		{"no policy", situation{Desired: true, Generation: 5, Drifted: true}, doNothing, time.Time{}},
		{"automation off", situation{Desired: true, Generation: 5, Policy: off(), Drifted: true, HealAt: now}, doNothing, time.Time{}},
		{"new generation", situation{Desired: true, Generation: 6, Policy: heal, Attempt: ok, Confirmed: false}, doAutoSync, time.Time{}},
		{"first generation", situation{Desired: true, Generation: 1, Policy: noHeal}, doAutoSync, time.Time{}},
		{"tried", situation{Desired: true, Generation: 5, Policy: heal, Attempt: ok, Confirmed: true}, doNothing, time.Time{}},
		{"tried once only, although something differs", situation{Desired: true, Generation: 5, Policy: noHeal, Attempt: ok, Drifted: true, HealAt: now}, doNothing, time.Time{}},
		{"failed, too early", situation{Desired: true, Generation: 5, Policy: heal, Attempt: failed(1, 0)}, doNothing, now.Add(time.Second)},
		{"failed, retry", situation{Desired: true, Generation: 5, Policy: heal, Attempt: failed(1, time.Second)}, doAutoSync, time.Time{}},
		{"failed, backoff grew", situation{Desired: true, Generation: 5, Policy: heal, Attempt: failed(3, 3*time.Second)}, doNothing, now.Add(time.Second)},
		{"failed for good", situation{Desired: true, Generation: 5, Policy: heal, Attempt: failed(6, time.Hour), Drifted: true, HealAt: now}, doNothing, time.Time{}},
		{"failed, then synced by hand", situation{Desired: true, Generation: 5, Policy: heal, Attempt: failed(6, time.Hour), Confirmed: true, Drifted: true, HealAt: now}, doHeal, time.Time{}},
		{"drift", situation{Desired: true, Generation: 5, Policy: heal, Attempt: ok, Confirmed: true, Drifted: true, HealAt: now}, doHeal, time.Time{}},
		{"drift, later", situation{Desired: true, Generation: 5, Policy: heal, Attempt: ok, Confirmed: true, Drifted: true, HealAt: now.Add(time.Minute)}, doNothing, now.Add(time.Minute)},
		{"drift behind a prune guard", situation{Desired: true, Generation: 5, Policy: heal, Attempt: ok, Drifted: true, HealAt: now}, doHeal, time.Time{}},
		{"drift without self-heal", situation{Desired: true, Generation: 5, Policy: noHeal, Attempt: ok, Confirmed: true, Drifted: true, HealAt: now}, doNothing, time.Time{}},
		{"new generation in a closed window", situation{Desired: true, Generation: 6, Policy: heal, Attempt: ok, Closed: true, OpensAt: now.Add(time.Hour)}, doNothing, now.Add(time.Hour)},
		{"drift in a window that never opens", situation{Desired: true, Generation: 5, Policy: heal, Attempt: ok, Confirmed: true, Drifted: true, HealAt: now, Closed: true}, doNothing, time.Time{}},
		{"an operation does not ask this window", situation{Desired: true, Op: op, Policy: heal, Closed: true}, doOperation, time.Time{}},
		{"an operation whose window has closed", situation{Desired: true, Op: op, Policy: heal, OpClosed: true, OpOpensAt: now.Add(time.Hour)}, doNothing, now.Add(time.Hour)},
		{"it can be ended", situation{Desired: true, Op: ending, OpClosed: true}, doEnd, time.Time{}},
		{"a withdrawal neither", situation{Withdrawing: true, Closed: true}, doWithdraw, time.Time{}},
		{"operation that waits for its next try", situation{Desired: true, Op: retrying, Pending: retrying, Policy: heal, Drifted: true}, doNothing, now.Add(time.Minute)},
		{"deletes that are not held any more", situation{Desired: true, Generation: 5, Policy: noHeal, Attempt: &journal.Attempt{Generation: 5, Again: true}}, doAutoSync, time.Time{}},
		{"prune that was held", situation{Desired: true, Generation: 5, Policy: noHeal, Attempt: ok, PruneDue: true}, doAutoSync, time.Time{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.s.Now = now
			if do, at := next(c.s); do != c.do || !at.Equal(c.at) {
				t.Errorf("got %s at %s, want %s at %s", do, at, c.do, c.at)
			}
		})
	}
}

func TestRetryOf(t *testing.T) {
	factor := int64(3)
	cases := []struct {
		name   string
		policy *model.SyncPolicy
		limit  int64
		pauses []time.Duration
	}{
		{"default", &model.SyncPolicy{}, 5, []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 3 * time.Minute, 3 * time.Minute}},
		{"given", &model.SyncPolicy{Retry: &model.RetryStrategy{Limit: 2, Backoff: &model.Backoff{Duration: "2", Factor: &factor, MaxDuration: "10s"}}}, 2, []time.Duration{2 * time.Second, 6 * time.Second, 10 * time.Second}},
		{"without bound", &model.SyncPolicy{Retry: &model.RetryStrategy{Limit: -1}}, -1, []time.Duration{5 * time.Second}},
		{"none", &model.SyncPolicy{Retry: &model.RetryStrategy{}}, 0, []time.Duration{5 * time.Second}},
		{"unreadable", &model.SyncPolicy{Retry: &model.RetryStrategy{Limit: 1, Backoff: &model.Backoff{Duration: "soon", MaxDuration: "-1"}}}, 1, []time.Duration{5 * time.Second, 10 * time.Second}},
		{"longest below first", &model.SyncPolicy{Retry: &model.RetryStrategy{Limit: 1, Backoff: &model.Backoff{Duration: "1m", MaxDuration: "10s"}}}, 1, []time.Duration{time.Minute, time.Minute}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			limit, pause := retryOf(c.policy)
			if limit != c.limit {
				t.Errorf("limit %d", limit)
			}
			for i, want := range c.pauses {
				if got := pause(i + 1); got != want {
					t.Errorf("pause after try %d is %s, want %s", i+1, got, want)
				}
			}
			if got := pause(1 << 20); got <= 0 {
				t.Errorf("a large number of tries gives %s", got)
			}
		})
	}
}

func TestHealBackoff(t *testing.T) {
	var h healing
	at := now
	var pauses []time.Duration
	for range 8 { // somebody puts the same content back at once, again and again
		when := healAt(h, "x", at)
		pauses = append(pauses, when.Sub(at))
		at = when
		h = healed(h, "x", at)
	}
	want := []time.Duration{0, 2 * time.Second, 6 * time.Second, 18 * time.Second, 54 * time.Second, 162 * time.Second, 300 * time.Second, 300 * time.Second}
	for i := range want {
		if pauses[i] != want[i] {
			t.Fatalf("pauses %v, want %v", pauses, want)
		}
	}
	if when := healAt(h, "y", at.Add(time.Second)); when.After(at.Add(time.Second)) {
		t.Errorf("other content waits until %s", when)
	}
	if later := at.Add(healCap + 2*healWindow); healAt(h, "x", later) != later {
		t.Error("after a quiet time the first repair waits")
	}
	// Ever new content is repaired at once, but not without bound.
	h, at = healing{}, now
	n := 0
	for at.Before(now.Add(2 * healWindow)) {
		content := model.Digest(at.String())
		when := healAt(h, content, at)
		if when.After(at) {
			at = when
			continue
		}
		h = healed(h, content, at)
		n++
		at = at.Add(10 * time.Millisecond)
	}
	if n < 2*healBurst-5 || n > 2*healBurst+5 {
		t.Errorf("%d repairs in two minutes", n)
	}
}

func TestQueue(t *testing.T) {
	q := newQueue(time.Now)
	q.add("a")
	q.add("a")
	q.add("b")
	uid, ok := q.get(t.Context())
	if !ok || uid != "a" {
		t.Fatalf("got %q", uid)
	}
	q.add("a") // while it is worked on
	q.add("a")
	if uid, _ = q.get(t.Context()); uid != "b" {
		t.Fatalf("a is handed out to two workers, or lost its turn: %q", uid)
	}
	q.done("b")
	q.done("a")
	if uid, _ = q.get(t.Context()); uid != "a" {
		t.Fatalf("got %q, want a once more", uid)
	}
	q.done("a")
	q.addAt("c", time.Now().Add(10*time.Millisecond))
	q.addAt("c", time.Now().Add(time.Hour)) // the earlier stands
	if uid, _ = q.get(t.Context()); uid != "c" {
		t.Fatalf("got %q", uid)
	}
	q.done("c")
	q.addAt("d", time.Now().Add(time.Hour))
	q.add("d") // at once replaces later
	if uid, _ = q.get(t.Context()); uid != "d" {
		t.Fatalf("got %q", uid)
	}
	q.done("d")
	q.close()
	q.add("e")
	if len(q.ready) > 0 || len(q.timers) > 0 {
		t.Errorf("left after the end: %v %v", q.ready, q.timers)
	}
}

package reconcile

import (
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/model"
)

// deed is what a worker does next with an application.
type deed string

const (
	doNothing   deed = "nothing"
	doWithdraw  deed = "withdraw"
	doEnd       deed = "end operation"     // somebody asked to terminate it
	doGiveUp    deed = "give up operation" // its desired state did not arrive
	doOperation deed = "operation"
	doAutoSync  deed = "automated sync"
	doHeal      deed = "heal"
	doRefuse    deed = "refuse operation" // the application is only observed
)

// situation is everything that the next deed depends on.
type situation struct {
	Now time.Time
	// Withdrawing: a withdrawal is accepted; WithdrawAt is when it may be tried
	// next.
	Withdrawing bool
	WithdrawAt  time.Time
	// Op is the operation that may run now; nil: none.
	Op *journal.Operation
	// Pending is the operation that was taken on, whether or not it may run now.
	Pending *journal.Operation
	// Desired: there is a desired state, and its bundle is at hand.
	Desired    bool
	Generation model.Generation
	// Observe: nothing may be written, whatever else is to be done.
	Observe bool
	Policy  *model.SyncPolicy
	Attempt *journal.Attempt
	// Confirmed: the present generation was synced completely.
	Confirmed bool
	// Drifted: some object is known to differ and may be written; HealAt is when
	// that may be tried.
	Drifted bool
	HealAt  time.Time
	// Closed: a sync window forbids automated syncs and repairs now; OpensAt is
	// when that may change, zero for never.
	Closed  bool
	OpensAt time.Time
	// OpClosed: one forbids to go on with the operation; OpOpensAt likewise.
	OpClosed  bool
	OpOpensAt time.Time
	// PruneDue: objects may be pruned that the sync of this generation had to
	// leave, because deletes were held or their live state was not known.
	PruneDue bool
}

// next decides. When the time for something has not come, at says when to ask
// again.
func next(s situation) (do deed, at time.Time) {
	if s.Withdrawing {
		if s.Now.Before(s.WithdrawAt) {
			return doNothing, s.WithdrawAt
		}
		return doWithdraw, time.Time{}
	}
	if s.Observe {
		switch {
		case s.Pending == nil:
			return doNothing, time.Time{}
		case s.Pending.Terminating:
			return doEnd, time.Time{}
		}
		return doRefuse, time.Time{}
	}
	if s.Pending != nil && (s.Op == nil || !s.Desired) {
		switch end := s.Pending.AcceptedAt.Add(desiredTimeout); {
		case s.Pending.Terminating:
			return doEnd, time.Time{}
		case !s.Now.Before(end):
			return doGiveUp, time.Time{}
		default:
			// Meanwhile the generation that is held is looked after as ever.
			do, at = standing(s)
			if do == doNothing && (at.IsZero() || end.Before(at)) {
				at = end
			}
			return do, at
		}
	}
	return standing(s)
}

// desiredTimeout is how long an operation waits for the desired state that it
// is about, after it was taken on: long enough to fetch a large bundle over a
// bad line. Nothing at the hub ends an operation that its agent has taken on,
// so the agent does. It is measured by the agent's clock alone.
const desiredTimeout = 10 * time.Minute

// standing decides what an application needs that is not being withdrawn.
func standing(s situation) (do deed, at time.Time) {
	if !s.Desired {
		return doNothing, time.Time{}
	}
	if s.Op != nil {
		if s.Op.Terminating {
			return doEnd, time.Time{}
		}
		if at := s.Op.RetryAt; at != nil && s.Now.Before(*at) {
			return doNothing, *at
		}
		if s.OpClosed {
			return doNothing, s.OpOpensAt
		}
		return doOperation, time.Time{}
	}
	if !s.Policy.AutomatedEnabled() {
		return doNothing, time.Time{}
	}
	do, at = automatic(s)
	if s.Closed && do != doNothing {
		return doNothing, s.OpensAt
	}
	return do, at
}

// automatic decides what the agent does by itself.
func automatic(s situation) (do deed, at time.Time) {
	tried := s.Attempt != nil && s.Attempt.Generation >= s.Generation
	switch {
	case !tried:
		return doAutoSync, time.Time{}
	case s.Attempt.Failed && !s.Confirmed:
		limit, backoff := retryOf(s.Policy)
		if limit >= 0 && int64(s.Attempt.Count) > limit {
			return doNothing, time.Time{}
		}
		if when := s.Attempt.At.Add(backoff(s.Attempt.Count)); s.Now.Before(when) {
			return doNothing, when
		}
		return doAutoSync, time.Time{}
	case (s.PruneDue || s.Attempt.Again) && !s.Confirmed:
		return doAutoSync, time.Time{}
	case s.Policy.Automated.SelfHeal && s.Drifted:
		if s.Now.Before(s.HealAt) {
			return doNothing, s.HealAt
		}
		return doHeal, time.Time{}
	}
	return doNothing, time.Time{}
}

// Argo CD's defaults for automated syncs that do not say how to retry.
const (
	defaultRetryLimit    = 5
	defaultRetryDuration = 5 * time.Second
	defaultRetryFactor   = 2
	defaultRetryMax      = 3 * time.Minute
)

// retryOf reads the retry strategy. Durations that cannot be read count as not
// given; the hub refuses them when they are written. A limit below zero has no
// bound.
func retryOf(p *model.SyncPolicy) (limit int64, backoff func(tries int) time.Duration) {
	limit = defaultRetryLimit
	first, factor, longest := defaultRetryDuration, int64(defaultRetryFactor), defaultRetryMax
	if p != nil && p.Retry != nil {
		limit = p.Retry.Limit
		if b := p.Retry.Backoff; b != nil {
			if d, ok := duration(b.Duration); ok {
				first = d
			}
			if d, ok := duration(b.MaxDuration); ok {
				longest = d
			}
			if b.Factor != nil && *b.Factor >= 1 {
				factor = *b.Factor
			}
		}
	}
	return limit, func(tries int) time.Duration { return grow(first, factor, longest, tries-1) }
}

// grow is first × factor^n, at most longest.
func grow(first time.Duration, factor int64, longest time.Duration, n int) time.Duration {
	d := first
	for range n {
		if d >= longest/time.Duration(factor) {
			return max(longest, first)
		}
		d *= time.Duration(factor)
	}
	return min(d, max(longest, first))
}

func duration(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return time.Duration(n) * time.Second, true
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d > 0
}

// Self-heal: the first repair of a drift is immediate. One that comes back with
// the same content within healWindow waits, ever longer, because somebody else
// puts it there; so does an object that is repaired more than healBurst times
// in a window, whatever its content.
const (
	healWindow = time.Minute
	healBurst  = 120
	healFirst  = 2 * time.Second
	healFactor = 3
	healCap    = 300 * time.Second
)

// healing is the memory of repairs of one object.
type healing struct {
	At      time.Time    // of the last repair
	Content model.Digest // that was repaired, "" for a missing object
	Repeats int          // repairs of that content in a row
	Since   time.Time    // begin of the present window
	Count   int          // repairs in it
	By      string       // field manager that set what was repaired, where known
}

// healAt is when a drift with the given content may be repaired.
func healAt(h healing, content model.Digest, now time.Time) time.Time {
	if h.At.IsZero() || now.Sub(h.At) >= max(healWindow, healPause(h.Repeats)+healWindow) {
		return now
	}
	pause := time.Duration(0)
	if h.Content == content {
		pause = healPause(h.Repeats)
	}
	if h.Count >= healBurst && now.Sub(h.Since) < healWindow {
		pause = max(pause, h.Since.Add(healWindow).Sub(h.At))
	}
	return h.At.Add(pause)
}

func healPause(repeats int) time.Duration {
	if repeats <= 0 {
		return 0
	}
	return grow(healFirst, healFactor, healCap, repeats-1)
}

// healed records a repair.
func healed(h healing, content model.Digest, now time.Time) healing {
	if h.At.IsZero() || h.Content != content || now.Sub(h.At) >= max(healWindow, healPause(h.Repeats)+healWindow) {
		h.Repeats = 0
	}
	if now.Sub(h.Since) >= healWindow {
		h.Since, h.Count = now, 0
	}
	h.At, h.Content = now, content
	h.Repeats++
	h.Count++
	return h
}

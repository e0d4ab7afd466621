package gateway

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// An agent speaks of its own cluster's applications and operations. What it says of
// others changes nothing, because every statement of the store asks for the cluster
// too. An honest agent never does: applications do not move between clusters. So
// whoever does it again and again is shown out.

// mostForeign words about another cluster end a session.
const mostForeign = 3

// maxJudged bounds what is remembered of one session.
const maxJudged = 10_000

// subject is what an agent spoke of; op is "" when it was no operation.
type subject struct {
	app model.AppUID
	op  model.OperationID
}

// speaksOf notes that the agent spoke n times of what is not known to be its own.
// b.mu is held.
func (b *inbox) speaksOf(o subject, n int) {
	if b.others == nil {
		b.others = map[subject]int{}
	}
	b.others[o] += n
	b.came(len(b.others), ackBytes)
}

// suspect has the store asked whose an application or operation is that the session
// does not know as the cluster's own, such as one that was deleted meanwhile. It is
// of the receiving goroutine.
func (s *session) suspect(ctx context.Context, o subject) error {
	s.factsMu.Lock()
	known := s.facts.Knows(o.app, o.op)
	s.factsMu.Unlock()
	if known {
		return nil
	}
	s.in.mu.Lock()
	_, judged := s.in.judged[o]
	s.in.mu.Unlock()
	if judged {
		return nil
	}
	return s.keep(ctx, func(b *inbox) { b.speaksOf(o, 1) })
}

// judge asks the store, and empties others when it has answered.
func (s *session) judge(ctx context.Context, others *map[subject]int) error {
	if len(*others) == 0 {
		return nil
	}
	apps, ops := map[model.AppUID]struct{}{}, map[model.OperationID]struct{}{}
	for o := range *others {
		apps[o.app] = struct{}{}
		if o.op != "" {
			ops[o.op] = struct{}{}
		}
	}
	foreignApps, foreignOps, err := s.g.opts.Store.Foreign(ctx, s.cluster, slices.Collect(maps.Keys(apps)), slices.Collect(maps.Keys(ops)))
	if err != nil {
		return err
	}
	said := 0
	s.in.mu.Lock()
	for o, n := range *others {
		if slices.Contains(foreignApps, o.app) || o.op != "" && slices.Contains(foreignOps, o.op) {
			said += n
			continue
		}
		if s.in.judged == nil {
			s.in.judged = map[subject]struct{}{}
		}
		if len(s.in.judged) < maxJudged {
			s.in.judged[o] = struct{}{}
		}
	}
	s.in.foreign += said
	over := s.in.foreign >= mostForeign
	s.in.mu.Unlock()
	*others = nil
	if said == 0 {
		return nil
	}
	const code = "application_foreign"
	for range said {
		s.g.opts.Observer.Refused(code)
	}
	s.log.Warn("the agent speaks of what is another cluster's; it is left out", "code", code, "times", said, "applications", len(foreignApps), "operations", len(foreignOps))
	if over {
		s.g.refused(ctx, "session ended", s.caller.remote(), code)
		s.end(parting{kind: fault.Denied, GoAway: wire.GoAway{Code: code, RetryAfter: time.Minute,
			Message: "the agent spoke of applications of another cluster; was its state copied from there?"}})
	}
	return nil
}

package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// enrolmentLook is how often an enrolment is looked at when no event says that
// something changed: the use of a token is told to nobody.
const enrolmentLook = 2 * time.Second

// enrolmentState is how far a cluster has come.
type enrolmentState struct {
	redeemed  bool
	connected bool
	inventory bool
	cluster   model.Cluster
	// preflight is what the agent found before it enrolled, nil when it has not told.
	preflight *api.EnrolmentPreflight
}

// step is a line of the wait, in order.
type enrolmentStep struct {
	what string
	done func(enrolmentState) bool
	say  func(enrolmentState) string
}

var enrolmentSteps = []enrolmentStep{
	{"the token is redeemed", func(s enrolmentState) bool { return s.redeemed }, func(enrolmentState) string { return "token redeemed" }},
	{"the agent is connected", func(s enrolmentState) bool { return s.redeemed && s.connected }, func(s enrolmentState) string { return "connected " + s.cluster.AgentVersion }},
	{"the inventory has come", func(s enrolmentState) bool { return s.redeemed && s.inventory }, func(s enrolmentState) string {
		return fmt.Sprintf("inventory: Kubernetes %s, %s, %s", s.cluster.KubeVersion,
			output.Count(s.cluster.Nodes, "node", "nodes"), output.Count(s.cluster.Namespaces, "namespace", "namespaces"))
	}},
}

// awaitEnrolment tells a person how the enrolment goes on, until the cluster
// reports or the time is over.
func (c *call) awaitEnrolment(e enrolment) error {
	limit := e.ExpiresAt.Sub(c.now())
	ctx, cancel := c.limit(c.ctx, limit)
	defer cancel()
	start := c.now()
	c.note("Waiting for the cluster; Ctrl-C ends the waiting, not the enrolment.")
	done := 0
	var told time.Time
	err := c.until(ctx, func() (bool, error) {
		state, err := c.enrolmentState(ctx, e)
		if err != nil {
			if fault.Is(err, fault.Unavailable) {
				err = nil // the hub comes back
			}
			return false, err
		}
		if p := state.preflight; p != nil && !p.At.Equal(told) {
			told = p.At
			c.sayPreflight(*p)
		}
		for done < len(enrolmentSteps) && enrolmentSteps[done].done(state) {
			c.note("%s  (%s)", c.errStatus("ok", enrolmentSteps[done].say(state)), c.now().Sub(start).Round(time.Second))
			done++
		}
		return done == len(enrolmentSteps), nil
	})
	switch {
	case err != nil && errors.Is(err, ctx.Err()):
		return c.enrolmentNotDone(ctx, e, enrolmentSteps[done].what)
	case err != nil:
		return err
	}
	c.note("Next: hawser cluster get %s", e.Cluster)
	return nil
}

// errStatus is a status and a text for standard error.
func (c *call) errStatus(status, text string) string {
	if c.Terminal && unicodeLocale() {
		return map[string]string{"ok": "✔", "failed": "✖", "warning": "!"}[status] + " " + text
	}
	return status + ": " + text
}

// sayPreflight tells a person what the agent found: in one line when all is well, else
// what is not, with what to do. The texts are the agent's.
func (c *call) sayPreflight(p api.EnrolmentPreflight) {
	good, made := 0, 0
	for _, check := range p.Checks {
		switch check.Outcome {
		case "ok":
			good++
			made++
		case "warning", "failed":
			made++
			c.note("%s  (%s)", c.errStatus(check.Outcome, output.Clean("preflight "+check.Check+": "+check.Message)), strings.TrimSpace(check.ID+" "+check.Code))
			if check.Fix != "" {
				c.note("  fix: %s", output.Clean(check.Fix))
			}
		}
	}
	if good == made {
		c.note("%s", c.errStatus("ok", fmt.Sprintf("preflight %d/%d", good, made)))
	}
}

func (c *call) enrolmentNotDone(ctx context.Context, e enrolment, what string) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return exitWith(ExitInterrupted, fault.New(fault.Unavailable, "interrupted", "interrupted before %s; the command stays valid until %s", what, e.ExpiresAt.UTC().Format(time.RFC3339)).
			WithFix("look: hawser cluster get %s", e.Cluster))
	}
	return exitWith(ExitTimeout, fault.New(fault.Unavailable, "wait_timeout", "timed out before %s", what).
		WithFix("look at the agent: kubectl -n hawser-system logs deploy/hawser-agent; it needs a way out to %s", e.Hub))
}

func (c *call) enrolmentState(ctx context.Context, e enrolment) (enrolmentState, error) {
	var s enrolmentState
	var tokens list[api.EnrolmentToken]
	if err := c.api.Get(ctx, "/enrolment-tokens", &tokens); err != nil {
		return s, err
	}
	for _, t := range tokens.Items {
		if t.ID == e.ID {
			s.redeemed, s.preflight = t.UsedAt != nil, t.Preflight
		}
	}
	err := c.api.Get(ctx, clusterPath(e.Cluster), &s.cluster)
	if fault.Is(err, fault.NotFound) {
		return s, nil // not yet
	}
	s.connected = s.cluster.Connected
	s.inventory = hasReported(s.cluster)
	return s, err
}

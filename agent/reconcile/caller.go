package reconcile

import (
	"context"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// as is a context in which everything is asked of the API server on behalf of an
// application: as the service account that its project names for the destination,
// and only to read while the application is observed.
func (e *Engine) as(ctx context.Context, uid model.AppUID, d *model.Desired) context.Context {
	c := sync.Caller{ReadOnly: func() bool { return d != nil && d.Observe || e.observing(uid) }}
	c.User, c.Refused = AccountOf(d)
	return sync.As(ctx, c)
}

// AccountOf is the user as whom everything is done for an application, empty when
// that is the agent itself; the error says that its project names none.
func AccountOf(d *model.Desired) (user string, err error) {
	if d == nil {
		return "", fault.New(fault.Denied, "project_unknown", "the agent does not know the application's project, and acts for it as nobody")
	}
	account, dec := policy.ChooseServiceAccount(policy.Project{Name: d.Project, Spec: d.ProjectSpec}, policy.Destination{
		Name: d.Spec.ClusterName, Server: d.Spec.Destination.Server, Aliases: d.Spec.ServerAliases, Namespace: d.Spec.Namespace})
	if !dec.Allowed {
		r := dec.Refusals[0]
		return "", fault.New(fault.Denied, r.Code, "%s", r.Message).WithFix("%s", r.Fix)
	}
	return account.User(), nil
}

// observing reports whether the newest desired state that was accepted, stored or
// not, is only to be observed.
func (e *Engine) observing(uid model.AppUID) (yes bool) {
	e.o.Journal.View(func(b *journal.Book) {
		r := b.Apps[uid]
		yes = r != nil && r.Desired != nil && r.Desired.Observe
	})
	return yes
}

// own is a context for what concerns no application in particular.
func own(ctx context.Context) context.Context { return sync.As(ctx, sync.Own) }

// observeOnly is why an operation of an observed application is refused.
func observeOnly(name string) string {
	f := sync.ObserveOnly("application " + name)
	return f.Code + ": " + advised(f)
}

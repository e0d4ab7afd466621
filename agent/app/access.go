package app

import (
	"context"
	"crypto/x509"
	"net"

	"github.com/hawser-dev/hawser/agent/access"
	"github.com/hawser-dev/hawser/agent/action"
	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/reconcile"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
	"github.com/hawser-dev/hawser/shared/tunnel"
)

// makeAccess makes what answers people at the hub who look into the cluster. It
// is made before the observer runs, which tells it of changes.
func (a *agent) makeAccess(redactionKey []byte) (err error) {
	a.access, err = access.New(access.Options{
		Config: a.rest, Applications: holdings{a}, Objects: a.observer, Veto: a.veto, Actions: offers{a},
		Permitted:       holdings{a}.permitted,
		Account:         holdings{a}.account,
		SensitiveFields: holdings{a}.sensitiveFields,
		MayExec:         holdings{a}.mayExec,
		Dial:            func(ctx context.Context, id string) (net.Conn, error) { return a.link.Tunnel(ctx, id) },
		RedactionKey:    redactionKey, SensitiveAnnotations: func() []string { return a.systemRules.Load().SensitiveAnnotations() }, AllowExec: a.cfg.AllowExec,
		AllowKubectl: a.cfg.AllowKubectl, Hub: func() (*x509.Certificate, model.ClusterID) { return a.link.Hub() },
		Tunnel: tunnel.Options{Traffic: a.with.metrics}, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.observer.Subscribe(a.access.Event)
	return nil
}

// holdings say which objects are an application's by the agent's own books: the
// status lists what is desired and what is in the inventory.
type holdings struct{ *agent }

func (h holdings) Managed(app model.AppUID) (name string, objects []model.ObjectKey, ok bool) {
	h.journal.View(func(b *journal.Book) {
		if r := b.Apps[app]; r != nil && r.Gone == nil && r.Desired != nil {
			name, ok = r.Desired.Name, true
		}
	})
	if !ok {
		return "", nil, false
	}
	status, _ := h.engine.Status(app)
	objects = make([]model.ObjectKey, len(status.Resources))
	for i, r := range status.Resources {
		objects[i] = r.ObjectKey
	}
	return name, objects, true
}

// permitted asks the application's project, as it was sent with the desired
// state, about one object. What is in the agent's own namespace is nobody's.
func (h holdings) permitted(app model.AppUID, key model.ObjectKey) error {
	if key.Namespace != "" && key.Namespace == h.cfg.Namespace {
		return fault.New(fault.Denied, "namespace_of_agent", "%s is in the agent's own namespace", key)
	}
	var d *model.Desired
	h.journal.View(func(b *journal.Book) {
		if r := b.Apps[app]; r != nil {
			d = r.Desired
		}
	})
	if d == nil {
		return fault.New(fault.NotFound, "application_not_held", "the cluster's agent does not hold the application")
	}
	k, err := h.observer.Kind(key.GroupKind())
	dest := policy.Destination{Name: d.Spec.ClusterName, Server: d.Spec.Destination.Server, Aliases: d.Spec.ServerAliases, Namespace: d.Spec.Namespace}
	dec := policy.CheckObjects(policy.Project{Name: d.Project, Spec: d.ProjectSpec}, dest,
		[]policy.ObjectFacts{{Key: key, Namespaced: k.Namespaced, ScopeUnknown: err != nil}})
	if !dec.Allowed {
		r := dec.Refusals[0]
		return fault.New(fault.Denied, r.Code, "%s", r.Message)
	}
	return nil
}

// sensitiveFields are those of the application's project, as it was sent with the
// desired state.
func (h holdings) sensitiveFields(app model.AppUID) ([]model.SensitiveFields, error) {
	d := h.desired(app)
	if d == nil {
		return nil, fault.New(fault.NotFound, "application_not_held", "the cluster's agent does not hold the application")
	}
	return d.ProjectSpec.SensitiveFields, nil
}

// account is the user as whom an application's objects are read, and commands run
// in its pods.
func (h holdings) account(app model.AppUID) (user string, err error) {
	if user, err = reconcile.AccountOf(h.desired(app)); err == nil && user != "" {
		err = h.veto.MayImpersonate(user)
	}
	return user, err
}

// mayExec refuses commands in pods of an application that is only observed.
func (h holdings) mayExec(app model.AppUID) error {
	if d := h.desired(app); d != nil && d.Observe {
		return sync.ObserveOnly("application " + d.Name)
	}
	return nil
}

// desired is nil for an application that the agent does not hold.
func (h holdings) desired(app model.AppUID) (d *model.Desired) {
	h.journal.View(func(b *journal.Book) {
		if r := b.Apps[app]; r != nil && r.Gone == nil {
			d = r.Desired
		}
	})
	return d
}

// offers are the actions that the present scripts and the agent itself have.
type offers struct{ *agent }

func (o offers) Actions(gk model.GroupKind, object map[string]any) ([]model.ResourceAction, error) {
	return action.Set{Scripts: o.scripts.current.Load()}.Actions(gk, object)
}

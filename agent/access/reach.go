package access

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// reached is an object of an application that can be looked at.
type reached struct {
	live.Record
	kind live.Kind
}

// reach lists the objects of an application: those that it manages, and what
// they own, level by level.
func (s *Server) reach(app model.AppUID) ([]reached, error) {
	name, managed, ok := s.o.Applications.Managed(app)
	if !ok {
		return nil, fault.New(fault.NotFound, "application_not_held", "the cluster's agent does not hold the application").
			WithFix("wait until it is deployed there")
	}
	out := reachOf(name, managed, s.o.Objects)
	if s.o.Permitted != nil {
		out = slices.DeleteFunc(out, func(r reached) bool { return s.o.Permitted(app, r.Key) != nil })
	}
	return out, nil
}

// still asks anew what was asked when an object began to be shown: that it is
// the application's and that the cluster's policy allows the verb. An object
// that is gone from the cluster has not left: its end is told by itself.
func (s *Server) still(objects []reached, verb string, r reached) error {
	if err := s.o.Veto.Allow(verb, r.Key); err != nil {
		return err
	}
	if slices.ContainsFunc(objects, func(o reached) bool { return o.UID == r.UID }) {
		return nil
	}
	if rec, presence := s.o.Objects.Get(r.Key); presence == live.Absent || rec.UID != r.UID {
		return nil
	}
	return fault.New(fault.Denied, "object_left", "%s does not belong to the application any more", r.Key)
}

// guard is an answer that ends when one of its objects may not be shown any
// more, with the reason as its context's cause. stop must be called.
func (s *Server) guard(a *answer, verb string, shown []reached) (_ *answer, stop func()) {
	ctx, cancel := context.WithCancelCause(a.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(s.o.Recheck)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			objects, err := s.reach(a.app)
			if err == nil {
				err = s.stillAs(ctx, a.app)
			}
			if verb == "exec" && err == nil && s.o.MayExec != nil {
				err = s.o.MayExec(a.app)
			}
			for _, r := range shown {
				if err == nil {
					err = s.still(objects, verb, r)
				}
			}
			if err != nil {
				cancel(err)
				return
			}
		}
	}()
	return &answer{ctx: ctx, st: a.st, app: a.app}, func() { cancel(nil); <-done }
}

// reachOf is reach without the agent. An object is managed when the application
// has it by the agent's own books and the object itself says so; one that only
// says so is not. It is owned when it names an owner by uid, is where that owner
// can own it (Kubernetes knows no owner in another namespace), and is not
// another application's.
func reachOf(app string, managed []model.ObjectKey, objects Objects) []reached {
	var out []reached
	seen := map[string]bool{}
	add := func(rec live.Record) bool {
		if rec.UID == "" || seen[rec.UID] {
			return false
		}
		kind, err := objects.Kind(rec.Key.GroupKind())
		if err != nil {
			return false // not served any more, or not known
		}
		seen[rec.UID] = true
		out = append(out, reached{rec, kind})
		return true
	}
	for _, key := range managed {
		rec, presence := objects.Get(key)
		if presence != live.Absent && rec.Key == key && rec.TrackingID == model.TrackingID(app, key) {
			add(rec)
		}
	}
	for i := 0; i < len(out); i++ {
		owner := out[i]
		children := objects.Children(owner.UID)
		slices.SortFunc(children, func(a, b live.Record) int { return compareKeys(a.Key, b.Key) })
		for _, child := range children {
			if owner.Key.Namespace != "" && child.Key.Namespace != owner.Key.Namespace {
				continue
			}
			if child.TrackingID != "" && child.TrackingID != model.TrackingID(app, child.Key) {
				continue // another application's
			}
			add(child)
		}
	}
	return out
}

func compareKeys(a, b model.ObjectKey) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// shortNames are those that kubectl users type. The API server tells them in
// its discovery, which the agent does not keep.
var shortNames = map[string]string{
	"po": "pod", "svc": "service", "deploy": "deployment", "rs": "replicaset", "sts": "statefulset", "ds": "daemonset",
	"cm": "configmap", "sa": "serviceaccount", "ing": "ingress", "pvc": "persistentvolumeclaim", "pv": "persistentvolume",
	"ns": "namespace", "cj": "cronjob", "hpa": "horizontalpodautoscaler", "pdb": "poddisruptionbudget", "netpol": "networkpolicy",
	"ep": "endpoints", "rc": "replicationcontroller", "crd": "customresourcedefinition", "no": "node", "sc": "storageclass",
}

// matches reports whether a selector means the object.
func (r reached) matches(s model.ObjectSelector) bool {
	return (s.Group == nil || *s.Group == r.Key.Group) &&
		(s.Kind == "" || r.isKind(s.Kind)) &&
		(s.Namespace == "" || s.Namespace == r.Key.Namespace) &&
		(s.Name == "" || s.Name == r.Key.Name)
}

func (r reached) isKind(written string) bool {
	written = strings.ToLower(written)
	kind := strings.ToLower(r.Key.Kind)
	return written == kind || written == r.kind.Resource || shortNames[written] == kind
}

func pick(objects []reached, s model.ObjectSelector) []reached {
	var out []reached
	for _, r := range objects {
		if r.matches(s) {
			out = append(out, r)
		}
	}
	return out
}

// pickOne is the one object that a selector means.
func pickOne(objects []reached, s model.ObjectSelector) (reached, error) {
	found := pick(objects, s)
	switch len(found) {
	case 0:
		return reached{}, nothingMatches(objects, s)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, r := range found {
		if len(names) == 5 {
			names = append(names, "…")
			break
		}
		names = append(names, r.Key.String())
	}
	return reached{}, fault.New(fault.Invalid, "object_ambiguous", "%d live objects of the application match: %s", len(found), strings.Join(names, ", ")).
		WithFix("name group, kind, namespace and name")
}

// nothingMatches says the same whether an object does not exist or is another's:
// who asks for what is not theirs learns nothing.
func nothingMatches(objects []reached, s model.ObjectSelector) error {
	what := strings.TrimSpace(s.Kind + " " + s.Name)
	if s.Namespace != "" {
		what = strings.TrimSpace(s.Kind + " " + s.Namespace + "/" + s.Name)
	}
	if what == "" {
		return fault.New(fault.NotFound, "object_not_found", "the application has no live objects")
	}
	e := fault.New(fault.NotFound, "object_not_found", "the application has no live object %s", cut(what, 120))
	s.Name = ""
	var names []string
	for _, r := range pick(objects, s) {
		names = append(names, r.Key.Name)
	}
	if near := nearest.Word(what[strings.LastIndexAny(what, " /")+1:], names); near != "" {
		e = e.WithFix("did you mean %q?", near)
	}
	return e
}

// cut shortens a text to at most n bytes of whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "…"
}

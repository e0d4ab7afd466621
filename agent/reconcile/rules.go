package reconcile

import (
	"context"
	"strings"
	gosync "sync"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// rules are what comparisons go by besides the application's own.
type rules struct {
	mu     gosync.Mutex
	system *diff.SystemRules
	// number of the present rules: a judgement by older ones does not hold.
	number uint64
}

func (r *rules) now() (*diff.SystemRules, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.system, r.number
}

// SetSystemRules puts rules in force for all applications, and has everything
// compared anew. nil: there are none. It does not wait.
func (e *Engine) SetSystemRules(system *diff.SystemRules) {
	e.rules.mu.Lock()
	e.rules.system = system
	e.rules.number++
	e.rules.mu.Unlock()
	for _, uid := range e.Apps() {
		e.touchAll(uid)
	}
}

// comparison is the input of a comparison of one object, but for its schema.
func (e *Engine) comparison(s snapshot, p sync.Prepared, body map[string]any, rec live.Record) (in diff.Input, rules uint64) {
	system, rules := e.rules.now()
	in = diff.Input{Desired: body, Live: rec.Body, Managers: rec.Managers, Ignore: s.desired.Spec.IgnoreDifferences, SystemRules: system,
		SensitiveAnnotations: system.SensitiveAnnotations(), SensitiveFields: s.desired.ProjectSpec.SensitiveFields, Schema: &e.schemas, RedactionKey: manifest.KeyFor(e.o.RedactionKey, s.desired.App)}
	if !p.Option("ClientSideApplyMigration", "false") {
		in.TakenOver = sync.NeedsMigration(rec.Managers, p.MigrateFrom)
	}
	o := manifest.Object{Body: body}
	in.IncludeMutationWebhook = strings.Contains(o.Annotation(annotationCompareOptions), "IncludeMutationWebhook=true")
	return in, rules
}

// schemas knows custom resources by their CRDs. It implements diff.Schema.
type schemas struct {
	mu    gosync.Mutex
	known map[model.GroupKind]diff.Schema // nil: the CRD was looked for in vain
}

// Type implements diff.Schema.
func (s *schemas) Type(apiVersion, kind string) *diff.Type {
	group, _, _ := strings.Cut(apiVersion, "/")
	s.mu.Lock()
	known := s.known[model.GroupKind{Group: group, Kind: kind}]
	s.mu.Unlock()
	if known == nil {
		return nil
	}
	return known.Type(apiVersion, kind)
}

// forget drops what is known of a kind; the zero kind drops everything.
func (s *schemas) forget(gk model.GroupKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if gk == (model.GroupKind{}) {
		clear(s.known)
	}
	delete(s.known, gk)
}

// learnSchema reads the CRD of a custom resource, once until discovery or the CRD
// changes.
func (e *Engine) learnSchema(ctx context.Context, apiVersion string, gk model.GroupKind) {
	if diff.BuiltIn().Type(apiVersion, gk.Kind) != nil || !strings.Contains(gk.Group, ".") {
		return
	}
	e.schemas.mu.Lock()
	_, looked := e.schemas.known[gk]
	e.schemas.mu.Unlock()
	if looked {
		return
	}
	kind, err := e.o.Observer.Kind(gk)
	crd, crdErr := e.o.Observer.Kind(kindCRD)
	if err != nil || crdErr != nil {
		return
	}
	key := model.ObjectKey{Group: kindCRD.Group, Kind: kindCRD.Kind, Name: kind.Resource + "." + gk.Group}
	body, err := e.o.Applier.Get(own(ctx), crd, crd.Version, key)
	var schema diff.Schema
	if err == nil {
		schema, err = diff.CRDSchema(body)
	}
	if err != nil {
		// An aggregated API, or one whose CRD cannot be read: dry runs decide.
		e.log.Debug("no schema of a custom resource", "kind", gk, "error", err)
		if ctx.Err() != nil {
			return
		}
		schema = nil
	}
	e.schemas.mu.Lock()
	defer e.schemas.mu.Unlock()
	if e.schemas.known == nil {
		e.schemas.known = map[model.GroupKind]diff.Schema{}
	}
	e.schemas.known[gk] = schema
}

var kindCRD = model.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

package delivery

import (
	"context"
	"fmt"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// Verifier finds out who has signed revisions. It blocks for as long as fetching
// history takes, and remembers what it found.
type Verifier interface {
	// Verify is about what a target of Git was resolved to: a commit, and the
	// annotated tag that it names, "" for none.
	Verify(ctx context.Context, t fleet.Target, commit, tag string, mode policy.SignatureMode) (policy.SignatureFacts, error)
	// Verified is what Verify found out before, if that still holds. It does not
	// block.
	Verified(t fleet.Target, commit, tag string, mode policy.SignatureMode) (policy.SignatureFacts, bool)
}

// Signatures asks a project about the signatures of an application's sources at
// what they are resolved to now. It does not block: of what was not fetched and
// verified yet it says so.
func (d *Delivery) Signatures(rules policy.Project, spec model.ApplicationSpec) policy.Decision {
	heads := d.headsOf(spec)
	var sources []policy.SignatureOf
	for _, s := range spec.AllSources() {
		t := targetOf(s)
		if t.Type() != fleet.Git {
			continue
		}
		of := policy.SignatureOf{RepoURL: t.RepoURL}
		rule, refusal := policy.SignatureRuleFor(rules, t.RepoURL)
		if h, known := heads(s); known && h.Err == nil && d.Verifier != nil && refusal == nil && rule.Demands() {
			if facts, ok := d.Verifier.Verified(t, h.Commit, h.Tag, rule.Mode); ok {
				of.Facts = &facts
			}
		}
		sources = append(sources, of)
	}
	return policy.CheckSignatures(rules, sources)
}

// signed asks the project whether every Git source is signed as it demands. The
// errors are faults: Denied ones with the explanation, others when nobody could
// tell. Sources that are not resolved are left to whoever renders them.
func (d *Delivery) signed(ctx context.Context, p project, spec model.ApplicationSpec, heads headOf) error {
	for i, s := range spec.AllSources() {
		field := singleSource
		if len(spec.Sources) > 0 {
			field = fmt.Sprintf("spec.sources[%d]", i)
		}
		h, known := heads(s)
		if !known || h.Err != nil {
			continue
		}
		if err := d.signedAt(ctx, p, targetOf(s), h); err != nil {
			return placed(atField(err), field)
		}
	}
	return nil
}

// signedPast is signed for a past deployment. Where the tags were not kept, its
// commits have to be signed themselves.
func (d *Delivery) signedPast(ctx context.Context, p project, app fleet.App, content fleet.Content) error {
	sources := content.Sources
	if len(sources) == 0 {
		sources = fleet.PlacesOf(app.Application.Spec)
	}
	for _, s := range sources {
		if s.Commit == "" && len(sources) == 1 {
			s.Commit = content.Revision.Commit
		}
		t := fleet.Target{RepoURL: s.RepoURL, Chart: s.Chart, Revision: s.Commit}
		if err := d.signedAt(ctx, p, t, Head{Commit: s.Commit, Tag: s.Tag}); err != nil {
			return err
		}
	}
	return nil
}

func (d *Delivery) signedAt(ctx context.Context, p project, t fleet.Target, h Head) error {
	if t.Type() != fleet.Git {
		return nil // policies are about Git
	}
	rule, refusal := policy.SignatureRuleFor(p.rules, t.RepoURL)
	if refusal != nil {
		return fault.New(fault.Denied, refusal.Code, "%s", refusal.Message).WithFound(refusal.Found, refusal.Allowed).WithFix("%s", refusal.Fix)
	}
	if !rule.Demands() {
		return nil
	}
	facts := policy.SignatureFacts{RepoURL: t.RepoURL, Commit: h.Commit}
	if d.Verifier != nil && h.Commit != "" {
		var err error
		if facts, err = d.Verifier.Verify(ctx, t, h.Commit, h.Tag, rule.Mode); err != nil {
			return err
		}
	}
	return refused(policy.CheckSignature(p.rules, rule, facts))
}

// atField says that an error is about the source.
func atField(err error) error {
	e := *fault.As(err)
	if e.Field == "" {
		e.Field = singleSource
	}
	return &e
}

// KeysChanged has every application looked at again whose project demands
// signatures: the keys at the hub are others.
func (d *Delivery) KeysChanged() {
	d.mu.Lock()
	defer d.signal()
	defer d.mu.Unlock()
	d.keysChanged = true
}

// demandsSignatures reports whether signatures matter to a project at all.
func demandsSignatures(spec model.AppProjectSpec) bool {
	return len(spec.SignatureKeys) > 0 || spec.SourceIntegrity != nil
}

// takeKeysChanged answers which applications are to be looked at because the keys
// changed, and forgets that.
func (d *Delivery) takeKeysChanged(ctx context.Context) ([]model.AppUID, error) {
	d.mu.Lock()
	changed := d.keysChanged
	d.keysChanged = false
	d.mu.Unlock()
	if !changed {
		return nil, nil
	}
	projects, err := d.Store.Projects(ctx)
	if err != nil {
		d.mu.Lock()
		d.keysChanged = true
		d.mu.Unlock()
		return nil, err
	}
	demand := map[string]bool{}
	for _, p := range projects {
		demand[p.Metadata.Name] = demandsSignatures(p.Spec)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []model.AppUID
	for uid, app := range d.apps {
		if demand[app.Project] {
			out = append(out, uid)
		}
	}
	return out, nil
}

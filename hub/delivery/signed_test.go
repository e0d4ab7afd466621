package delivery

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// notary answers what a test says of commits and tags.
type notary struct {
	mu     sync.Mutex
	states map[string]policy.SignatureState
	key    string
	err    error
}

func (n *notary) Verify(_ context.Context, t fleet.Target, commit, tag string, mode policy.SignatureMode) (policy.SignatureFacts, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := commit
	if tag != "" {
		id = tag
	}
	return policy.SignatureFacts{RepoURL: t.RepoURL, Commit: commit, Mode: mode, Examined: 1,
		Signatures: []policy.SignatureFact{{Object: id, Tag: tag != "", State: n.states[id], KeyID: n.key}}}, n.err
}

func (n *notary) Verified(t fleet.Target, commit, tag string, mode policy.SignatureMode) (policy.SignatureFacts, bool) {
	facts, err := n.Verify(context.Background(), t, commit, tag, mode)
	n.mu.Lock()
	defer n.mu.Unlock()
	_, known := n.states[commit]
	return facts, known && err == nil
}

func (n *notary) set(id string, s policy.SignatureState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.states[id] = s
}

func TestM06_UnsignedRevisionsKeepTheLastGoodState(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	n := &notary{states: map[string]policy.SignatureState{"c1": policy.SignatureGood, "t2": policy.SignatureGood}, key: "4AEE18F83AFDEB23"}
	w.projects[0].Spec.SignatureKeys = []model.SignatureKey{{KeyID: "4AEE18F83AFDEB23"}}
	for _, c := range []string{"c1", "c2", "c3"} {
		w.put("web", c, "a", "b"+c)
	}
	d := New(Options{Store: w, Watcher: w, Renderer: w, Verifier: n, Notifier: w, Publisher: w, Log: slog.New(slog.DiscardHandler), Retry: time.Millisecond, RetryRender: time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })

	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the signed commit", func() bool { return w.desired[uid].Revision.Commit == "c1" })
	n.set("c2", policy.SignatureUnsigned)
	d.RepositoryResolved(repo, heads("c2"), nil)
	w.await("the refusal", func() bool {
		x := w.condition(uid)
		return x != nil && x.Code == policy.CodeSignatureMissing && x.Revision == "c2"
	})
	w.mu.Lock()
	if got := w.desired[uid].Revision.Commit; got != "c1" {
		t.Errorf("%s is desired", got)
	}
	w.mu.Unlock()
	// A signed tag of the same commit is news.
	d.RepositoryResolved(repo, map[fleet.Target]Head{onMain: {Commit: "c2", Tag: "t2"}}, nil)
	w.await("the signed tag", func() bool { return w.desired[uid].Revision.Commit == "c2" && w.condition(uid) == nil })

	// Other keys at the hub, and another policy, decide anew.
	n.set("t2", policy.SignatureUnknownKey)
	d.KeysChanged()
	w.await("the key is gone", func() bool { x := w.condition(uid); return x != nil && x.Code == policy.CodeSignatureUntrusted })
	w.mu.Lock()
	w.projects[0].Spec.SignatureKeys = nil
	w.mu.Unlock()
	d.ProjectWritten("default")
	w.await("nothing is demanded", func() bool { return w.condition(uid) == nil })

	// Trouble while verifying is no verdict: it is tried again.
	w.mu.Lock()
	w.projects[0].Spec.SignatureKeys = []model.SignatureKey{{KeyID: "4AEE18F83AFDEB23"}}
	w.mu.Unlock()
	n.mu.Lock()
	n.err = fault.New(fault.Upstream, "git_unavailable", "no answer")
	n.states["c3"] = policy.SignatureGood
	n.mu.Unlock()
	d.RepositoryResolved(repo, heads("c3"), nil)
	w.await("the outage is shown", func() bool { x := w.condition(uid); return x != nil && x.Code == "git_unavailable" })
	n.mu.Lock()
	n.err = nil
	n.mu.Unlock()
	w.await("it is verified after all", func() bool { return w.desired[uid].Revision.Commit == "c3" })
}

func TestWhatAPinHoldsIsVerifiedAgain(t *testing.T) {
	const key = "4AEE18F83AFDEB23"
	n := &notary{states: map[string]policy.SignatureState{"c1": policy.SignatureUnsigned, "c2": policy.SignatureGood, "p": policy.SignatureGood}, key: key}
	w := newWorld(t)
	w.verifier, w.retryRender = n, time.Millisecond
	r := rolledBackIn(t, w)
	r.probeAt = "p"
	demand := func(keys ...model.SignatureKey) {
		w.mu.Lock()
		w.projects[0].Spec.SignatureKeys = keys
		w.mu.Unlock()
		r.d.ProjectWritten("default")
	}
	stays := func(what string) {
		t.Helper()
		d, app := r.now()
		if app.Pin == nil || d.Bundle != r.good.Bundle || d.Revision.Commit != "c1" || d.Spec.SyncPolicy != nil {
			t.Errorf("%s: %s with %+v, pin %+v", what, d.Revision.Commit, d.Spec.SyncPolicy, app.Pin)
		}
	}
	demand(model.SignatureKey{KeyID: key})
	w.await("it is said", func() bool { x := w.condition(r.uid); return x != nil && x.Code == policy.CodeSignatureMissing })
	stays("unsigned")
	r.write(func(app *fleet.App) {
		app.Application.Spec.SyncPolicy = &model.SyncPolicy{Automated: &model.AutomatedSync{SelfHeal: true}}
	})
	r.d.KeysChanged()
	r.looked()
	stays("written while unsigned")

	n.mu.Lock()
	n.err = fault.New(fault.Upstream, "git_unavailable", "no answer")
	n.mu.Unlock()
	r.d.KeysChanged()
	w.await("the outage is shown", func() bool { x := w.condition(r.uid); return x != nil && x.Code == "git_unavailable" })
	stays("nobody can tell")

	n.mu.Lock()
	n.err, n.states["c1"] = nil, policy.SignatureGood
	n.mu.Unlock()
	w.await("it is tried again, and delivered", func() bool { return w.condition(r.uid) == nil && w.desired[r.uid].Spec.SyncPolicy != nil })
	if d, app := r.now(); app.Pin == nil || d.Bundle != r.good.Bundle {
		t.Errorf("%s, pin %+v", d.Revision.Commit, app.Pin)
	}
}

// A commit that nobody signed, named by a tag that somebody did.
func TestM06_WhatAPinHoldsIsVouchedForByItsTag(t *testing.T) {
	const key = "4AEE18F83AFDEB23"
	n := &notary{states: map[string]policy.SignatureState{
		"c1": policy.SignatureUnsigned, "c2": policy.SignatureUnsigned, "t1": policy.SignatureGood, "t2": policy.SignatureGood, "p": policy.SignatureGood,
	}, key: key}
	w := newWorld(t)
	w.verifier, w.retryRender = n, time.Millisecond
	w.projects[0].Spec.SignatureKeys = []model.SignatureKey{{KeyID: key}}
	r := &rolledBack{t: t, w: w, uid: w.app("web", "web"), probeAt: "p"}
	w.put("web", "c1", "a", "b")
	w.put("web", "c2", "a")
	w.put("web#other", "c1", "a", "b", "n")
	r.d = start(t, w)
	tagged := func(commit, tag string) {
		r.d.RepositoryResolved(repo, map[fleet.Target]Head{onMain: {Commit: commit, Tag: tag}}, nil)
	}
	tagged("c1", "t1")
	w.await("the first state", func() bool { return w.desired[r.uid].Generation == 1 })
	r.good = w.desired[r.uid]
	_, first := r.now()
	if got := first.Source.Sources; len(got) != 1 || got[0].Tag != "t1" {
		t.Fatalf("the tag is not kept: %+v", got)
	}
	tagged("c2", "t2")
	w.await("the second state", func() bool { return w.desired[r.uid].Generation == 2 })
	_, app := r.now()

	past := fleet.Content{Bundle: r.good.Bundle, Revision: r.good.Revision, Sources: first.Source.Sources}
	if _, err := r.d.Prepare(t.Context(), app, fleet.Content{Bundle: past.Bundle, Revision: past.Revision, Sources: at("c1")}, 7); !fault.HasCode(err, policy.CodeSignatureMissing) {
		t.Errorf("of before tags were kept: %v", err)
	}
	unheld := past
	unheld.Bundle = ""
	for _, content := range []fleet.Content{past, unheld} {
		deploy, err := r.d.Prepare(t.Context(), app, content, 7)
		if err != nil || deploy.Pin == nil || deploy.Pin.Sources[0].Tag != "t1" || deploy.Pin.AsideBundle != app.Source.Bundle {
			t.Fatalf("%+v, %v", deploy.Pin, err)
		}
	}
	r.rollbackTo(past, 7)
	r.holds("after the rollback", 3)
	r.d.KeysChanged()
	if app := r.holds("verified again", 3); app.Source.Error != nil {
		t.Errorf("%+v", app.Source.Error)
	}
	r.write(func(a *fleet.App) {
		a.Application.Spec.SyncPolicy = &model.SyncPolicy{Automated: &model.AutomatedSync{}}
	})
	w.await("it is delivered anew", func() bool { return w.desired[r.uid].Spec.SyncPolicy != nil })
	tagged("c2", "t3") // tagged anew, which nobody has verified: it is what was set aside all the same
	r.holds("tagged anew", 4)
	n.set("t1", policy.SignatureUnknownKey)
	r.d.KeysChanged()
	w.await("the key of the tag is gone", func() bool { x := w.condition(r.uid); return x != nil && x.Code == policy.CodeSignatureUntrusted })
}

// A hub that kept no tags has stored the pin and what is set aside.
func TestAPinWithoutTagsHolds(t *testing.T) {
	r := newRolledBack(t)
	r.holds("before the upgrade", 3)
	r.d.RepositoryResolved(repo, map[fleet.Target]Head{onMain: {Commit: "c2", Tag: "t2"}}, nil)
	r.d.ApplicationsWritten(r.uid)
	r.holds("the same commit with a tag", 3)
	r.w.put("web", "c3", "a", "c")
	r.d.RepositoryResolved(repo, map[fleet.Target]Head{onMain: {Commit: "c3", Tag: "t3"}}, nil)
	r.released("a newer one", "c3")
	r.d.RepositoryResolved(repo, map[fleet.Target]Head{onMain: {Commit: "c2", Tag: "t4"}}, nil)
	r.w.await("it is set aside again", func() bool { p := r.w.apps[r.uid].Pin; return p != nil && p.Aside[0].Commit == "c2" })
}

func TestSignaturesThatAreKnownAreExplained(t *testing.T) {
	const key = "4AEE18F83AFDEB23"
	n := &notary{states: map[string]policy.SignatureState{"c1": policy.SignatureGood, "c2": policy.SignatureUnsigned}, key: key}
	w := newWorld(t)
	w.verifier = n
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	w.put("web", "c2", "a")
	rules := policy.Project{Name: "default", Spec: model.AppProjectSpec{SignatureKeys: []model.SignatureKey{{KeyID: key}}}}
	d := start(t, w)
	spec := w.apps[uid].Application.Spec
	ask := func(what string, rules policy.Project, result policy.Result) {
		t.Helper()
		got := d.Signatures(rules, spec)
		if len(got.Checks) != 1 || got.Checks[0].Rule != policy.RuleSignature || got.Checks[0].Result != result || got.Allowed != (result != policy.Failed) {
			t.Errorf("%s: %+v", what, got)
		}
	}
	ask("not resolved", rules, policy.Skipped)
	d.RepositoryResolved(repo, heads("c1"), nil)
	ask("signed", rules, policy.Passed)
	d.RepositoryResolved(repo, heads("c2"), nil)
	ask("unsigned", rules, policy.Failed)
	ask("nothing demanded", policy.Project{Name: "default"}, policy.Passed)
	d.RepositoryResolved(repo, heads("c3"), nil)
	ask("not verified yet", rules, policy.Skipped)
}

func TestAPreviewOfAnUnsignedRevisionIsRefused(t *testing.T) {
	const key = "4AEE18F83AFDEB23"
	w := newWorld(t)
	w.verifier = &notary{states: map[string]policy.SignatureState{"c1": policy.SignatureGood, "c2": policy.SignatureUnsigned}, key: key}
	w.projects[0].Spec.SignatureKeys = []model.SignatureKey{{KeyID: key}}
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	w.put("web", "c2", "a", "b")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the signed commit", func() bool { return w.desired[uid].Revision.Commit == "c1" })
	try := func(commit string) error {
		_, err := d.Try(t.Context(), w.apps[uid], Trial{Revisions: map[int]string{0: "x"}, Resolve: func(context.Context, fleet.Target) (Head, error) { return Head{Commit: commit}, nil }})
		return err
	}
	if err := try("c2"); !fault.HasCode(err, policy.CodeSignatureMissing) {
		t.Error(err)
	}
	if err := try("c1"); err != nil {
		t.Error(err)
	}
}

func TestWithoutAVerifierWhatHasToBeSignedIsRefused(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.projects[0].Spec.SignatureKeys = []model.SignatureKey{{KeyID: "4AEE18F83AFDEB23"}}
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the refusal", func() bool { x := w.condition(uid); return x != nil && x.Code == policy.CodeSignatureUnknown })
}

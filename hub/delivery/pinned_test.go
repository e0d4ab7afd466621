package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// rolledBack is an application that went from c1 to c2 and was rolled back.
type rolledBack struct {
	t   *testing.T
	w   *world
	d   *Delivery
	uid model.AppUID
	// good is what is pinned, bad what is set aside.
	good, bad model.Desired
	probeAt   string // a commit that probes are delivered at
}

func newRolledBack(t *testing.T, change ...func(*model.ApplicationSpec)) *rolledBack {
	return rolledBackIn(t, newWorld(t), change...)
}

func rolledBackIn(t *testing.T, w *world, change ...func(*model.ApplicationSpec)) *rolledBack {
	uid := w.app("web", "web")
	app := w.apps[uid]
	for _, f := range change {
		f(&app.Application.Spec)
	}
	w.apps[uid] = app
	w.put("web", "c1", "a", "b")
	w.put("web", "c2", "a")
	r := &rolledBack{t: t, w: w, d: start(t, w), uid: uid, probeAt: "c1"}
	r.found("c1")
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 })
	r.good = w.desired[uid]
	r.found("c2")
	w.await("the second state", func() bool { return w.desired[uid].Generation == 2 })
	r.bad = w.desired[uid]
	r.rollback(7)
	return r
}

func (r *rolledBack) found(commit string) { r.d.RepositoryResolved(repo, heads(commit), nil) }

// rollback does what the API and the store do.
func (r *rolledBack) rollback(deployment int64) {
	r.t.Helper()
	r.rollbackTo(fleet.Content{Bundle: r.good.Bundle, Revision: r.good.Revision, Sources: at("c1")}, deployment)
}

func (r *rolledBack) rollbackTo(content fleet.Content, deployment int64) {
	r.t.Helper()
	r.w.mu.Lock()
	app := r.w.apps[r.uid]
	r.w.mu.Unlock()
	deploy, err := r.d.Prepare(context.Background(), app, content, deployment)
	if err != nil {
		r.t.Fatal(err)
	}
	r.w.mu.Lock()
	app.Version++
	app.Pin = deploy.Pin
	d := r.w.desired[r.uid]
	d.Generation++
	d.Bundle, d.BundleBytes, d.Revision = deploy.Bundle, deploy.BundleBytes, deploy.Revision
	r.w.desired[r.uid] = d
	r.w.apps[r.uid] = app
	r.w.mu.Unlock()
	r.d.ApplicationsWritten(r.uid)
	r.looked()
}

// write changes the application as a person does.
func (r *rolledBack) write(f func(*fleet.App)) {
	r.w.mu.Lock()
	app := r.w.apps[r.uid]
	f(&app)
	app.Version++
	r.w.apps[r.uid] = app
	r.w.mu.Unlock()
	r.d.ApplicationsWritten(r.uid)
}

// looked waits until everything that is noted was looked at and written: rounds
// follow one another, and what is noted after one has delivered something is of
// a later one.
func (r *rolledBack) looked() {
	r.t.Helper()
	r.probe()
	r.probe()
}

// probe has another application delivered.
func (r *rolledBack) probe() {
	r.t.Helper()
	name := fmt.Sprint("probe-", len(r.w.apps))
	for _, commit := range []string{"c1", "c2", r.probeAt} {
		r.w.put(name, commit, "x")
	}
	uid := r.w.app(name, name)
	r.w.mu.Lock()
	probe := r.w.apps[uid]
	probe.Application.Spec.Source.TargetRevision = "probe"
	r.w.apps[uid] = probe
	r.w.mu.Unlock()
	target := onMain
	target.Revision = "probe"
	r.d.ApplicationsWritten()
	r.d.RepositoryResolved(repo, map[fleet.Target]Head{target: {Commit: r.probeAt}}, nil)
	r.w.await("the probe is delivered", func() bool { return r.w.desired[uid].Generation == 1 })
}

func (r *rolledBack) now() (model.Desired, fleet.App) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return r.w.desired[r.uid], r.w.apps[r.uid]
}

// holds expects the pin in force, at this generation.
func (r *rolledBack) holds(what string, generation model.Generation) fleet.App {
	r.t.Helper()
	r.looked()
	d, app := r.now()
	if app.Pin == nil || d.Bundle != app.Pin.Bundle || d.Generation != generation {
		r.t.Errorf("%s: generation %d of %s, pin %+v", what, d.Generation, d.Revision.Commit, app.Pin)
	}
	return app
}

// released expects another revision in its place.
func (r *rolledBack) released(what, commit string) {
	r.t.Helper()
	r.w.await(what, func() bool { return r.w.apps[r.uid].Pin == nil && r.w.desired[r.uid].Revision.Commit == commit })
}

func at(commit string) []fleet.SourceAt {
	return []fleet.SourceAt{{RepoURL: repo, Path: "web", TargetRevision: "main", Commit: commit}}
}

func TestARollbackHolds(t *testing.T) {
	r := newRolledBack(t)
	app := r.holds("after the rollback", 3)
	if p := app.Pin; p.HistoryID != 7 || p.SetAside.Commit != "c2" || p.Revision.Commit != "c1" || p.Aside[0].Commit != "c2" || p.Sources[0].Commit != "c1" {
		t.Errorf("pin %+v", p)
	}
	if app.Source.Bundle != r.bad.Bundle || app.Source.Revision.Commit != "c2" {
		t.Errorf("what the sources gave is %+v", app.Source)
	}
	renders := r.w.renders
	r.found("c2") // a poll, a webhook, a refresh
	r.holds("the same head again", 3)
	r.d.ApplicationsWritten(r.uid)
	r.holds("a hard refresh", 3)
	r.d.ProjectWritten("default")
	r.holds("the project written", 3)
	r.d.ClusterReported("c1", "v1.38.0", []string{"apps/v1/Deployment"})
	r.holds("the cluster upgraded", 3)
	r.d.RepositoryResolved(repo, nil, fault.New(fault.Upstream, "git_unavailable", "no answer"))
	app = r.holds("the repository away", 3)
	if app.Source.Error == nil || app.Source.Error.Code != "git_unavailable" {
		t.Errorf("condition %+v", app.Source.Error)
	}
	r.found("c2")
	if app = r.holds("the repository back", 3); app.Source.Error != nil {
		t.Errorf("condition %+v", app.Source.Error)
	}
	r.found("c-without-path")
	app = r.holds("a newer revision that cannot be rendered", 3)
	if app.Source.Error == nil || app.Source.Error.Code != "path_not_found" || app.Source.Error.Revision != "c-without-path" {
		t.Errorf("condition %+v", app.Source.Error)
	}
	r.w.put("web", "c-role", "a", "role")
	r.found("c-role")
	if app = r.holds("a newer revision that the project refuses", 3); app.Source.Error.Code != "kind_not_permitted" {
		t.Errorf("condition %+v", app.Source.Error)
	}
	r.found("c2")
	if app = r.holds("what was set aside once more", 3); app.Source.Error != nil {
		t.Errorf("condition %+v", app.Source.Error)
	}
	probes := 0
	for uid := range r.w.apps {
		if strings.HasPrefix(string(uid), "uid-probe") {
			probes++
		}
	}
	if extra := r.w.renders - renders; extra > 2*probes+10 { // what holds is not rendered; the rest is of the newer revisions
		t.Errorf("%d renders", extra)
	}
}

func TestANewerRevisionEndsARollback(t *testing.T) {
	r := newRolledBack(t)
	r.w.put("web", "c3", "a", "c")
	r.found("c3")
	r.released("the newer revision is delivered", "c3")
}

// A mirror that lags, or a push that is undone, brings nothing newer.
func TestWhatWasSetAsideIsNotDeployedWhenItComesBack(t *testing.T) {
	r := newRolledBack(t)
	r.found("c1")
	r.holds("the branch at what was gone back to", 3)
	r.found("c2")
	r.holds("the branch set forth again", 3)
	r.w.put("web", "c3", "a", "c")
	r.found("c3")
	r.released("the newer revision is delivered", "c3")
	r.found("c2") // the applications are not read again in between
	r.w.await("it is set aside again", func() bool { return r.w.apps[r.uid].Source.Revision.Commit == "c2" })
	app := r.holds("what was set aside is back", 4)
	d, _ := r.now()
	if p := app.Pin; p == nil || d.Revision.Commit != "c3" || p.HistoryID != 0 || p.Revision.Commit != "c3" || p.SetAside.Commit != "c2" || app.Source.Bundle != r.bad.Bundle {
		t.Fatalf("%+v of %s, source %+v", p, d.Revision.Commit, app.Source)
	}
	r.d.ApplicationsWritten(r.uid)
	r.holds("a hard refresh", 4)
	r.found("c3")
	r.released("the branch is where it was", "c3")
	if d, _ := r.now(); d.Generation != 4 {
		t.Errorf("generation %d", d.Generation)
	}
	r.found("c2")
	r.holds("what was set aside is back once more", 4)
	// Somebody says that what there is is wanted.
	r.write(func(a *fleet.App) { a.Pin, a.Unpinned, a.Source.RenderKey = nil, true, "" })
	r.released("what was set aside is wanted", "c2")
}

// What cannot be rendered for a moment cannot be told from what is newer.
func TestWhatWasSetAsideCannotBeRendered(t *testing.T) {
	passing, broken := fault.New(fault.Upstream, "git_unavailable", "no answer"), fault.New(fault.Unprocessable, "manifest_invalid", "no YAML")
	gone := fault.New(fault.Unprocessable, "revision_not_found", "commit c2 does not exist")
	for name, c := range map[string]struct {
		trouble error
		objects []string // of the newer commit
		options bool     // were changed since
		held    bool
		code    string
	}{
		"for a moment, and the newer commit changes nothing here":   {trouble: passing, objects: []string{"a"}, held: true},
		"for a moment, and the newer commit is another":             {trouble: passing, objects: []string{"a", "d"}, held: true, code: codeAsideUnknown},
		"any more, and the newer commit changes nothing here":       {trouble: broken, objects: []string{"a"}, held: true},
		"any more, and the newer commit is another":                 {trouble: broken, objects: []string{"a", "d"}},
		"any more, with other options, and what it gave is no help": {trouble: broken, objects: []string{"a", "n"}, options: true, held: true, code: codeAsideUnknown},
		"as it is gone, and the newer commit changes nothing here":  {trouble: gone, objects: []string{"a"}, held: true},
		"as it is gone, and the newer commit is another":            {trouble: gone, objects: []string{"a", "d"}},
		"as it is gone, with other options: nothing waits for it":   {trouble: gone, objects: []string{"a", "n"}, options: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRolledBack(t)
			generation, place := model.Generation(3), ""
			if c.options {
				r.w.put("web", "c1#other", "a", "b", "n")
				r.write(func(a *fleet.App) { a.Application.Spec.Destination.Namespace = "other" })
				generation, place = 4, "#other"
				r.holds("the options", generation)
			}
			r.w.mu.Lock()
			r.w.trouble["web@c2"+place] = c.trouble
			r.w.mu.Unlock()
			r.w.put("web", "c3"+place, c.objects...)
			r.found("c3")
			if !c.held {
				r.released("the newer one is delivered", "c3")
				return
			}
			app := r.holds("it holds", generation)
			if e := app.Source.Error; c.code == "" && e != nil || c.code != "" && (e == nil || e.Code != c.code || !strings.Contains(e.Message, "c2")) {
				t.Errorf("condition %+v", app.Source.Error)
			}
			if c.code == "" {
				return
			}
			// Once it can be rendered the pin is decided.
			r.w.put("web", "c2"+place, "a")
			r.w.mu.Lock()
			delete(r.w.trouble, "web@c2"+place)
			r.w.mu.Unlock()
			r.d.ClusterReported("c1", "v1.39.0", nil)
			r.released("the newer one is delivered", "c3")
		})
	}
}

// A pause grows with each attempt, as that of a render that fails.
func TestWhatWasSetAsideIsTriedAgain(t *testing.T) {
	r := newRolledBack(t)
	r.w.mu.Lock()
	r.w.trouble["web@c2"] = fault.New(fault.Upstream, "git_unavailable", "no answer")
	r.w.mu.Unlock()
	r.w.put("web", "c3", "a", "d")
	r.found("c3")
	r.holds("it holds", 3)
	first := r.d.lastPause(r.uid)
	r.d.ClusterReported("c1", "v1.39.0", nil)
	r.holds("it holds", 3)
	if second := r.d.lastPause(r.uid); first == 0 || second != 2*first {
		t.Errorf("pauses %s and %s", first, second)
	}
}

// A hub that ends after an unpin was stored, and before it looked, delivers when
// it starts, although no source has moved.
func TestWhatIsOwedOutlivesTheHub(t *testing.T) {
	r := newRolledBack(t)
	r.holds("the rollback", 3)
	r.w.mu.Lock()
	app := r.w.apps[r.uid]
	app.Version++
	app.Pin, app.Source.RenderKey = nil, "" // as the store does
	r.w.apps[r.uid] = app
	r.w.mu.Unlock()
	next := start(t, r.w)
	next.RepositoryResolved(repo, heads("c2"), nil)
	r.released("what the sources say is delivered", "c2")
}

// What somebody asked for while a source was not resolved is done when it is.
func TestWhatIsOwedOutlivesAWait(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 })
	stored := w.desired[uid]

	again := New(Options{Store: w, Watcher: w, Renderer: w, Notifier: w, Publisher: w, Log: d.Log})
	w.mu.Lock()
	delete(w.desired, uid) // what is owed is seen by its delivery
	w.mu.Unlock()
	again.ApplicationsWritten(uid)
	if _, err := again.round(t.Context()); err != nil { // nothing is resolved yet
		t.Fatal(err)
	}
	again.RepositoryResolved(repo, heads("c1"), nil)
	if _, err := again.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.desired[uid]; got.Bundle != stored.Bundle {
		t.Errorf("%+v", got)
	}
}

func TestARevertIsANewerRevision(t *testing.T) {
	r := newRolledBack(t)
	r.w.put("web", "c3", "a", "b") // as c1
	r.found("c3")
	r.released("the revert is delivered", "c3")
	if d, _ := r.now(); d.Bundle != r.good.Bundle || d.Generation != 4 {
		t.Errorf("%+v", d)
	}
}

// In a repository of many applications the branch moves all the time.
func TestACommitThatChangesNothingHereEndsNoRollback(t *testing.T) {
	r := newRolledBack(t)
	r.w.put("web", "c3", "a") // as c2
	r.found("c3")
	r.holds("a commit that changes nothing here", 3)
	r.w.put("web", "c4", "a", "d")
	r.found("c4")
	r.released("one that does", "c4")
}

func TestAnotherSourceEndsARollback(t *testing.T) {
	for name, f := range map[string]func(*model.Source){
		"another revision, the one that was set aside": func(s *model.Source) { s.TargetRevision = "c2" },
		"another path": func(s *model.Source) { s.Path = "web2" },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRolledBack(t)
			r.w.put("web2", "c2", "z")
			r.write(func(a *fleet.App) {
				s := *a.Application.Spec.Source
				f(&s)
				a.Application.Spec.Source = &s
			})
			target := onMain
			_, app := r.now()
			target.Revision = app.Application.Spec.Source.TargetRevision
			r.d.RepositoryResolved(repo, map[fleet.Target]Head{target: {Commit: "c2"}}, nil)
			r.released("the wish is delivered", "c2")
		})
	}
}

func TestAnotherSourceThatCannotBeRenderedEndsNoRollback(t *testing.T) {
	r := newRolledBack(t)
	r.write(func(a *fleet.App) {
		s := *a.Application.Spec.Source
		s.Path = "nowhere"
		a.Application.Spec.Source = &s
	})
	if app := r.holds("a path that is not there", 3); app.Source.Error == nil || app.Source.Error.Code != "path_not_found" {
		t.Errorf("condition %+v", app.Source.Error)
	}
	r.write(func(a *fleet.App) {
		s := *a.Application.Spec.Source
		s.Path = "web"
		a.Application.Spec.Source = &s
	})
	if app := r.holds("set back", 3); app.Source.Error != nil {
		t.Errorf("condition %+v", app.Source.Error)
	}
}

func TestPolicyReachesAPinnedApplication(t *testing.T) {
	r := newRolledBack(t)
	policy := &model.SyncPolicy{Automated: &model.AutomatedSync{SelfHeal: true}}
	r.d.RepositoryResolved(repo, nil, fault.New(fault.Upstream, "git_unavailable", "no answer"))
	r.write(func(a *fleet.App) { a.Application.Spec.SyncPolicy = policy })
	r.holds("a policy written while Git is away", 4)
	if d, _ := r.now(); d.Spec.SyncPolicy != policy || d.Revision.Commit != "c1" {
		t.Errorf("%+v", d)
	}
}

func TestOptionsWhilePinned(t *testing.T) {
	r := newRolledBack(t)
	rename := func(a *fleet.App) { a.Application.Spec.Destination.Namespace = "other" }
	r.w.put("web", "c1#other", "a", "b", "n")
	r.w.put("web", "c2#other", "a", "n")
	r.write(rename)
	app := r.holds("the commit that is held, with the new option", 4)
	d, _ := r.now()
	if d.Revision.Commit != "c1" || app.Pin.Options != fleet.OptionsOf(app.Application.Spec) || d.Bundle == r.good.Bundle {
		t.Errorf("%+v, pin %+v", d.Revision, app.Pin)
	}
	// Still nothing but a change releases it.
	r.w.put("web", "c3#other", "a", "n")
	r.found("c3")
	r.holds("a commit that changes nothing here", 4)
	r.w.put("web", "c4#other", "a", "x")
	r.found("c4")
	r.released("one that does", "c4")
}

func TestOptionsThatCannotBeRenderedWhilePinned(t *testing.T) {
	r := newRolledBack(t)
	r.write(func(a *fleet.App) { a.Application.Spec.Destination.Namespace = "nowhere" })
	if app := r.holds("an option that the held commit cannot take", 3); app.Source.Error == nil || app.Source.Error.Code != "path_not_found" {
		t.Errorf("condition %+v", app.Source.Error)
	}
}

func TestOptionsWhilePinnedToOtherSources(t *testing.T) {
	r := newRolledBack(t)
	r.write(func(a *fleet.App) {
		pin := *a.Pin
		pin.Sources = []fleet.SourceAt{{RepoURL: repo, Path: "old", TargetRevision: "main", Commit: "c0"}}
		a.Pin = &pin
	})
	r.holds("the pin", 3)
	r.write(func(a *fleet.App) { a.Application.Spec.Destination.Namespace = "other" })
	for range 2 { // a second look repeats no warning
		app := r.holds("options that do not fit", 4)
		n := 0
		for _, c := range app.Source.Warnings {
			if c.Code == codeOptionsHeld {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d warnings: %+v", n, app.Source.Warnings)
		}
		r.d.ApplicationsWritten(r.uid)
	}
}

func TestTheProjectLimitsWhatIsPinned(t *testing.T) {
	r := newRolledBack(t)
	r.w.mu.Lock()
	r.w.projects = []model.AppProject{{Metadata: model.ObjectMeta{Name: "default"}, Spec: model.AppProjectSpec{SourceRepos: []string{"https://elsewhere/*"}}}}
	r.w.mu.Unlock()
	r.d.ProjectWritten("default")
	r.w.await("its limits travel", func() bool { return r.w.desired[r.uid].Generation == 4 })
	d, app := r.now()
	if app.Source.Error == nil || app.Source.Error.Code != "repo_not_permitted" || app.Pin == nil {
		t.Errorf("condition %+v, pin %+v", app.Source.Error, app.Pin)
	}
	if d.ProjectSpec.SourceRepos[0] != "https://elsewhere/*" || d.Revision.Commit != "c1" {
		t.Errorf("%+v", d)
	}
}

func TestPrepare(t *testing.T) {
	ctx := context.Background()
	r := newRolledBack(t)
	_, app := r.now()
	app.Pin = nil
	for name, c := range map[string]struct {
		content    fleet.Content
		deployment int64
		pinned     bool
		code       string
	}{
		"held":                               {content: fleet.Content{Bundle: r.good.Bundle, Revision: r.good.Revision, Sources: at("c1")}, deployment: 1, pinned: true},
		"what the sources give now":          {content: fleet.Content{Bundle: r.bad.Bundle, Revision: r.bad.Revision, Sources: at("c2")}, deployment: 2},
		"released":                           {content: fleet.Content{Bundle: r.good.Bundle, Revision: r.good.Revision}, deployment: 0},
		"lost":                               {content: fleet.Content{Bundle: "sha256:lost"}, deployment: 1, code: "bundle_not_found"},
		"not held, rendered again":           {content: fleet.Content{Revision: model.Revision{Commit: "c1"}}, deployment: 1, pinned: true},
		"not held, at a commit that is gone": {content: fleet.Content{Revision: model.Revision{Commit: "gone"}}, deployment: 1, code: "path_not_found"},
		"not held, of other sources":         {content: fleet.Content{Sources: []fleet.SourceAt{{RepoURL: repo, Path: "old", Commit: "c1"}}}, deployment: 1, code: "deployment_not_held"},
		"not held, nothing known":            {content: fleet.Content{}, deployment: 1, code: "deployment_not_held"},
	} {
		got, err := r.d.Prepare(ctx, app, c.content, c.deployment)
		if c.code != "" {
			if !fault.HasCode(err, c.code) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || (got.Pin != nil) != c.pinned || got.Bundle == "" || got.BundleBytes == 0 || got.AppVersion != app.Version {
			t.Errorf("%s: %+v, %v", name, got, err)
			continue
		}
		if p := got.Pin; p != nil && (p.Bundle != r.good.Bundle || p.HistoryID != 1 || p.Aside[0].Commit != "c2" || p.Sources[0].Commit != "c1" || p.SetAside.Commit != "c2") {
			t.Errorf("%s: pin %+v", name, p)
		}
	}

	// After other sources were written, and before they gave anything, what is
	// set aside is what they are resolved to.
	moved := app
	moved.Application.Spec.Source = &model.Source{RepoURL: repo, Path: "web", TargetRevision: "next"}
	content := fleet.Content{Bundle: r.good.Bundle, Revision: r.good.Revision}
	if _, err := r.d.Prepare(ctx, moved, content, 1); !fault.HasCode(err, "source_not_resolved") {
		t.Errorf("not resolved: %v", err)
	}
	next := onMain
	next.Revision = "next"
	r.d.RepositoryResolved(repo, map[fleet.Target]Head{next: {Commit: "c9"}}, nil)
	if got, err := r.d.Prepare(ctx, moved, content, 1); err != nil || got.Pin.Aside[0].Commit != "c9" {
		t.Errorf("resolved: %+v, %v", got.Pin, err)
	}

	r.w.mu.Lock()
	r.w.projects[0].Spec.SourceRepos = nil
	r.w.mu.Unlock()
	if _, err := r.d.Prepare(ctx, app, content, 1); !fault.HasCode(err, "repo_not_permitted") {
		t.Errorf("what the project permits no more: %v", err)
	}
}

func TestChanges(t *testing.T) {
	w := newWorld(t)
	d := New(Options{Store: w})
	digest := func(names ...string) model.Digest {
		w.put("p", strings.Join(names, ""), names...)
		out, err := w.Render(t.Context(), RenderRequest{Namespace: "shop", At: At{Source: model.Source{Path: "p"}, Commit: strings.Join(names, "")}})
		if err != nil {
			t.Fatal(err)
		}
		w.bundles[out.Digest] = out.Encoded
		return out.Digest
	}
	from, to := digest("a", "b", "role"), digest("a", "d")
	app := fleet.App{Cluster: "c1", Application: model.Application{Spec: model.ApplicationSpec{Destination: model.Destination{Namespace: "shop"}}}}
	got, err := d.Changes(t.Context(), app, from, to)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range got {
		lines = append(lines, r.Status+" "+r.ObjectKey.String())
	}
	if want := []string{"Unchanged ConfigMap shop/a", "Created ConfigMap shop/d", "Pruned rbac.authorization.k8s.io/ClusterRole role", "Pruned ConfigMap shop/b"}; !slices.Equal(lines, want) {
		t.Errorf("%v", lines)
	}
	if _, err := d.Changes(t.Context(), app, from, "sha256:none"); !fault.HasCode(err, "bundle_not_found") {
		t.Errorf("%v", err)
	}
}

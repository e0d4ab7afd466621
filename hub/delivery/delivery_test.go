package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

const repo = "https://git.example/fleet.git"

// world is everything around a Delivery, in memory.
type world struct {
	verifier    Verifier // may be nil
	retryRender time.Duration
	t           *testing.T

	mu       sync.Mutex
	apps     map[model.AppUID]fleet.App
	projects []model.AppProject
	desired  map[model.AppUID]model.Desired
	bundles  map[model.Digest][]byte
	labels   map[string]string // of the cluster
	sizes    map[model.Digest]int
	down     error
	renders  int
	asked    []RenderRequest
	watched  []fleet.Target
	notified []model.AppUID
	// content by "path@commit", or "path@commit#namespace" for another namespace
	// than shop; a missing one is path_not_found.
	content map[string][]manifest.Object
	// trouble is why a place of content cannot be rendered.
	trouble map[string]error
	changed chan struct{} // closed and replaced at every change
	// rendering, when set, is what renders wait for.
	rendering chan struct{}
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, apps: map[model.AppUID]fleet.App{}, desired: map[model.AppUID]model.Desired{},
		bundles: map[model.Digest][]byte{}, sizes: map[model.Digest]int{}, content: map[string][]manifest.Object{}, trouble: map[string]error{}, changed: make(chan struct{}),
		projects: []model.AppProject{{Metadata: model.ObjectMeta{Name: "default"}, Spec: model.AppProjectSpec{
			SourceRepos: []string{"*"}, Destinations: []model.ProjectDestination{{Name: "*", Namespace: "*"}},
		}}},
	}
}

func (w *world) moved() { close(w.changed); w.changed = make(chan struct{}) }

func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		w.mu.Lock()
		ok, changed := holds(), w.changed
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			w.t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (w *world) Applications(context.Context) ([]fleet.App, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []fleet.App
	for _, a := range w.apps {
		out = append(out, a)
	}
	return out, w.down
}

func (w *world) Projects(context.Context) ([]model.AppProject, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.projects, w.down
}

func (w *world) Clusters(context.Context) ([]model.Cluster, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return []model.Cluster{{ID: "c1", Name: "eu", Labels: w.labels}}, nil
}

func (w *world) ProjectObjects(context.Context) (map[string]map[model.AppUID]int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]map[model.AppUID]int{}
	for uid, d := range w.desired {
		if out[d.Project] == nil {
			out[d.Project] = map[model.AppUID]int{}
		}
		out[d.Project][uid] = w.sizes[d.Bundle]
	}
	return out, w.down
}

func (w *world) ClusterAPIs(context.Context, model.ClusterID) (string, []string, []string, error) {
	return "v1.37.2", nil, nil, nil
}

func (w *world) Bundle(_ context.Context, digest model.Digest) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, ok := w.bundles[digest]
	if !ok {
		return nil, fault.New(fault.NotFound, "bundle_not_found", "there is no bundle %s", digest)
	}
	return b, w.down
}

func (w *world) PutBundles(_ context.Context, bundles []fleet.Bundle) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range bundles {
		w.bundles[b.Digest], w.sizes[b.Digest] = b.Encoded, b.Objects
	}
	return w.down
}

func (w *world) WriteDesired(_ context.Context, changes []fleet.DesiredChange) ([]model.Desired, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.moved()
	if w.down != nil {
		return nil, w.down
	}
	var out []model.Desired
	for _, c := range changes {
		if _, ok := w.bundles[c.Desired.Bundle]; !ok && !c.LimitsOnly {
			w.t.Errorf("desired state of %s names a bundle that does not exist", c.Desired.Name)
		}
		app := w.apps[c.Desired.App]
		if app.Version != c.AppVersion {
			continue
		}
		if !c.KeepSource {
			app.Source = c.Source
		}
		switch {
		case c.Release:
			app.SetAside = append([][]fleet.SourceAt{app.Pin.Aside}, app.SetAside...)
			app.Pin = nil
		case c.Pin != nil:
			app.Pin = c.Pin
		}
		w.apps[app.UID] = app
		old, ok := w.desired[app.UID]
		if c.LimitsOnly {
			if !ok {
				continue
			}
			c.Desired, _ = fleet.Limited(&old, 0, c.Desired)
		}
		if ok && old.Content() == c.Desired.Content() {
			continue
		}
		d := c.Desired
		d.Generation = old.Generation + 1
		w.desired[app.UID] = d
		out = append(out, d)
	}
	return out, nil
}

func (w *world) RecordSourceStates(_ context.Context, states []fleet.SourceState) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.moved()
	for _, s := range states {
		app := w.apps[s.App]
		app.Source = s
		w.apps[s.App] = app
	}
	return w.down
}

func (w *world) SetTargets(set []fleet.Target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watched = set
	w.moved()
}

func (w *world) Notify(_ model.ClusterID, apps []model.AppUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notified = append(w.notified, apps...)
	w.moved()
}

func (w *world) PublishApplications([]model.AppUID) {}

func (w *world) Render(_ context.Context, req RenderRequest) (Rendered, error) {
	w.mu.Lock()
	if hold := w.rendering; hold != nil {
		w.mu.Unlock()
		<-hold
		w.mu.Lock()
	}
	defer w.mu.Unlock()
	w.asked = append(w.asked, req)
	w.moved()
	place := req.Source.Path + "@" + req.Commit
	if req.Namespace != "shop" { // an option that the render depends on
		place += "#" + req.Namespace
	}
	if err := w.trouble[place]; err != nil {
		return Rendered{}, err
	}
	objs, ok := w.content[place]
	if !ok {
		return Rendered{}, fault.New(fault.Unprocessable, "path_not_found", "path %q does not exist", req.Source.Path)
	}
	encoded, digest, err := manifest.EncodeBundle(objs)
	key := "key-" + string(digest)
	if key == req.PreviousKey {
		return Rendered{Unchanged: true, Key: key}, nil
	}
	w.renders++
	return Rendered{Objects: objs, Encoded: encoded, Digest: digest, Key: key, Revision: model.Revision{Commit: req.Commit}}, err
}

func (w *world) app(name, path string) model.AppUID {
	w.mu.Lock()
	defer w.mu.Unlock()
	uid := model.AppUID("uid-" + name)
	w.apps[uid] = fleet.App{UID: uid, Name: name, Project: "default", Cluster: "c1", Version: 1, Application: model.Application{
		Metadata: model.ObjectMeta{Name: name},
		Spec: model.ApplicationSpec{Project: "default", Source: &model.Source{RepoURL: repo, Path: path, TargetRevision: "main"},
			Destination: model.Destination{Name: "eu", Namespace: "shop"}},
	}}
	return uid
}

func (w *world) put(path, commit string, names ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.putLocked(path, commit, names...)
}

func (w *world) putLocked(path, commit string, names ...string) {
	objs := []manifest.Object{}
	for _, n := range names {
		kind := "ConfigMap"
		if strings.HasPrefix(n, "role") {
			kind = "ClusterRole"
		}
		key := model.ObjectKey{Kind: kind, Name: n}
		apiVersion := "v1"
		if kind == "ClusterRole" {
			key.Group, apiVersion = "rbac.authorization.k8s.io", "rbac.authorization.k8s.io/v1"
		}
		objs = append(objs, manifest.Object{Key: key, Version: "v1", Origin: path + "/" + n + ".yaml",
			Body: map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": n}}})
	}
	w.content[path+"@"+commit] = objs
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = err
	w.moved()
}

func (w *world) condition(uid model.AppUID) *model.Condition { return w.apps[uid].Source.Error }

func start(t *testing.T, w *world) *Delivery {
	d := New(Options{Store: w, Watcher: w, Renderer: w, Verifier: w.verifier, Notifier: w, Publisher: w,
		Log: slog.New(slog.DiscardHandler), Retry: time.Millisecond, RetryRender: w.retryRender})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d
}

var onMain = fleet.Target{RepoURL: repo, Revision: "main"}

func heads(commit string) map[fleet.Target]Head {
	return map[fleet.Target]Head{onMain: {Commit: commit}}
}

func TestCommitReachesTheDesiredState(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a", "b")
	d := start(t, w)
	w.await("the repository is watched", func() bool { return slices.Equal(w.watched, []fleet.Target{onMain}) })
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("generation 1 is written and the cluster is told", func() bool {
		return w.desired[uid].Generation == 1 && slices.Contains(w.notified, uid)
	})
	w.put("web", "c2", "a")
	d.RepositoryResolved(repo, heads("c2"), nil)
	w.await("generation 2 is written", func() bool { return w.desired[uid].Generation == 2 })
	if got := w.desired[uid].Revision.Commit; got != "c2" {
		t.Errorf("revision %q", got)
	}
}

func TestUnchangedInputsWriteNothing(t *testing.T) {
	w := newWorld(t)
	uid, other := w.app("web", "web"), w.app("other", "other")
	for _, c := range []string{"c1", "c2"} {
		w.put("web", c, "a")
	}
	w.put("other", "c1", "x")
	w.put("other", "c2", "y")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("both are written", func() bool { return w.desired[uid].Generation == 1 && w.desired[other].Generation == 1 })
	before := w.renders
	d.RepositoryResolved(repo, heads("c2"), nil)
	w.await("the affected one is written", func() bool { return w.desired[other].Generation == 2 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.desired[uid].Generation != 1 || w.renders != before+1 {
		t.Errorf("the unaffected application has generation %d after %d renders", w.desired[uid].Generation, w.renders-before)
	}
}

func TestFailuresKeepTheLastGoodState(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 })
	good := w.desired[uid]

	cases := []struct {
		name, code string
		do         func()
	}{
		{"the repository does not answer", "git_unavailable", func() {
			d.RepositoryResolved(repo, nil, fault.New(fault.Upstream, "git_unavailable", "no answer"))
		}},
		{"the branch is gone", "revision_not_found", func() {
			d.RepositoryResolved(repo, map[fleet.Target]Head{onMain: {Err: fault.New(fault.Unprocessable, "revision_not_found", "no branch main")}}, nil)
		}},
		{"the path is gone", "path_not_found", func() { d.RepositoryResolved(repo, heads("c-without-path"), nil) }},
		{"a kind is not permitted", "kind_not_permitted", func() {
			w.put("web", "c-role", "a", "role")
			d.RepositoryResolved(repo, heads("c-role"), nil)
		}},
	}
	for _, c := range cases {
		c.do()
		w.await(c.name, func() bool { x := w.condition(uid); return x != nil && x.Code == c.code })
		if got := w.desired[uid]; got.Content() != good.Content() || got.Generation != good.Generation {
			t.Errorf("%s: the desired state changed to generation %d", c.name, got.Generation)
		}
		if w.apps[uid].Source.Bundle != good.Bundle {
			t.Errorf("%s: the last good bundle was forgotten", c.name)
		}
	}
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the error goes when the source is good again", func() bool { return w.condition(uid) == nil })
	if got := w.desired[uid].Generation; got != 1 {
		t.Errorf("coming back to the same content raised the generation to %d", got)
	}
}

func TestAnErrorNamesTheRevisionThatItIsAbout(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 })
	shows := func(code, revision string) func() bool {
		return func() bool {
			x := w.condition(uid)
			return x != nil && x.Code == code && x.Revision == revision
		}
	}
	d.RepositoryResolved(repo, heads("c2"), nil)
	w.await("the commit that cannot be rendered", shows("path_not_found", "c2"))
	since := *w.condition(uid).Since
	d.RepositoryResolved(repo, heads("c3"), nil)
	w.await("the next commit with the same error", shows("path_not_found", "c3"))
	if got := *w.condition(uid).Since; !got.Equal(since) {
		t.Errorf("the problem is there since %s, not %s", since, got)
	}
	w.put("web", "c4", "a", "role")
	d.RepositoryResolved(repo, heads("c4"), nil)
	w.await("the commit that is not permitted", shows("kind_not_permitted", "c4"))
	// An outage is not about a commit, although one was known before.
	d.RepositoryResolved(repo, nil, fault.New(fault.Upstream, "git_unavailable", "no answer"))
	w.await("the outage", shows("git_unavailable", ""))
	if got := w.apps[uid].Source.Revision.Commit; got != "c1" {
		t.Errorf("the last good revision is %q", got)
	}
}

func TestAnErrorIsRecordedOnce(t *testing.T) {
	d := New(Options{Log: slog.New(slog.DiscardHandler)})
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	broken := fault.New(fault.Unprocessable, "path_not_found", "no path")
	app := fleet.App{UID: "u", Source: fleet.SourceState{Error: &model.Condition{
		Type: "ComparisonError", Code: "path_not_found", Message: "no path", Revision: "c1", Since: &since}}}
	for _, c := range []struct {
		name, revision string
		err            error
		written        bool
	}{
		{"the same", "c1", broken, false},
		{"the same, of no known revision", "", broken, false},
		{"the same at another revision", "c2", broken, true},
		{"another", "c1", fault.New(fault.Unprocessable, "path_not_found", "no other path"), true},
	} {
		if _, written := d.failed(app, c.revision, c.err); written != c.written {
			t.Errorf("%s: written = %v", c.name, written)
		}
	}
	passing := fault.New(fault.Unavailable, "worker_busy", "no worker is free")
	if o, written := d.failed(app, "c2", passing); !written || o.state.Error.Revision != "" {
		t.Errorf("trouble that may pass is said to be about a revision: %+v", o.state)
	}
}

func TestRevisionOfSeveralSources(t *testing.T) {
	values := model.Source{RepoURL: "https://git.example/values.git", TargetRevision: "main", Ref: "values"}
	first := model.Source{RepoURL: repo, Path: "a", TargetRevision: "main"}
	second := model.Source{RepoURL: "https://git.example/b.git", Path: "b", TargetRevision: "main"}
	spec := model.ApplicationSpec{Sources: []model.Source{values, first, second}}
	known := map[string]Head{values.RepoURL: {Commit: "v"}, first.RepoURL: {Commit: "a"}, second.RepoURL: {Commit: "b"}}
	at := func(s model.Source) (Head, bool) { h, ok := known[s.RepoURL]; return h, ok }
	if got := revisionOf(spec, at); got != "a" {
		t.Errorf("revision %q, not that of the first source of manifests", got)
	}
	known[second.RepoURL] = Head{Commit: "b", Err: errors.New("no answer")}
	if got := revisionOf(spec, at); got != "" {
		t.Errorf("revision %q while a source does not answer", got)
	}
}

func TestRepositoryThatNeverAnsweredIsShown(t *testing.T) {
	w := newWorld(t)
	first := w.app("first", "first")
	w.put("first", "c1", "a")
	w.put("second", "c1", "a")
	d := start(t, w)
	w.await("the repository is watched", func() bool { return slices.Equal(w.watched, []fleet.Target{onMain}) })
	d.RepositoryResolved(repo, nil, fault.New(fault.Upstream, "repository_not_found", "no such repository"))
	shown := func(uid model.AppUID) func() bool {
		return func() bool { x := w.condition(uid); return x != nil && x.Code == "repository_not_found" }
	}
	w.await("the application that waits says why", shown(first))
	// The poller says nothing again while the answer stays the same.
	second := w.app("second", "second")
	d.ApplicationsWritten(second)
	w.await("one that comes later says so too", shown(second))
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("both go on when it answers", func() bool {
		return w.desired[first].Generation == 1 && w.desired[second].Generation == 1 && w.condition(first) == nil && w.condition(second) == nil
	})
}

func TestARefusalOutlivesAnOutageOfTheRepository(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 })
	shows := func(code string) func() bool {
		return func() bool { x := w.condition(uid); return x != nil && x.Code == code }
	}
	open := w.projects
	tight := w.projects[0]
	tight.Spec.SourceRepos = []string{"https://example.com/other"}
	write := func(projects []model.AppProject) {
		w.mu.Lock()
		w.projects = projects
		w.mu.Unlock()
		d.ProjectWritten("default")
	}
	write([]model.AppProject{tight})
	w.await("the project refuses", shows("repo_not_permitted"))
	w.mu.Lock()
	asked := len(w.asked)
	w.mu.Unlock()
	d.RepositoryResolved(repo, heads("c2"), nil)
	d.RepositoryResolved(repo, nil, fault.New(fault.Upstream, "git_unavailable", "no answer"))
	write(open)
	w.await("permitted again, and the repository is away", shows("git_unavailable"))
	w.mu.Lock()
	if n := len(w.asked) - asked; n != 0 {
		t.Errorf("%d renders of a source that the project does not permit", n)
	}
	w.mu.Unlock()
	write([]model.AppProject{tight})
	w.await("the refusal comes before the outage", shows("repo_not_permitted"))
	d.RepositoryResolved(repo, heads("c1"), nil)
	write(open)
	w.await("the project allows it again", func() bool { return w.condition(uid) == nil })
	// Two refusals and their ends each brought other limits.
	if got := w.desired[uid].Generation; got != 5 {
		t.Errorf("generation %d for the same content", got)
	}
}

func TestADeleteThatWasTakenBackGoesOn(t *testing.T) {
	w := newWorld(t)
	uid, other := w.app("web", "web"), w.app("other", "other")
	for _, c := range []string{"c1", "c2"} {
		w.put("web", c, c)
		w.put("other", c, c)
	}
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("both are written", func() bool { return w.desired[uid].Generation == 1 && w.desired[other].Generation == 1 })
	deleting := func(yes bool) {
		w.mu.Lock()
		app := w.apps[uid]
		app.Deleting, app.Version = yes, app.Version+1
		w.apps[uid] = app
		w.mu.Unlock()
		d.ApplicationsWritten(uid)
	}
	deleting(true)
	d.RepositoryResolved(repo, heads("c2"), nil)
	w.await("the commit reaches the other one", func() bool { return w.desired[other].Generation == 2 })
	if w.desired[uid].Generation != 1 {
		t.Error("an application that is being deleted got a new state")
	}
	deleting(false)
	w.await("the commit reaches the one that stays", func() bool { return w.desired[uid].Generation == 2 })
}

func TestEmptyRenderIsCompleteAndPassedOn(t *testing.T) {
	// Nothing is deleted here: the agent's prune guard stops an empty state.
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	w.put("web", "c2")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 })
	d.RepositoryResolved(repo, heads("c2"), nil)
	w.await("the empty state", func() bool { return w.desired[uid].Generation == 2 })
	objs, err := manifest.DecodeBundle(w.bundles[w.desired[uid].Bundle], w.desired[uid].Bundle)
	if err != nil || len(objs) != 0 {
		t.Errorf("the empty bundle decodes to %d objects, %v", len(objs), err)
	}
}

func TestApplicationThatNeverHadManifestsIsAnError(t *testing.T) {
	w := newWorld(t)
	uid, allowed := w.app("web", "web"), w.app("empty", "web")
	app := w.apps[allowed]
	app.Application.Spec.SyncPolicy = &model.SyncPolicy{Automated: &model.AutomatedSync{AllowEmpty: true}}
	w.apps[allowed] = app
	w.put("web", "c1")
	w.put("web", "c2", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("it is said", func() bool { x := w.condition(uid); return x != nil && x.Code == "no_manifests" })
	w.await("who asked for it gets an empty state", func() bool { return w.desired[allowed].Generation == 1 })
	if w.desired[uid].Generation != 0 {
		t.Error("it got a desired state")
	}
	d.RepositoryResolved(repo, heads("c2"), nil)
	w.await("the first manifest", func() bool { return w.desired[uid].Generation == 1 && w.condition(uid) == nil })
}

func TestDatabaseOutageLosesNothing(t *testing.T) {
	w := newWorld(t)
	var uids []model.AppUID
	for i := range 100 {
		name := fmt.Sprintf("app-%d", i)
		uids = append(uids, w.app(name, name))
		w.put(name, "c1", "a")
	}
	d := start(t, w)
	w.await("watched", func() bool { return len(w.watched) == 1 })
	w.fail(errors.New("connection refused"))
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.fail(nil)
	w.await("all are written after the outage", func() bool {
		return !slices.ContainsFunc(uids, func(u model.AppUID) bool { return w.desired[u].Generation != 1 })
	})
}

func TestProjectIsAskedAgainWhenItChanges(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 })
	w.mu.Lock()
	was := w.desired[uid]
	before := &was
	p := w.projects[0]
	p.Spec.NamespaceResourceBlacklist = []model.KindRule{{Group: "", Kind: "ConfigMap"}}
	w.projects = []model.AppProject{p}
	w.mu.Unlock()
	d.ProjectWritten("default")
	w.await("it is refused now", func() bool { x := w.condition(uid); return x != nil && x.Code == "kind_not_permitted" })
	// The agent is told the limits, and nothing else.
	w.mu.Lock()
	got, first := w.desired[uid], *before
	w.mu.Unlock()
	if got.Generation != 2 || len(got.ProjectSpec.NamespaceResourceBlacklist) != 1 {
		t.Errorf("generation %d with limits %+v", got.Generation, got.ProjectSpec)
	}
	got.Generation, got.ProjectSpec = first.Generation, first.ProjectSpec
	if !reflect.DeepEqual(got, first) {
		t.Errorf("a refusal changed more than the limits: %+v, was %+v", got, first)
	}
	// The same limits again are no new generation; looser ones are one.
	w.mu.Lock()
	p.Spec.NamespaceResourceBlacklist = nil
	w.projects = []model.AppProject{p}
	w.mu.Unlock()
	d.ProjectWritten("default")
	w.await("it is permitted again", func() bool { return w.condition(uid) == nil && w.desired[uid].Generation == 3 })
}

func TestObserveModeReachesTheAgentWhateverElseIsWrong(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 && !w.desired[uid].Observe })
	annotate := func(mode string, forbid bool) {
		w.mu.Lock()
		p := w.projects[0]
		p.Metadata.Annotations = map[string]string{model.AnnotationMode: mode}
		p.Spec.NamespaceResourceBlacklist = nil
		if forbid {
			p.Spec.NamespaceResourceBlacklist = []model.KindRule{{Group: "", Kind: "ConfigMap"}}
		}
		w.projects = []model.AppProject{p}
		w.mu.Unlock()
		d.ProjectWritten("default")
	}
	annotate(model.ModeObserve, true)
	w.await("it is observed, although it is refused", func() bool { return w.desired[uid].Observe && w.condition(uid) != nil })
	annotate(model.ModeObserve, false)
	w.await("it is observed and permitted", func() bool { return w.desired[uid].Observe && w.condition(uid) == nil })
	annotate("", false)
	w.await("it is handed over", func() bool { return !w.desired[uid].Observe })
}

func TestLimitsReachTheAgentWhileTheSourcesFail(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 })
	d.RepositoryResolved(repo, nil, fault.New(fault.Unavailable, "repository_unreachable", "no route"))
	w.await("the outage is shown", func() bool { x := w.condition(uid); return x != nil && x.Code == "repository_unreachable" })
	w.mu.Lock()
	p := w.projects[0]
	p.Spec.NamespaceResourceBlacklist = []model.KindRule{{Group: "", Kind: "ConfigMap"}}
	w.projects = []model.AppProject{p}
	w.mu.Unlock()
	d.ProjectWritten("default")
	w.await("the limits", func() bool { return len(w.desired[uid].ProjectSpec.NamespaceResourceBlacklist) == 1 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.desired[uid]; got.Generation != 2 || got.Revision.Commit != "c1" {
		t.Errorf("generation %d of %s", got.Generation, got.Revision.Commit)
	}
	if x := w.condition(uid); x == nil || x.Code != "repository_unreachable" {
		t.Errorf("condition %+v", x)
	}
}

func TestARefusedApplicationThatNeverRanIsNotDelivered(t *testing.T) {
	w := newWorld(t)
	w.projects[0].Spec.NamespaceResourceBlacklist = []model.KindRule{{Group: "", Kind: "ConfigMap"}}
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("it is refused", func() bool { x := w.condition(uid); return x != nil && x.Code == "kind_not_permitted" })
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.desired[uid]; ok {
		t.Error("a refused application is delivered")
	}
}

func TestScopeOf(t *testing.T) {
	scope := scopeOf([]string{"/ConfigMap", "apps/Deployment", "example.dev/Widget"})
	for gk, want := range map[model.GroupKind]bool{
		{Kind: "ConfigMap"}:                                       true,
		{Group: "apps", Kind: "Deployment"}:                       true,
		{Group: "example.dev", Kind: "Widget"}:                    true,
		{Group: "example.dev", Kind: "NotYet"}:                    true,
		{Kind: "Namespace"}:                                       false,
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}: false,
	} {
		if got := scope(gk); got != want {
			t.Errorf("%v namespaced = %v, want %v", gk, got, want)
		}
	}
}

func TestApplicationWithoutSourceIsAnErrorAndNotEmpty(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 })
	w.mu.Lock()
	app := w.apps[uid]
	app.Application.Spec.Source, app.Version = nil, 2
	w.apps[uid] = app
	w.mu.Unlock()
	d.ApplicationsWritten(uid)
	w.await("it is refused", func() bool { x := w.condition(uid); return x != nil && x.Code == "application_without_source" })
	if w.desired[uid].Generation != 1 {
		t.Error("an application without a source got a new desired state")
	}
}

func TestAConditionSaysEverythingThatIsWrong(t *testing.T) {
	list := fault.List{
		fault.New(fault.Unprocessable, "yaml_invalid", "a.yaml:1:1: a tab").WithFix("use spaces"),
		fault.New(fault.Unprocessable, "manifest_incomplete", "b.yaml document 2: %q is missing", "kind"),
	}
	c := condition(fmt.Errorf("render: %w", list))
	if want := "a.yaml:1:1: a tab; use spaces\nmanifest_incomplete: b.yaml document 2: \"kind\" is missing"; c.Code != "yaml_invalid" || c.Message != want {
		t.Errorf("%s: %s", c.Code, c.Message)
	}
	for range 3 {
		list = append(list, list...)
	}
	if c := condition(append(list, list...)); strings.Count(c.Message, "\n") != maxProblems-1 {
		t.Errorf("%d problems", strings.Count(c.Message, "\n")+1)
	}
}

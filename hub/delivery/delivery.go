package delivery

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// Options are the parts that a Delivery joins. All fields are required but
// Parallel, Retry, RetryRender and Now.
type Options struct {
	Store    Store
	Watcher  Watcher
	Renderer Renderer
	// Verifier of signatures; nil: what has to be signed is refused.
	Verifier  Verifier
	Notifier  Notifier
	Publisher Publisher
	// Observer is told what is delivered; nil: nobody is.
	Observer Observer
	// Tracer makes spans; nil: none are made.
	Tracer trace.Tracer
	Log    *slog.Logger
	// Parallel is how many renders may be in flight (default 4).
	Parallel int
	// Retry is the pause after a database error (default 1 s).
	Retry time.Duration
	// RetryRender is the first pause before an application is rendered again
	// after trouble that may pass (default 5 s); see retryAfter.
	RetryRender time.Duration
	Now         func() time.Time
}

// Delivery is the hub's pipeline from revisions to desired rows. Make it with
// New, start it with Run.
type Delivery struct {
	Options

	mu    sync.Mutex
	heads map[fleet.Target]Head
	// silent holds the error of each repository that did not answer when it was
	// last asked. It stands for targets that were never resolved.
	silent map[string]error
	dirty  map[model.AppUID]look
	// keysChanged: the keys at the hub are others than those judged by.
	keysChanged bool
	// reload: applications were written or deleted, so that the index and the
	// watched revisions must be read again.
	reload bool
	wake   chan struct{}
	// busy are the applications that are looked at now.
	busy map[model.AppUID]bool
	// ended is closed, and replaced, when a round has ended.
	ended chan struct{}

	apps map[model.AppUID]fleet.App // the index; replaced by Run
	// serves identifies what each cluster said last that it serves.
	serves map[model.ClusterID][sha256.Size]byte
	// owed are applications that are to be delivered as soon as they can be,
	// although their inputs may be as they were, and because of what.
	owed map[model.AppUID]cause
	// retries are of the applications whose last render failed.
	retries map[model.AppUID]*retry
}

// look says why an application is looked at.
type look struct {
	// force renders although the inputs may be unchanged: the application or
	// its project was written.
	force bool
	cause cause
}

// New returns a Delivery that does nothing until Run.
func New(o Options) *Delivery {
	if o.Parallel == 0 {
		o.Parallel = 4
	}
	if o.Retry == 0 {
		o.Retry = time.Second
	}
	if o.RetryRender == 0 {
		o.RetryRender = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Tracer = tracing.Or(o.Tracer)
	return &Delivery{
		Options: o,
		heads:   map[fleet.Target]Head{},
		silent:  map[string]error{},
		serves:  map[model.ClusterID][sha256.Size]byte{},
		retries: map[model.AppUID]*retry{},
		dirty:   map[model.AppUID]look{},
		owed:    map[model.AppUID]cause{},
		wake:    make(chan struct{}, 1),
		ended:   make(chan struct{}),
		reload:  true,
	}
}

// RepositoryResolved takes what a poll or a webhook found. err means that the
// repository did not answer at all: every application of it gets the error as a
// condition, and keeps its last good state.
func (d *Delivery) RepositoryResolved(repoURL string, heads map[fleet.Target]Head, err error) {
	d.Resolved(context.Background(), repoURL, heads, err)
}

// Resolved is RepositoryResolved in the trace of what caused the look at the
// repository.
func (d *Delivery) Resolved(ctx context.Context, repoURL string, heads map[fleet.Target]Head, err error) {
	because := causeOf(ctx)
	because.seen = d.Now()
	d.mu.Lock()
	defer d.signal()
	defer d.mu.Unlock()
	changed := map[fleet.Target]bool{}
	note := func(t fleet.Target, h Head) {
		old, seen := d.heads[t]
		if h.Err != nil {
			h.Commit, h.Tag = old.Commit, old.Tag // the last good one stays in force
		}
		if !seen || old.Commit != h.Commit || old.Tag != h.Tag || errorText(old.Err) != errorText(h.Err) {
			changed[t] = true
		}
		d.heads[t] = h
	}
	if err != nil {
		for t := range d.heads {
			if t.RepoURL == repoURL {
				note(t, Head{Err: err})
			}
		}
		for t := range heads {
			note(t, Head{Err: err})
		}
		if errorText(d.silent[repoURL]) != errorText(err) {
			d.noteWhere(func(t fleet.Target) bool {
				_, resolved := d.heads[t]
				return t.RepoURL == repoURL && !resolved
			}, because)
		}
		d.silent[repoURL] = err
	} else {
		delete(d.silent, repoURL)
		for t, h := range heads {
			note(t, h)
		}
	}
	if len(changed) > 0 {
		d.noteWhere(func(t fleet.Target) bool { return changed[t] }, because)
	}
}

// noteWhere notes the applications that follow a target. d.mu is held.
func (d *Delivery) noteWhere(follows func(fleet.Target) bool, because cause) {
	for uid, app := range d.apps {
		for _, s := range app.Application.Spec.AllSources() {
			if follows(targetOf(s)) {
				d.note(uid, look{cause: because})
			}
		}
	}
}

// ClusterReported takes the Kubernetes version and APIs that a cluster serves.
// When they are others than before, its applications are looked at: renders may
// depend on them.
func (d *Delivery) ClusterReported(cluster model.ClusterID, kubeVersion string, apis []string) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q", kubeVersion, apis)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.serves[cluster] == sum {
		return
	}
	d.serves[cluster] = sum
	for uid, app := range d.apps {
		if app.Cluster == cluster {
			d.note(uid, look{})
		}
	}
	d.signal()
}

// ApplicationsWritten notes that applications were created, changed or deleted.
func (d *Delivery) ApplicationsWritten(uids ...model.AppUID) {
	d.ApplicationsWrittenIn(context.Background(), uids...)
}

// ApplicationsWrittenIn is ApplicationsWritten in the trace of ctx, which is asked
// for nothing else.
func (d *Delivery) ApplicationsWrittenIn(ctx context.Context, uids ...model.AppUID) {
	because := causeOf(ctx)
	d.mu.Lock()
	d.reload = true
	for _, uid := range uids {
		d.note(uid, look{force: true, cause: because})
	}
	d.mu.Unlock()
	d.signal()
}

// ProjectWritten notes that a project's limits changed: its applications are
// judged again and their agents are told.
func (d *Delivery) ProjectWritten(name string) {
	d.mu.Lock()
	d.reload = true
	for uid, app := range d.apps {
		if app.Project == name {
			d.note(uid, look{force: true})
		}
	}
	d.mu.Unlock()
	d.signal()
}

// ClusterWritten notes that what projects ask of a cluster changed, such as its
// labels: its applications are judged again and its agent is told.
func (d *Delivery) ClusterWritten(cluster model.ClusterID) {
	d.mu.Lock()
	for uid, app := range d.apps {
		if app.Cluster == cluster {
			d.note(uid, look{force: true})
		}
	}
	d.mu.Unlock()
	d.signal()
}

// note needs d.mu.
func (d *Delivery) note(uid model.AppUID, l look) {
	old := d.dirty[uid]
	d.dirty[uid] = look{force: l.force || old.force, cause: old.cause.and(l.cause)}
}

// Waiting is the number of applications that are to be looked at.
func (d *Delivery) Waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.dirty)
}

func (d *Delivery) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends. It owns the goroutines that it starts and waits for
// them.
func (d *Delivery) Run(ctx context.Context) error {
	defer d.stopRetries()
	d.signal()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
		}
		for ctx.Err() == nil {
			again, err := d.round(ctx)
			if err != nil {
				d.Log.Warn("delivery waits for the database", "error", err, "retry", d.Retry)
				select {
				case <-ctx.Done():
				case <-time.After(d.Retry):
				}
				continue
			}
			if !again {
				break
			}
		}
	}
}

// round takes everything that is noted and looks at it. On an error what was
// taken is noted again. again is true when more was noted meanwhile.
func (d *Delivery) round(ctx context.Context) (again bool, err error) {
	d.mu.Lock()
	taken, reload := d.dirty, d.reload
	d.dirty, d.reload = map[model.AppUID]look{}, false
	d.busy = make(map[model.AppUID]bool, len(taken))
	for uid := range taken {
		d.busy[uid] = true
	}
	d.mu.Unlock()

	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.busy = nil
		close(d.ended)
		d.ended = make(chan struct{})
		if err != nil {
			d.reload = true // what the index remembers may not have been written
			for uid, l := range taken {
				d.note(uid, l)
			}
		}
		again = len(d.dirty) > 0 || d.reload
	}()

	if reload {
		fresh, err := d.loadApplications(ctx)
		if err != nil {
			return false, err
		}
		for _, uid := range fresh {
			if _, ok := taken[uid]; !ok {
				taken[uid] = look{}
			}
		}
	}
	judged, err := d.takeKeysChanged(ctx)
	if err != nil {
		return false, err
	}
	for _, uid := range judged {
		taken[uid] = look{force: true}
	}
	if len(taken) == 0 {
		return false, nil
	}
	return false, d.lookAt(ctx, taken)
}

// loadApplications reads the index again and puts the watched targets in place. It returns applications that were not known before.
func (d *Delivery) loadApplications(ctx context.Context) (fresh []model.AppUID, err error) {
	list, err := d.Store.Applications(ctx)
	if err != nil {
		return nil, err
	}
	index := make(map[model.AppUID]fleet.App, len(list))
	watch, repos := map[fleet.Target]bool{}, map[string]bool{}
	for _, app := range list {
		index[app.UID] = app
		if app.Deleting {
			continue
		}
		for _, s := range app.Application.Spec.AllSources() {
			watch[targetOf(s)], repos[s.RepoURL] = true, true
		}
	}
	d.mu.Lock()
	for uid := range index {
		if _, ok := d.apps[uid]; !ok {
			fresh = append(fresh, uid)
		}
	}
	d.apps = index
	maps.DeleteFunc(d.heads, func(t fleet.Target, _ Head) bool { return !watch[t] })
	maps.DeleteFunc(d.silent, func(repo string, _ error) bool { return !repos[repo] })
	for uid := range d.retries {
		if _, ok := index[uid]; !ok {
			d.forget(uid)
		}
	}
	maps.DeleteFunc(d.owed, func(uid model.AppUID, _ cause) bool {
		_, ok := index[uid]
		return !ok
	})
	d.mu.Unlock()
	d.Watcher.SetTargets(slices.Collect(maps.Keys(watch)))
	return fresh, nil
}

func (d *Delivery) head(s model.Source) (Head, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h, ok := d.heads[targetOf(s)]; ok {
		return h, true
	}
	err, silent := d.silent[s.RepoURL]
	return Head{Err: err}, silent
}

// headOf tells what a source is resolved to, false as long as that is not known.
type headOf func(model.Source) (Head, bool)

// headsOf are the heads of an application's sources as they are now.
func (d *Delivery) headsOf(spec model.ApplicationSpec) headOf {
	type answer struct {
		head  Head
		known bool
	}
	now := map[fleet.Target]answer{}
	for _, s := range spec.AllSources() {
		h, ok := d.head(s)
		now[targetOf(s)] = answer{h, ok}
	}
	return func(s model.Source) (Head, bool) {
		a := now[targetOf(s)]
		return a.head, a.known
	}
}

// revisionOf is the revision that a problem with an application is about: of its
// first source of manifests. It is empty while a source is not resolved, or
// cannot be at the moment: then the problem is that.
func revisionOf(spec model.ApplicationSpec, heads headOf) (revision string) {
	for _, s := range spec.AllSources() {
		h, ok := heads(s)
		if !ok || h.Err != nil {
			return ""
		}
		if revision == "" && s.HasManifests() {
			revision = h.Commit
		}
	}
	return revision
}

// targetOf is what a source follows; a source of Git without a revision follows
// HEAD.
func targetOf(s model.Source) fleet.Target {
	t := fleet.TargetOf(s)
	if t.Revision == "" && t.Type() == fleet.Git {
		t.Revision = "HEAD"
	}
	return t
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

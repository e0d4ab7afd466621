package delivery

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// Options are the parts that a Delivery joins. All fields are required but
// Parallel, Retry and Now.
type Options struct {
	Store     Store
	Watcher   Watcher
	Renderer  Renderer
	Notifier  Notifier
	Publisher Publisher
	Log       *slog.Logger
	// Parallel is how many renders may be in flight (default 4).
	Parallel int
	// Retry is the pause after a database error (default 1 s).
	Retry time.Duration
	Now   func() time.Time
}

// Delivery is the hub's pipeline from revisions to desired rows. Make it with
// New, start it with Run.
type Delivery struct {
	Options

	mu    sync.Mutex
	heads map[string]map[string]Head // repository → revision → head
	// silent holds the error of each repository that did not answer when it was
	// last asked. It stands for revisions that were never resolved.
	silent map[string]error
	dirty  map[model.AppUID]look
	// reload: applications were written or deleted, so that the index and the
	// watched revisions must be read again.
	reload bool
	wake   chan struct{}

	apps map[model.AppUID]fleet.App // the index; replaced by Run
}

// look says why an application is looked at.
type look struct {
	// force renders although the inputs may be unchanged: the application or
	// its project was written.
	force bool
}

// New returns a Delivery that does nothing until Run.
func New(o Options) *Delivery {
	if o.Parallel == 0 {
		o.Parallel = 4
	}
	if o.Retry == 0 {
		o.Retry = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Delivery{
		Options: o,
		heads:   map[string]map[string]Head{},
		silent:  map[string]error{},
		dirty:   map[model.AppUID]look{},
		wake:    make(chan struct{}, 1),
		reload:  true,
	}
}

// RepositoryResolved takes what a poll or a webhook found. err means that the
// repository did not answer at all: every application of it gets the error as a
// condition, and keeps its last good state.
func (d *Delivery) RepositoryResolved(repoURL string, heads map[string]Head, err error) {
	d.mu.Lock()
	known := d.heads[repoURL]
	if known == nil {
		known = map[string]Head{}
		d.heads[repoURL] = known
	}
	changed := map[string]bool{}
	note := func(revision string, h Head) {
		old, seen := known[revision]
		if h.Err != nil {
			h.Commit = old.Commit // the last good one stays in force
		}
		if !seen || old.Commit != h.Commit || errorText(old.Err) != errorText(h.Err) {
			changed[revision] = true
		}
		known[revision] = h
	}
	if err != nil {
		for revision := range known {
			note(revision, Head{Err: err})
		}
		for revision := range heads {
			note(revision, Head{Err: err})
		}
		if errorText(d.silent[repoURL]) != errorText(err) {
			d.noteUnresolved(repoURL)
		}
		d.silent[repoURL] = err
	} else {
		delete(d.silent, repoURL)
		for revision, h := range heads {
			note(revision, h)
		}
	}
	d.mu.Unlock()
	if len(changed) > 0 {
		d.markRepository(repoURL, changed)
	}
}

// noteUnresolved notes the applications that wait for a revision of the
// repository to be resolved for the first time. d.mu is held.
func (d *Delivery) noteUnresolved(repoURL string) {
	for uid, app := range d.apps {
		for _, s := range app.Application.Spec.AllSources() {
			if _, resolved := d.heads[repoURL][revisionOf(s)]; s.RepoURL == repoURL && !resolved {
				d.note(uid, false)
			}
		}
	}
	d.signal()
}

// markRepository notes the applications that follow one of the revisions.
func (d *Delivery) markRepository(repoURL string, revisions map[string]bool) {
	d.mu.Lock()
	for uid, app := range d.apps {
		for _, s := range app.Application.Spec.AllSources() {
			if s.RepoURL == repoURL && revisions[revisionOf(s)] {
				d.note(uid, false)
			}
		}
	}
	d.mu.Unlock()
	d.signal()
}

// ApplicationsWritten notes that applications were created, changed or deleted.
func (d *Delivery) ApplicationsWritten(uids ...model.AppUID) {
	d.mu.Lock()
	d.reload = true
	for _, uid := range uids {
		d.note(uid, true)
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
			d.note(uid, true)
		}
	}
	d.mu.Unlock()
	d.signal()
}

// note needs d.mu.
func (d *Delivery) note(uid model.AppUID, force bool) {
	d.dirty[uid] = look{force: force || d.dirty[uid].force}
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
	d.mu.Unlock()

	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if err != nil {
			d.reload = true // what the index remembers may not have been written
			for uid, l := range taken {
				d.note(uid, l.force)
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
	if len(taken) == 0 {
		return false, nil
	}
	return false, d.lookAt(ctx, taken)
}

// loadApplications reads the index again and puts the watched revisions in
// place. It returns applications that were not known before.
func (d *Delivery) loadApplications(ctx context.Context) (fresh []model.AppUID, err error) {
	list, err := d.Store.Applications(ctx)
	if err != nil {
		return nil, err
	}
	index := make(map[model.AppUID]fleet.App, len(list))
	watch := map[string]map[string]bool{}
	for _, app := range list {
		index[app.UID] = app
		if app.Deleting {
			continue
		}
		for _, s := range app.Application.Spec.AllSources() {
			if watch[s.RepoURL] == nil {
				watch[s.RepoURL] = map[string]bool{}
			}
			watch[s.RepoURL][revisionOf(s)] = true
		}
	}
	d.mu.Lock()
	for uid := range index {
		if _, ok := d.apps[uid]; !ok {
			fresh = append(fresh, uid)
		}
	}
	d.apps = index
	for repo, revisions := range d.heads {
		for revision := range revisions {
			if !watch[repo][revision] {
				delete(revisions, revision)
			}
		}
		if len(revisions) == 0 {
			delete(d.heads, repo)
		}
	}
	maps.DeleteFunc(d.silent, func(repo string, _ error) bool { return watch[repo] == nil })
	d.mu.Unlock()

	set := make(map[string][]string, len(watch))
	for repo, revisions := range watch {
		set[repo] = slices.Sorted(maps.Keys(revisions))
	}
	d.Watcher.SetRevisions(set)
	return fresh, nil
}

func (d *Delivery) head(s model.Source) (Head, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h, ok := d.heads[s.RepoURL][revisionOf(s)]; ok {
		return h, true
	}
	err, silent := d.silent[s.RepoURL]
	return Head{Err: err}, silent
}

func revisionOf(s model.Source) string {
	if s.TargetRevision == "" {
		return "HEAD"
	}
	return s.TargetRevision
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

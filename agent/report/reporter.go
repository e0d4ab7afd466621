package report

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// tick is the least time between two batches of reports. The first change
	// after a quiet time is reported at once.
	tick = 50 * time.Millisecond
	// resendAfter: a report that the hub did not acknowledge for so long is
	// built and sent again.
	resendAfter = 30 * time.Second
	// maxBatch bounds the bytes handed to the sender in one call.
	maxBatch = 1 << 20
)

// Objects are the live facts that trees are made of. Its methods do not block.
type Objects interface {
	Get(key model.ObjectKey) (live.Record, live.Presence)
	Children(uid string) []live.Record
}

// Sender takes reports on their way to the hub. It must not wait for the
// network. What it drops because no session is open is sent again after
// SessionOpened.
type Sender interface {
	Reports([]model.AppReport)
}

// Options configure a Reporter.
type Options struct {
	// Apps lists the applications to report when a session opens.
	Apps func() []model.AppUID
	// Status answers what is known of an application, with differences already
	// redacted; false when the agent does not hold it any more.
	Status  func(app model.AppUID) (model.AppStatus, bool)
	Objects Objects
	// Orphans answers objects near an application that no application owns, some
	// of total; nil: nobody looks for them.
	Orphans func(app model.AppUID) (listed []model.TreeNode, total int)
	Sender  Sender
	// ObservedAt is the time at which every Status still held, earlier than now
	// while watches are broken or news from the cluster waits to be worked into
	// a status; nil means now. It is asked before the status is.
	ObservedAt func() time.Time
	// Trace hands out, once, the place in a trace that the next report of an
	// application carries on; nil: there are none.
	Trace func(app model.AppUID) string
	Now   func() time.Time // time.Now when nil
	Log   *slog.Logger
}

// Reporter builds reports. Its methods may be called from several goroutines
// and never wait for the network.
type Reporter struct {
	o    Options
	seed maphash.Seed
	wake chan struct{}

	mu      sync.Mutex
	open    bool   // a session is open
	session uint64 // counts sessions
	seq     uint64 // of the last report
	// flushing is the time of the oldest change in the batch that is being
	// built, zero when none is.
	flushing time.Time
	apps     map[model.AppUID]*state
}

// state is what is remembered of one application.
type state struct {
	dirty   time.Time // of the first change since the last report, zero for none
	session uint64    // the session that status and tree were said in
	status  uint64    // hash of the last status said
	tree    uint64    // hash of the last tree said
	seq     uint64    // of the last report that is not acknowledged, 0 for none
	sentAt  time.Time // of that report
}

// New makes a Reporter.
func New(o Options) *Reporter {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Reporter{o: o, seed: maphash.MakeSeed(), wake: make(chan struct{}, 1), apps: map[model.AppUID]*state{}}
}

// Changed marks applications whose status or tree may have changed.
func (r *Reporter) Changed(apps ...model.AppUID) { r.ChangedSince(r.o.Now(), apps...) }

// ChangedSince marks applications whose status or tree changed at a time that
// has passed: until they are reported, nothing later is confirmed.
func (r *Reporter) ChangedSince(at time.Time, apps ...model.AppUID) {
	r.mu.Lock()
	for _, app := range apps {
		r.markLocked(app, at)
	}
	r.mu.Unlock()
	r.poke()
}

func (r *Reporter) markLocked(app model.AppUID, at time.Time) {
	s := r.apps[app]
	if s == nil {
		s = &state{}
		r.apps[app] = s
	}
	if s.dirty.IsZero() || at.Before(s.dirty) {
		s.dirty = at
	}
}

func (r *Reporter) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// SessionOpened starts a session: everything is reported once, with trees.
func (r *Reporter) SessionOpened() {
	now := r.o.Now()
	apps := r.o.Apps()
	r.mu.Lock()
	r.open = true
	r.session++
	for _, s := range r.apps { // also those that Apps does not list any more
		s.seq = 0
	}
	for _, app := range apps {
		r.markLocked(app, now)
	}
	r.mu.Unlock()
	r.poke()
}

// SessionClosed stops reporting until the next SessionOpened. Changes are still
// remembered.
func (r *Reporter) SessionClosed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = false
}

// ReportAck says that the hub has stored, or superseded, every report up to seq.
func (r *Reporter) ReportAck(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.apps {
		if s.seq != 0 && s.seq <= seq {
			s.seq = 0
		}
	}
}

// Confirmed is the content of a heartbeat: every report up to seq still held at
// the time at. It is earlier than now while a change waits to be reported, or
// while the cluster cannot be observed.
func (r *Reporter) Confirmed() (seq uint64, at time.Time) {
	at = r.observedAt()
	r.mu.Lock()
	defer r.mu.Unlock()
	at = earlier(at, r.flushing)
	for _, s := range r.apps {
		at = earlier(at, s.dirty)
	}
	return r.seq, at
}

// earlier returns the earlier of two times; a zero b is none.
func earlier(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (r *Reporter) observedAt() time.Time {
	now := r.o.Now()
	if r.o.ObservedAt == nil {
		return now
	}
	return earlier(now, r.o.ObservedAt())
}

// Run builds and hands over reports until ctx ends.
func (r *Reporter) Run(ctx context.Context) error {
	resend := time.NewTicker(resendAfter / 3)
	defer resend.Stop()
	pause := time.NewTimer(0)
	if !pause.Stop() {
		<-pause.C
	}
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-resend.C:
			if !r.overdue() {
				continue
			}
		case <-r.wake:
		}
		r.flush()
		pause.Reset(tick)
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
	}
}

// overdue marks applications whose report was not acknowledged in time; it
// reports whether there are any.
func (r *Reporter) overdue() bool {
	now := r.o.Now()
	found := false
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open {
		return false
	}
	for app, s := range r.apps {
		if s.seq != 0 && now.Sub(s.sentAt) >= resendAfter {
			s.session, s.seq = 0, 0 // say it again, whole
			r.markLocked(app, now)
			found = true
		}
	}
	return found
}

// flush reports every application that is marked.
func (r *Reporter) flush() {
	r.mu.Lock()
	if !r.open {
		r.mu.Unlock()
		return
	}
	session := r.session
	var pending []model.AppUID
	for app, s := range r.apps {
		if s.dirty.IsZero() {
			continue
		}
		if r.flushing.IsZero() || s.dirty.Before(r.flushing) {
			r.flushing = s.dirty
		}
		s.dirty = time.Time{} // what changes from here on marks it again
		pending = append(pending, app)
	}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.flushing = time.Time{}
		r.mu.Unlock()
	}()

	var batch []model.AppReport
	size := 0
	hand := func() {
		if len(batch) > 0 {
			r.o.Sender.Reports(batch)
			batch, size = nil, 0
		}
	}
	for _, app := range pending {
		rep, bytes, ok := r.build(app, session)
		if !ok {
			continue
		}
		if size+bytes > maxBatch {
			hand()
		}
		batch = append(batch, rep)
		size += bytes
	}
	hand()
}

// build makes the report of one application; ok is false when there is nothing
// to say.
func (r *Reporter) build(app model.AppUID, session uint64) (rep model.AppReport, size int, ok bool) {
	observed := r.observedAt()
	status, held := r.o.Status(app)
	if !held {
		r.mu.Lock()
		if s := r.apps[app]; s != nil && s.dirty.IsZero() {
			delete(r.apps, app)
		}
		r.mu.Unlock()
		return model.AppReport{}, 0, false
	}
	statusJSON := bound(&status)
	tree := buildTree(r.o.Objects, status.Resources)
	if r.o.Orphans != nil {
		tree.Orphaned, tree.OrphanedTotal = r.o.Orphans(app)
	}
	tree, treeJSON := fit(*manifest.GuardTree(&tree), MaxReport-len(statusJSON))
	statusHash := maphash.Bytes(r.seed, statusJSON)
	treeHash := maphash.Bytes(r.seed, treeJSON)

	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.apps[app]
	if s == nil || r.session != session {
		if s != nil && s.dirty.IsZero() {
			s.dirty = r.o.Now() // the next session says it
		}
		return model.AppReport{}, 0, false
	}
	again := s.session != session
	if !again && s.status == statusHash && s.tree == treeHash {
		return model.AppReport{}, 0, false
	}
	r.seq++
	rep = model.AppReport{App: app, Seq: r.seq, Generation: status.Generation, ObservedAt: observed, Status: status}
	if r.o.Trace != nil {
		rep.TraceParent = r.o.Trace(app)
	}
	size = len(statusJSON)
	if again || s.tree != treeHash {
		rep.Tree = &tree
		size += len(treeJSON)
	}
	s.session, s.status, s.tree = session, statusHash, treeHash
	s.seq, s.sentAt = r.seq, r.o.Now()
	return rep, size, true
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only plain values of package model are in it
	}
	return b
}

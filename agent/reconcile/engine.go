package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	gosync "sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// Journal is the agent's durable memory, journal.Store. Its methods do not wait
// for the cluster.
type Journal interface {
	Update(journal.Urgency, func(*journal.Book) journal.Change) *journal.Flight
	View(func(*journal.Book))
	Hello() model.Hello
	PutBundle(model.Digest, []byte) error
	Bundle(model.Digest) ([]byte, bool)
	Lost(model.AppUID) bool
	Err() error
	Conditions() []model.Condition
}

// Observer is what is seen of the cluster, observe.Observer. Only
// RefreshDiscovery waits.
type Observer interface {
	Get(model.ObjectKey) (live.Record, live.Presence)
	Gone(model.ObjectKey) (live.Record, bool)
	AppsOf(model.ObjectKey) []string
	Kind(model.GroupKind) (live.Kind, error)
	RefreshDiscovery(context.Context) error
	Saw(obj []byte) error
	Watch(...model.GroupKind)
	Synced(model.GroupKind) bool
	Subscribe(func(live.Event))
	OnKind(func(model.GroupKind))
}

// Operations is the way to the hub for what becomes of operations, link.Link.
// It must not wait for the network.
type Operations interface {
	Operation(model.OperationUpdate)
}

// Reports is told what changed, report.Reporter. Its methods do not wait.
type Reports interface {
	Changed(...model.AppUID)
	// ChangedSince is Changed for what changed at a time that has passed.
	ChangedSince(time.Time, ...model.AppUID)
	SessionOpened()
	SessionClosed()
	ReportAck(seq uint64)
}

// Options configure an Engine. All fields without a default are required.
type Options struct {
	Journal    Journal
	Observer   Observer
	Applier    sync.Applier
	Actions    Actions // nil: there are none
	Operations Operations
	Reports    Reports
	// Fence answers from memory whether effects are allowed: the Lease is held.
	Fence func() error
	// ClusterName is for messages about applications that do not say it.
	ClusterName string
	// OwnNamespace is the agent's own, which it does not observe: objects in it
	// are refused. "": there is none.
	OwnNamespace string
	// Namespaces are the only ones that are observed, when there are any: objects
	// elsewhere, and those without a namespace, are refused.
	Namespaces []string
	// RedactionKey masks values of Secrets in differences; it should be random
	// for each cluster.
	RedactionKey []byte
	// Workers is how many applications are worked on at a time, 8 when zero;
	// Requests how many writes are under way at a time, 16 when zero.
	Workers, Requests int
	// SyncedTimeout bounds how long an application waits for its kinds to be
	// observed before it is synced as far as possible; 30 s when zero.
	SyncedTimeout time.Duration
	// Changed is called when what Throttled answers begins or ends; it must not wait.
	Changed func()
	// Moved is called when an application came or went, or desires other objects than
	// before; it must not wait. nil: nobody is told.
	Moved func()
	// Runs is told of runs that have ended; nil: nobody is. Tracer makes spans; nil: none.
	Runs   RunObserver
	Tracer trace.Tracer
	Log    *slog.Logger
	Now    func() time.Time // time.Now when nil
}

// Engine runs the applications of one cluster. It implements link.Handler; its
// methods may be called from several goroutines. Run owns all its goroutines.
type Engine struct {
	o     Options
	log   *slog.Logger
	now   func() time.Time
	exec  *sync.Executor
	queue *queue
	slots chan struct{} // a token for each worker that is not waiting
	news  *news

	rules   rules
	schemas schemas
	care    care

	mu     gosync.Mutex
	apps   map[model.AppUID]*app
	byName map[string]model.AppUID
	owners map[model.ObjectKey]model.AppUID // by desired object
	// rivals desire an object of which another is the owner: it goes to one of
	// them when that one lets go.
	rivals map[model.ObjectKey][]model.AppUID
	ctx    context.Context // of Run; nil before
	wg     gosync.WaitGroup
}

// New makes an Engine.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Moved == nil {
		o.Moved = func() {}
	}
	o.Tracer = tracing.Or(o.Tracer)
	if o.Workers == 0 {
		o.Workers = 8
	}
	if o.Requests == 0 {
		o.Requests = 16
	}
	if o.SyncedTimeout == 0 {
		o.SyncedTimeout = 30 * time.Second
	}
	e := &Engine{
		o: o, log: o.Log, now: o.Now,
		queue: newQueue(o.Now), slots: make(chan struct{}, o.Workers), news: newNews(),
		apps: map[model.AppUID]*app{}, byName: map[string]model.AppUID{}, owners: map[model.ObjectKey]model.AppUID{},
		rivals: map[model.ObjectKey][]model.AppUID{},
	}
	e.exec = &sync.Executor{
		Applier: o.Applier, Live: liveView{Observer: o.Observer, engine: e}, Governor: sync.NewGovernor(o.Requests, o.Now), Fence: e.fence,
	}
	e.exec.Governor.Changed = o.Changed
	o.Observer.Subscribe(e.onEvent)
	o.Observer.OnKind(e.onKind)
	return e
}

// fence allows effects: the Lease is held and nobody else writes the journal.
func (e *Engine) fence() error {
	if err := e.o.Journal.Err(); err != nil {
		return err
	}
	return e.o.Fence()
}

// errStopping is why runs end when the agent does.
var errStopping = errors.New("the agent is stopping")

// Run works until ctx ends, and returns when every effect has ended. It begins
// with what the journal holds.
func (e *Engine) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errStopping)
	e.mu.Lock()
	e.ctx = ctx
	e.mu.Unlock()
	e.wg.Go(func() { e.calm(ctx) })
	e.beginCarefully(ctx)
	var held []model.AppUID
	e.o.Journal.View(func(b *journal.Book) {
		for uid, r := range b.Apps {
			if r.Gone == nil {
				held = append(held, uid)
			}
		}
	})
	for _, uid := range held {
		e.touchAll(uid)
	}
	for {
		uid, ok := e.queue.get(ctx)
		if !ok {
			break
		}
		select {
		case e.slots <- struct{}{}:
		case <-ctx.Done():
			e.queue.done(uid)
			continue
		}
		e.wg.Go(func() {
			defer func() { <-e.slots }()
			defer e.queue.done(uid)
			e.work(ctx, uid)
		})
	}
	e.queue.close()
	e.wg.Wait()
	return nil
}

// onEvent marks what an event touches. It is called by the observer and must be
// quick.
func (e *Engine) onEvent(ev live.Event) {
	now := e.now()
	if ev.SpecChanged && ev.Key.GroupKind() == kindCRD {
		e.schemas.forget(model.GroupKind{}) // which one it was does not matter: they are read again when needed
	}
	e.mu.Lock()
	uids := make([]model.AppUID, 0, 2)
	if uid, ok := e.owners[ev.Key]; ok {
		uids = append(uids, uid)
		uids = append(uids, e.rivals[ev.Key]...)
	}
	for _, name := range ev.Apps {
		if uid, ok := e.byName[name]; ok && !slices.Contains(uids, uid) {
			uids = append(uids, uid)
		}
	}
	apps := make([]*app, len(uids))
	for i, uid := range uids {
		apps[i] = e.apps[uid]
	}
	var trees []model.AppUID
	for _, name := range ev.TreeOf {
		if uid, ok := e.byName[name]; ok {
			trees = append(trees, uid)
		}
	}
	e.mu.Unlock()
	if len(trees) > 0 {
		e.o.Reports.Changed(trees...)
	}
	for i, a := range apps {
		if a == nil {
			continue
		}
		a.move()
		a.sawEvent(now)
		if ev.SpecChanged || ev.Deleted {
			a.touch(ev.Key)
			e.queue.add(uids[i])
			continue
		}
		// Only health moved. Nobody acts on it, so a burst may gather.
		e.queue.addAt(uids[i], now.Add(healthDelay))
	}
	e.news.publish()
}

const healthDelay = 20 * time.Millisecond

// onKind compares anew what depends on a kind that became known, or unknown.
func (e *Engine) onKind(gk model.GroupKind) {
	now := e.now()
	e.schemas.forget(gk)
	e.mu.Lock()
	var uids []model.AppUID
	for uid, a := range e.apps {
		if a.concerns(gk) {
			a.mu.Lock()
			a.kindsMoved = true
			a.mu.Unlock()
			a.sawEvent(now)
			uids = append(uids, uid)
		}
	}
	e.mu.Unlock()
	for _, uid := range uids {
		e.touchAll(uid)
	}
	e.news.publish()
}

// touchAll asks for a comparison of a whole application.
func (e *Engine) touchAll(uid model.AppUID) {
	e.app(uid).touchAll()
	e.queue.add(uid)
}

// app returns the state of an application, making it.
func (e *Engine) app(uid model.AppUID) *app {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.apps[uid]
	if a == nil {
		a = newApp(uid)
		e.apps[uid] = a
	}
	return a
}

// Apps lists the applications that the agent holds.
func (e *Engine) Apps() []model.AppUID {
	var uids []model.AppUID
	e.o.Journal.View(func(b *journal.Book) {
		for uid, r := range b.Apps {
			if r.Gone == nil && r.Desired != nil {
				uids = append(uids, uid)
			}
		}
	})
	return uids
}

// Owned reports whether an application that the agent holds desires an object, or
// is the one that the object is tracked as, "" for none. It does not wait.
func (e *Engine) Owned(key model.ObjectKey, trackedAs string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, desired := e.owners[key]
	_, held := e.byName[trackedAs]
	return desired || held
}

// Settled reports whether every application that the agent holds was looked at, so
// that Owned knows of all of them. It does not wait; Moved tells of each.
func (e *Engine) Settled() bool {
	for _, uid := range e.Apps() {
		if _, known := e.Status(uid); !known {
			return false
		}
	}
	return true
}

// Throttled says how often the API server has refused or failed writes, see
// sync.Governor.
func (e *Engine) Throttled() (times int, since time.Time) { return e.exec.Governor.Throttled() }

// Unprocessed is the time of the oldest news from the cluster that no published
// status shows yet, zero when there is none. It does not wait.
func (e *Engine) Unprocessed() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	var at time.Time
	for _, a := range e.apps {
		at = oldest(at, a.oldestUnseen())
	}
	return at
}

// index makes the objects of an application findable by events. Who desired an
// object that the application lets go is woken.
func (e *Engine) index(a *app, name string, objs []sync.Prepared) {
	e.mu.Lock()
	next := make(map[model.ObjectKey]bool, len(objs))
	for _, p := range objs {
		next[p.Key] = true
	}
	heirs := e.release(a, next)
	before := make(map[model.ObjectKey]bool, len(a.indexed))
	for _, k := range a.indexed {
		before[k] = true
	}
	// A slice, as it is kept for every application.
	a.indexed = make([]model.ObjectKey, 0, len(next))
	for k := range next {
		a.indexed = append(a.indexed, k)
		if before[k] {
			continue
		}
		if _, taken := e.owners[k]; taken {
			e.rivals[k] = append(e.rivals[k], a.uid)
		} else {
			e.owners[k] = a.uid
		}
	}
	if a.name != "" && a.name != name && e.byName[a.name] == a.uid {
		delete(e.byName, a.name)
	}
	a.name = name
	e.byName[name] = a.uid
	e.mu.Unlock()
	e.o.Moved()
	e.inherit(heirs)
}

// inherit has applications looked at that own objects now which another has let
// go. They may have given up syncing because of it.
func (e *Engine) inherit(heirs []model.AppUID) {
	for _, uid := range heirs {
		e.o.Journal.Update(journal.Lazy, func(b *journal.Book) journal.Change { return b.ForgetFailure(uid) })
		e.touchAll(uid)
	}
}

// release takes back what the application has indexed and does not keep, and
// answers the applications that own some of it now. e.mu is held.
func (e *Engine) release(a *app, keep map[model.ObjectKey]bool) (heirs []model.AppUID) {
	for _, k := range a.indexed {
		if keep[k] {
			continue
		}
		waiting := slices.DeleteFunc(e.rivals[k], func(uid model.AppUID) bool { return uid == a.uid })
		if e.owners[k] == a.uid {
			delete(e.owners, k)
			if len(waiting) > 0 {
				heir := waiting[0]
				e.owners[k], waiting = heir, waiting[1:]
				if !slices.Contains(heirs, heir) {
					heirs = append(heirs, heir)
				}
			}
		}
		if len(waiting) == 0 {
			delete(e.rivals, k)
		} else {
			e.rivals[k] = waiting
		}
	}
	return heirs
}

// forget drops an application that the agent does not hold any more.
func (e *Engine) forget(uid model.AppUID) {
	e.mu.Lock()
	var heirs []model.AppUID
	if a := e.apps[uid]; a != nil {
		heirs = e.release(a, nil)
		if e.byName[a.name] == uid {
			delete(e.byName, a.name)
		}
		delete(e.apps, uid)
	}
	e.mu.Unlock()
	e.o.Moved()
	e.inherit(heirs)
}

// news wakes those who wait for something to become true in the cluster.
type news struct {
	mu gosync.Mutex
	ch chan struct{}
	n  int // waiters since the last publication
}

func newNews() *news { return &news{ch: make(chan struct{})} }

func (n *news) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.n++
	return n.ch
}

func (n *news) publish() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.n == 0 {
		return
	}
	close(n.ch)
	n.ch, n.n = make(chan struct{}), 0
}

// liveView is the observer as sync.Live.
type liveView struct {
	Observer
	engine *Engine
}

// Await gives the worker's token away while it waits, so that waves that take
// long do not keep other applications from being worked on. While it waits the
// application is not being worked on.
func (v liveView) Await(ctx context.Context, cond func() bool) error {
	e := v.engine
	changed := e.news.next()
	if cond() {
		return nil
	}
	resume := e.pause(ctx)
	<-e.slots
	defer func() {
		e.slots <- struct{}{}
		resume()
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
		changed = e.news.next()
		if cond() {
			return nil
		}
	}
}

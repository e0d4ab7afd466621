package reconcile

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	gosync "sync"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// app is what the engine remembers of one application besides the journal. The
// fields below the first group belong to the worker that holds the application;
// there is at most one.
type app struct {
	uid model.AppUID

	mu         gosync.Mutex
	all        bool // compare everything
	touched    map[model.ObjectKey]bool
	kinds      []model.GroupKind
	gaps       bool                    // some kind is not known
	kindsMoved bool                    // what kinds there are changed since
	moved      bool                    // some object changed since hasMoved
	unseen     time.Time               // of the oldest event that no status shows, zero for none
	showing    time.Time               // the same, of the status that is being computed
	flight     *journal.Flight         // what the journal has not stored yet
	held       *held                   // what it has stored, while there is a flight
	cancel     context.CancelCauseFunc // of the run under way, nil for none
	running    runKind
	opID       model.OperationID
	hooking    bool      // a hook of the run under way is being waited for
	newer      time.Time // when a desired state came that the run gives way to
	activity   string    // what the run under way waits for, for people
	status     model.AppStatus
	known      bool    // status was computed
	traced     *traced // a run whose success is not seen yet, nil for most
	carried    string  // what the next report says of it, "" for most

	// Guarded by Engine.mu.
	name    string
	indexed []model.ObjectKey // no key twice

	bundle     model.Digest // that objects were prepared from
	target     string       // and what else they depend on
	objects    []sync.Prepared
	bundleErr  error
	judged     map[model.ObjectKey]judgement
	terms      terms // by which judged was found
	heals      map[model.ObjectKey]healing
	conditions []model.Condition // of the last sync
	// healConditions are of the last self-heal.
	healConditions []model.Condition
	waitSince      time.Time      // for kinds to be observed
	withdrawing    model.Withdraw // that was worked on last
	withdrawAt     time.Time
	unapproved     []model.ObjectKey                        // that a withdrawal waits for an approval of
	withdraws      int                                      // fruitless rounds of a withdrawal
	removed        map[model.ObjectKey]model.ResourceResult // by a withdrawal
}

type runKind int

const (
	runNone runKind = iota
	runAuto
	runHeal
	runOperation
	runWithdraw
)

// terms are what comparisons go by besides the objects themselves and the rules of
// the fleet.
type terms struct {
	ignore    []model.IgnoreDifferences
	options   []string
	sensitive []model.SensitiveFields
}

func termsOf(d *model.Desired) terms {
	t := terms{ignore: d.Spec.IgnoreDifferences, sensitive: d.ProjectSpec.SensitiveFields}
	if d.Spec.SyncPolicy != nil {
		t.options = d.Spec.SyncPolicy.SyncOptions
	}
	return t
}

func newApp(uid model.AppUID) *app {
	return &app{uid: uid, all: true, touched: map[model.ObjectKey]bool{}, judged: map[model.ObjectKey]judgement{}, heals: map[model.ObjectKey]healing{}}
}

func (a *app) touch(k model.ObjectKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.all {
		a.touched[k] = true
	}
}

func (a *app) touchAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = true
	clear(a.touched)
}

// move notes that an object of the application changed.
func (a *app) move() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.moved = true
}

// sawEvent notes the time of an event that no status shows yet.
func (a *app) sawEvent(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unseen.IsZero() || at.Before(a.unseen) {
		a.unseen = at
	}
}

// oldestUnseen is the time of the oldest event that no published status shows.
func (a *app) oldestUnseen() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return oldest(a.unseen, a.showing)
}

// show begins a status that shows every event up to now, and answers the time
// of the oldest of them, zero for none. shown ends it, when it is published.
func (a *app) show() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.showing, a.unseen = oldest(a.unseen, a.showing), time.Time{}
	return a.showing
}

func (a *app) shown() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.showing = time.Time{}
}

// oldest returns the earlier of two times; zero is none.
func oldest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// hasMoved reports whether one did since it was asked last.
func (a *app) hasMoved() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	moved := a.moved
	a.moved = false
	return moved
}

// watches adds kinds whose news matter.
func (a *app) watches(kinds ...model.GroupKind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := slices.Clone(a.kinds)
	for _, gk := range kinds {
		if !slices.Contains(next, gk) {
			next = append(next, gk)
		}
	}
	a.kinds = next
}

// take hands out what is to be compared.
func (a *app) take() (all bool, keys map[model.ObjectKey]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all, keys = a.all, a.touched
	a.all = false
	a.touched = map[model.ObjectKey]bool{}
	return all, keys
}

// concerns reports whether news about a kind matter; the zero kind stands for
// news about all.
func (a *app) concerns(gk model.GroupKind) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.kinds, gk) || gk == (model.GroupKind{}) && a.gaps
}

// desires reports whether the desired state names the object. Only the worker
// asks, and only it changes objects.
func (a *app) desires(k model.ObjectKey) bool {
	return slices.ContainsFunc(a.objects, func(p sync.Prepared) bool { return p.Key == k })
}

// stored reports whether the journal has stored everything about the
// application that effects rest on, or has given up: the fence knows that.
func (a *app) stored() bool {
	a.mu.Lock()
	f := a.flight
	a.mu.Unlock()
	if f == nil {
		return true
	}
	select {
	case <-f.Done():
		return true
	default:
		return false
	}
}

// begin registers a run, so that it can be cancelled.
func (a *app) begin(ctx context.Context, kind runKind, op model.OperationID) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	a.mu.Lock()
	a.cancel, a.running, a.opID = cancel, kind, op
	a.hooking, a.newer, a.activity = false, time.Time{}, ""
	a.mu.Unlock()
	return ctx, func() {
		a.mu.Lock()
		a.cancel, a.running, a.opID = nil, runNone, ""
		a.activity = ""
		a.mu.Unlock()
		cancel(nil)
	}
}

// interrupt cancels the run under way if it is of one of the kinds.
func (a *app) interrupt(cause error, kinds ...runKind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cancel != nil && slices.Contains(kinds, a.running) {
		a.cancel(cause)
	}
}

// giveWay ends an automated run for a newer desired state. One of which a hook is
// under way goes on until that has ended, at most hookGrace: what a hook does,
// as a migration, is not to be cut off half way.
func (a *app) giveWay(now time.Time) (later bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.cancel == nil || a.running != runAuto && a.running != runHeal:
	case a.hooking:
		if a.newer.IsZero() {
			a.newer = now
		}
		return true
	default:
		a.cancel(errNewer)
	}
	return false
}

// hookGrace is how long a newer desired state waits for a hook of the run before.
const hookGrace = 10 * time.Minute

// yield notes whether a hook is under way, and says whether the run has to end.
func (a *app) yield(hooks bool, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hooking = hooks
	if !a.newer.IsZero() && (!hooks || now.Sub(a.newer) >= hookGrace) {
		return errNewer
	}
	return nil
}

func (a *app) doing() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.activity
}

// snapshot is one application's record as a worker sees it.
type snapshot struct {
	gone      bool
	held      bool // what is newer is not stored yet
	name      string
	desired   *model.Desired
	withdraw  *model.Withdraw
	op        *journal.Operation // that may run now
	pending   *journal.Operation // that waits for its generation, or op
	lastOp    *model.OperationUpdate
	inventory []journal.Owned
	synced    *journal.Synced
	attempt   *journal.Attempt
	confirmed bool
	history   []model.HistoryEntry
	run       *journal.Run
	hooks     []journal.Owned
}

func (e *Engine) snapshot(uid model.AppUID) snapshot {
	s := snapshot{gone: true}
	e.o.Journal.View(func(b *journal.Book) {
		r := b.Apps[uid]
		if r == nil || r.Gone != nil {
			return
		}
		s = snapshot{name: r.Name, desired: r.Desired, withdraw: r.Withdraw, inventory: slices.Clone(r.Inventory),
			confirmed: r.Confirmed(), history: slices.Clone(r.History), hooks: slices.Clone(r.Hooks)}
		if r.Run != nil {
			s.run = &journal.Run{ID: r.Run.ID, Hooks: slices.Clone(r.Run.Hooks), Started: slices.Clone(r.Run.Started), Over: r.Run.Over}
		}
		if op, ok := r.Ready(); ok {
			c := *op
			s.op = &c
		}
		if r.Op != nil {
			c := *r.Op
			s.pending = &c
		}
		if r.LastOp != nil {
			c := *r.LastOp
			s.lastOp = &c
		}
		if r.Synced != nil {
			c := *r.Synced
			s.synced = &c
		}
		if r.Attempt != nil {
			c := *r.Attempt
			s.attempt = &c
		}
	})
	return s
}

// prepare makes the objects of the desired bundle ready, unless they are.
func (e *Engine) prepare(a *app, s snapshot) {
	if s.desired == nil {
		return
	}
	d := s.desired
	target := targetOf(d, e.o.ClusterName)
	id := d.Name + "\x00" + target.Namespace + "\x00" + target.ClusterName
	for _, o := range target.SyncOptions {
		id += "\x00" + o
	}
	a.mu.Lock()
	moved := a.gaps && a.kindsMoved
	a.kindsMoved = false
	a.mu.Unlock()
	if now := termsOf(d); !reflect.DeepEqual(a.terms, now) {
		// What was found may be ignored now, or show values that are to be hidden.
		a.terms = now
		clear(a.judged)
		a.touchAll()
	}
	if a.bundle == d.Bundle && a.target == id && a.bundleErr == nil && !moved {
		return
	}
	objs, err := e.decode(d.Bundle)
	if err != nil {
		a.bundleErr = err
		e.index(a, d.Name, nil)
		return
	}
	// News about kinds that come while this looks must not be missed.
	a.mu.Lock()
	a.gaps = true
	a.mu.Unlock()
	gaps := false
	a.objects = e.refuseOwn(sync.Prepare(target, objs, func(gk model.GroupKind) (bool, bool) {
		k, err := e.o.Observer.Kind(gk)
		if err != nil {
			gaps = true
		}
		return k.Namespaced, err == nil
	}))
	a.bundle, a.target, a.bundleErr = d.Bundle, id, nil
	keep := make(map[model.ObjectKey]bool, len(a.objects))
	kinds := []model.GroupKind{}
	see := func(gk model.GroupKind) {
		if !slices.Contains(kinds, gk) {
			kinds = append(kinds, gk)
		}
	}
	for _, p := range a.objects {
		keep[p.Key] = true
		see(p.Key.GroupKind())
	}
	for k := range a.judged {
		if !keep[k] {
			delete(a.judged, k)
			delete(a.heals, k)
		}
	}
	if createsNamespace(d) {
		// Whether it is there must be known, or it is written once more.
		see(model.GroupKind{Kind: "Namespace"})
	}
	for _, o := range s.inventory {
		see(o.Key.GroupKind())
	}
	for _, o := range s.hooks {
		see(o.Key.GroupKind())
	}
	a.mu.Lock()
	a.gaps, a.kinds = gaps, kinds
	a.mu.Unlock()
	a.touchAll()
	e.index(a, d.Name, a.objects)
	e.o.Observer.Watch(kinds...)
}

// refuseOwn refuses objects in the agent's own namespace, and the Namespace itself:
// there are its identity and its journal, and it is not observed. Of an agent that
// looks only into some namespaces it refuses all that are not in these.
func (e *Engine) refuseOwn(prepared []sync.Prepared) []sync.Prepared {
	for i := range prepared {
		p := &prepared[i]
		ns := p.Key.Namespace
		if p.Key.GroupKind() == (model.GroupKind{Kind: "Namespace"}) {
			ns = p.Key.Name
		}
		if ns != "" && ns == e.o.OwnNamespace {
			p.Err = fault.New(fault.Denied, codeOwnNamespace, "it goes to namespace %q, which is the agent's own; nothing is deployed there", ns).
				WithFix("choose another destination namespace")
		} else if len(e.o.Namespaces) > 0 && !slices.Contains(e.o.Namespaces, p.Key.Namespace) {
			where := fmt.Sprintf("goes to namespace %q", p.Key.Namespace)
			if p.Key.Namespace == "" {
				where = "has no namespace"
			}
			p.Err = fault.New(fault.Denied, codeNotWatched, "it %s, and the agent is installed for %s only; nothing is deployed elsewhere", where, strings.Join(e.o.Namespaces, ", ")).
				WithFix("choose another destination, or install the agent for it: --watch-namespace, and the rights of its account there")
		}
	}
	return prepared
}

// createsNamespace reports whether each sync of the application sees to its
// namespace; an operation may ask for it besides.
func createsNamespace(d *model.Desired) bool {
	return strings.EqualFold(manifest.SyncOptions(syncOptions(d), manifest.Object{})["CreateNamespace"], "true")
}

const (
	codeOwnNamespace = "namespace_of_agent"
	codeNotWatched   = "namespace_not_watched"
)

func targetOf(d *model.Desired, cluster string) sync.Target {
	t := sync.Target{App: d.Name, Namespace: d.Spec.Namespace, ClusterName: d.Spec.ClusterName}
	if t.ClusterName == "" {
		t.ClusterName = cluster
	}
	if d.Spec.SyncPolicy != nil {
		t.SyncOptions = d.Spec.SyncPolicy.SyncOptions
	}
	return t
}

func (e *Engine) decode(digest model.Digest) ([]manifest.Object, error) {
	encoded, ok := e.o.Journal.Bundle(digest)
	if !ok {
		return nil, errBundleLost
	}
	return manifest.DecodeBundle(encoded, digest)
}

// unobserved lists the kinds of the application that the observer may come to
// know and does not yet.
func (e *Engine) unobserved(a *app) []model.GroupKind {
	a.mu.Lock()
	kinds := a.kinds
	a.mu.Unlock()
	var out []model.GroupKind
	for _, gk := range kinds {
		if !e.o.Observer.Synced(gk) {
			if _, err := e.o.Observer.Kind(gk); err == nil || !isKindUnknown(err) {
				out = append(out, gk)
			}
		}
	}
	return out
}

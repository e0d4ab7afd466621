package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// locker keeps Secrets in memory, as a cluster does.
type locker struct {
	mu      gosync.Mutex
	secrets map[string]journal.Secret
	n       int
	writes  int
	broken  bool
}

func (l *locker) List(context.Context) ([]journal.Secret, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Values(l.secrets), func(a, b journal.Secret) int { return cmp.Compare(a.Name, b.Name) }), nil
}

func (l *locker) Get(_ context.Context, name string) (journal.Secret, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.secrets[name]
	if !ok {
		return s, fault.New(fault.NotFound, "not_found", "no %s", name)
	}
	return s, nil
}

func (l *locker) Create(_ context.Context, s journal.Secret) (journal.Secret, error) { return l.put(s) }
func (l *locker) Update(_ context.Context, s journal.Secret) (journal.Secret, error) { return l.put(s) }

func (l *locker) put(s journal.Secret) (journal.Secret, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		return s, fault.New(fault.Unavailable, "cluster_unreachable", "the locker is full")
	}
	l.n++
	l.writes++
	s.ResourceVersion = fmt.Sprint(l.n)
	l.secrets[s.Name] = s
	return s, nil
}

func (l *locker) Delete(_ context.Context, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.secrets, name)
	return nil
}

// stored is what another agent would read.
func (l *locker) stored(t *testing.T) journal.Lives {
	t.Helper()
	s, err := journal.OpenStore(t.Context(), journal.StoreOptions{Secrets: l, Instance: "reader"})
	if err != nil {
		t.Fatal(err)
	}
	var lives journal.Lives
	s.View(func(b *journal.Book) { lives = b.Lives() })
	return lives
}

// desert is an Observer of a cluster without objects. Kind, which is asked when the
// manifests of an application are read, calls reading.
type desert struct {
	Observer
	reading func(kind string)
}

func (desert) Get(model.ObjectKey) (live.Record, live.Presence) { return live.Record{}, live.Absent }
func (desert) Gone(model.ObjectKey) (live.Record, bool)         { return live.Record{}, false }
func (desert) AppsOf(model.ObjectKey) []string                  { return nil }
func (desert) Watch(...model.GroupKind)                         {}
func (desert) Synced(model.GroupKind) bool                      { return true }
func (desert) Subscribe(func(live.Event))                       {}
func (desert) OnKind(func(model.GroupKind))                     {}
func (d desert) Kind(gk model.GroupKind) (live.Kind, error) {
	d.reading(gk.Kind)
	return live.Kind{Version: "v1", Resource: strings.ToLower(gk.Kind) + "s", Namespaced: true}, nil
}

// endless is an Applier whose writes take for ever.
type endless struct{ sync.Applier }

func (endless) Apply(ctx context.Context, _ sync.Write) ([]byte, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// crashing is an agent that is killed at will.
type crashing struct {
	t      *testing.T
	locker *locker
	store  *journal.Store
	engine *Engine
	ops    *opLog
	onKill func()
	kill   func()
}

// start begins a life, after one that ended as end says. reading is called while an
// application's manifests are read, with their kind.
func (l *locker) start(t *testing.T, end journal.End, reading func(kind string)) *crashing {
	t.Helper()
	store, err := journal.OpenStore(t.Context(), journal.StoreOptions{Secrets: l, Instance: "agent"})
	if err != nil {
		t.Fatal(err)
	}
	store.Update(journal.Urgent, func(b *journal.Book) journal.Change { return b.BeginLife(end, "1", time.Now()) })
	c := &crashing{t: t, locker: l, store: store, ops: &opLog{}, onKill: func() {}}
	c.engine = New(Options{Journal: store, Observer: desert{reading: reading}, Applier: endless{}, Operations: c.ops, Reports: noReports{},
		Fence: func() error { return nil }, ClusterName: "test"})
	// Killed is who writes no more: what is on its way is lost.
	ctx, cancel := context.WithCancel(t.Context())
	var wg gosync.WaitGroup
	wg.Go(func() { _ = store.Run(ctx) })
	wg.Go(func() { _ = c.engine.Run(ctx) })
	c.kill = gosync.OnceFunc(func() {
		l.mu.Lock()
		l.broken = true
		l.mu.Unlock()
		cancel()
		c.onKill()
		wg.Wait()
		l.mu.Lock()
		l.broken = false
		l.mu.Unlock()
	})
	t.Cleanup(c.kill)
	return c
}

// dieReading is a life that is killed while it reads the manifests of a kind. begun
// may have it do that.
func (l *locker) dieReading(t *testing.T, kind string, begun func(c *crashing)) {
	t.Helper()
	var mu gosync.Mutex
	armed, reached := begun == nil, false
	dead := make(chan struct{})
	c := l.start(t, suddenly, func(k string) {
		mu.Lock()
		dies := armed && k == kind
		reached = reached || dies
		mu.Unlock()
		if dies {
			<-dead
		}
	})
	c.onKill = func() { close(dead) }
	if begun != nil {
		time.Sleep(10 * time.Second)
		mu.Lock()
		armed = true
		mu.Unlock()
		begun(c)
	}
	time.Sleep(10 * time.Second)
	synctest.Wait()
	c.kill()
	if !reached {
		t.Fatalf("%s was not read", kind)
	}
}

// kindOfOwn is a desired state of an application with one object of a kind of its own.
func kindOfOwn(t *testing.T, name string, g model.Generation) (model.Desired, []byte) {
	return desired(t, name, name, g, nil, fmt.Sprintf("apiVersion: example.com/v1\nkind: %s\nmetadata: {name: x%d}\n", name, g))
}

func (c *crashing) deliver(name string, g model.Generation) error {
	c.t.Helper()
	d, bundle := kindOfOwn(c.t, name, g)
	acked := make(chan error, 1)
	c.engine.Desired(c.t.Context(), d, bundle, func(err error) { acked <- err })
	return <-acked
}

func lonely(t *testing.T, f func(t *testing.T)) {
	// What is shared by all is made outside of the bubble.
	d, bundle := kindOfOwn(t, "warm", 1)
	if _, err := manifest.DecodeBundle(bundle, d.Bundle); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, f)
}

var suddenly = journal.End{Unclean: true, Ran: time.Second}

// The first two ends cost nothing but the count; then each application is marked,
// alone, before its manifests are read, and all of them are worked on.
func TestACarefulEngineMarksWhatItReads(t *testing.T) {
	lonely(t, func(t *testing.T) {
		l := &locker{secrets: map[string]journal.Secret{}}
		names := []string{"One", "Two", "Three", "Four"}
		c := l.start(t, journal.End{}, func(string) {})
		if err := c.store.Update(journal.Urgent, func(b *journal.Book) journal.Change {
			ch, err := b.AcceptWelcome(model.Epoch{Incarnation: 1, Number: 1})
			if err != nil {
				t.Fatal(err)
			}
			return ch
		}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := c.deliver(name, 1); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		c.kill()

		over := false
		for life := 1; life <= 3; life++ {
			var mu gosync.Mutex
			var read []string
			inside := 0
			c = l.start(t, suddenly, func(kind string) {
				mu.Lock()
				inside++
				if inside > 1 && life > 1 {
					t.Errorf("life %d: %s is read beside another", life, kind)
				}
				if !slices.Contains(read, kind) {
					read = append(read, kind)
				}
				mu.Unlock()
				w := l.stored(t).Working
				if marked := slices.Equal(w, []journal.Work{{App: model.AppUID("uid-" + kind), Generation: 1}}); marked != (life > 1 && !over) {
					t.Errorf("life %d: while %s is read %+v is marked", life, kind, w)
				}
				mu.Lock()
				inside--
				mu.Unlock()
			})
			time.Sleep(10 * time.Second)
			synctest.Wait()
			slices.Sort(read)
			if want := slices.Sorted(slices.Values(names)); !slices.Equal(read, want) {
				t.Errorf("life %d: %v were worked on", life, read)
			}
			if w := l.stored(t).Working; len(w) != 0 {
				t.Errorf("life %d: marks are left: %+v", life, w)
			}
			if got := cap(c.engine.slots) - len(c.engine.slots); (got == 1) != (life > 1) {
				t.Errorf("life %d: %d may be worked on at a time", life, got)
			}
			if life < 3 {
				c.kill()
			}
		}
		// It runs well: the care ends, and nothing is written any more.
		time.Sleep(journal.GoodRun + 2*calmEvery)
		synctest.Wait()
		if got := l.stored(t); !got.Empty() {
			t.Errorf("after a good run the journal holds %+v", got)
		}
		if len(c.engine.slots) != 0 {
			t.Errorf("%d tokens are held back after a good run", len(c.engine.slots))
		}
		before := l.writes
		over = true
		c.engine.touchAll("uid-One")
		time.Sleep(time.Hour)
		synctest.Wait()
		if l.writes != before {
			t.Errorf("%d writes after the care has ended", l.writes-before)
		}
	})
}

// An application during which three agents ended is left alone, whatever asks for
// it but a new desired state or an operation, and the journal's trouble does not
// keep a careful engine from working.
func TestAnIsolatedApplicationIsLeftAlone(t *testing.T) {
	lonely(t, func(t *testing.T) {
		l := &locker{secrets: map[string]journal.Secret{}}
		c := l.start(t, journal.End{}, func(string) {})
		c.store.Update(journal.Urgent, func(b *journal.Book) journal.Change {
			ch, _ := b.AcceptWelcome(model.Epoch{Incarnation: 1, Number: 1})
			return ch
		})
		for _, name := range []string{"Good", "Bad"} {
			if err := c.deliver(name, 1); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		c.kill()
		for range 1 + journal.MaxDeaths { // an end in peace, one that is not marked, and these
			l.dieReading(t, "Bad", nil)
		}
		var mu gosync.Mutex
		read := map[string]int{}
		c = l.start(t, suddenly, func(kind string) {
			mu.Lock()
			defer mu.Unlock()
			read[kind]++
		})
		reads := func(kind string) int {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return read[kind]
		}
		if reads("Good") == 0 || reads("Bad") != 0 {
			t.Fatalf("worked on: %v", read)
		}
		isolated := func() bool {
			st, _ := c.engine.Status("uid-Bad")
			return st.Sync.Status == model.SyncUnknown && slices.ContainsFunc(st.Conditions, func(c model.Condition) bool {
				return c.Type == "AgentError" && c.Code == codeIsolated && strings.Contains(c.Message, "3 times")
			})
		}
		st, _ := c.engine.Status("uid-Bad")
		if !isolated() {
			t.Errorf("its status is %+v", st)
		}
		c.engine.touchAll("uid-Bad")
		c.engine.Refresh([]model.AppUID{"uid-Bad"})
		if reads("Bad") != 0 {
			t.Error("it was worked on, for an event or a refresh")
		}
		// Also when the desired state comes again.
		if err := c.deliver("Bad", 1); err != nil || reads("Bad") != 0 {
			t.Errorf("the same desired state: %v, read %v", err, read)
		}
		// A person asks, so it is tried, marked; and three deaths later the
		// operation is ended.
		c.engine.Operation(t.Context(), model.Command{ID: "op", Seq: 1, App: "uid-Bad", Kind: model.OperationSync, Generation: 1, Spec: model.OperationSpec{}})
		if reads("Bad") == 0 {
			t.Error("it was not worked on for an operation")
		}
		c.kill()
		for range journal.MaxDeaths - 1 { // it was the first
			l.dieReading(t, "Bad", nil)
		}
		clear(read)
		c = l.start(t, suddenly, func(kind string) {
			mu.Lock()
			defer mu.Unlock()
			read[kind]++
		})
		if reads("Bad") != 0 || !isolated() {
			t.Errorf("after the operation has ended agents it is worked on: %v", read)
		}
		if ends := c.ops.of("op"); len(ends) != 1 || ends[0].Phase != model.PhaseFailed || !strings.Contains(ends[0].Message, "3 times") {
			t.Errorf("the operation ended as %+v", ends)
		}
		// It has become another.
		if err := c.deliver("Bad", 2); err != nil {
			t.Error(err)
		}
		if reads("Bad") == 0 || isolated() {
			t.Errorf("a new desired state is not worked on: %v", read)
		}
		// Without a journal a careful engine works on, with one wait.
		l.mu.Lock()
		l.broken = true
		l.mu.Unlock()
		clear(read)
		c.engine.app("uid-Bad").touchAll()
		c.engine.Refresh([]model.AppUID{"uid-Bad"})
		time.Sleep(3 * markWait)
		synctest.Wait()
		if st, ok := c.engine.Status("uid-Bad"); !ok || st.Generation != 2 {
			t.Errorf("without a journal its status is %+v", st)
		}
	})
}

// A desired state that ended agents while it was taken on is refused until there is
// another.
func TestADesiredStateThatEndsAgentsIsRefused(t *testing.T) {
	lonely(t, func(t *testing.T) {
		l := &locker{secrets: map[string]journal.Secret{}}
		c := l.start(t, journal.End{}, func(string) {})
		c.store.Update(journal.Urgent, func(b *journal.Book) journal.Change {
			ch, _ := b.AcceptWelcome(model.Epoch{Incarnation: 1, Number: 1})
			return ch
		})
		if err := c.deliver("Bad", 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.kill()
		for range 1 + journal.MaxDeaths { // an end in peace, one that is not marked, and these
			l.dieReading(t, "Bad", func(c *crashing) {
				d, bundle := kindOfOwn(t, "Bad", 2)
				go c.engine.Desired(t.Context(), d, bundle, func(error) {})
			})
		}
		c = l.start(t, suddenly, func(string) {})
		c.store.Update(journal.Urgent, func(b *journal.Book) journal.Change {
			ch, _ := b.AcceptWelcome(model.Epoch{Incarnation: 1, Number: 2})
			return ch
		})
		if err := c.deliver("Bad", 2); !fault.HasCode(err, codeIsolated) {
			t.Errorf("it is answered with %v", err)
		}
		time.Sleep(10 * time.Second)
		if st, ok := c.engine.Status("uid-Bad"); !ok || st.Generation != 1 || slices.ContainsFunc(st.Conditions, func(c model.Condition) bool { return c.Code == codeIsolated }) {
			t.Errorf("what is held is %+v", st)
		}
		if err := c.deliver("Bad", 3); err != nil {
			t.Errorf("a new desired state is answered with %v", err)
		}
	})
}

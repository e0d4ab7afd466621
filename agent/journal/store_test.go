package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// fakeSecrets is a namespace with resourceVersions.
type fakeSecrets struct {
	mu      sync.Mutex
	m       map[string]Secret
	rv      int
	writes  []string // names, with + for a create, - for a delete
	bytes   int
	before  func(verb, name string) error // fails the request before it has an effect
	after   func(verb, name string) error // loses the answer
	largest int
}

func newFakeSecrets() *fakeSecrets { return &fakeSecrets{m: map[string]Secret{}} }

func (f *fakeSecrets) List(context.Context) ([]Secret, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Secret
	for _, s := range f.m {
		out = append(out, s)
	}
	return out, nil
}

func (f *fakeSecrets) Get(_ context.Context, name string) (Secret, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.m[name]
	if !ok {
		return Secret{}, fault.New(fault.NotFound, "not_found", "no Secret")
	}
	return s, nil
}

func (f *fakeSecrets) write(verb string, s Secret) (Secret, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before != nil {
		if err := f.before(verb, s.Name); err != nil {
			return Secret{}, err
		}
	}
	old, exists := f.m[s.Name]
	switch {
	case verb == "update" && !exists: // as the API server answers
		return Secret{}, fault.New(fault.NotFound, "not_found", "no Secret")
	case verb == "create" && exists, verb == "update" && old.ResourceVersion != s.ResourceVersion:
		return Secret{}, fault.New(fault.Conflict, "version_conflict", "conflict")
	case exists && old.Immutable:
		return Secret{}, fault.New(fault.Upstream, "refused", "immutable")
	}
	f.rv++
	s.ResourceVersion = strconv.Itoa(f.rv)
	f.m[s.Name] = s
	size := 0
	for _, d := range s.Data {
		size += len(d)
	}
	f.bytes += size
	f.largest = max(f.largest, size)
	mark := ""
	if verb == "create" {
		mark = "+"
	}
	f.writes = append(f.writes, mark+s.Name)
	if f.after != nil {
		if err := f.after(verb, s.Name); err != nil {
			return Secret{}, err
		}
	}
	return s, nil
}

func (f *fakeSecrets) Create(_ context.Context, s Secret) (Secret, error) {
	return f.write("create", s)
}
func (f *fakeSecrets) Update(_ context.Context, s Secret) (Secret, error) {
	return f.write("update", s)
}

func (f *fakeSecrets) Delete(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.m[name]; !ok {
		return fault.New(fault.NotFound, "not_found", "no Secret")
	}
	delete(f.m, name)
	f.writes = append(f.writes, "-"+name)
	return nil
}

func (f *fakeSecrets) names(prefix string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for n := range f.m {
		if strings.HasPrefix(n, prefix) {
			out = append(out, n)
		}
	}
	return out
}

// openAndRun opens a store on f and runs it; stop ends it after its last write.
func openAndRun(t *testing.T, f *fakeSecrets, instance string) (s *Store, stop func() error) {
	t.Helper()
	s, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: instance})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var once sync.Once
	var end error
	stop = func() error {
		once.Do(func() {
			cancel()
			end = <-ended
		})
		return end
	}
	t.Cleanup(func() { _ = stop() })
	return s, stop
}

func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func put(t *testing.T, s *Store, i int, g model.Generation, size int) *Flight {
	t.Helper()
	d := model.Desired{App: model.AppUID(fmt.Sprintf("uid-%05d", i)), Name: fmt.Sprintf("app-%d", i), Project: "default", Generation: g,
		Bundle: model.Digest(fmt.Sprintf("sha256:%d-%d", i, g))}
	if err := s.PutBundle(d.Bundle, noise(uint64(i)<<20+uint64(g), size)); err != nil {
		t.Fatal(err)
	}
	return s.Update(Urgent, func(b *Book) Change {
		r, err := b.AcceptDesired(d, nil)
		if err != nil {
			t.Error(err)
		}
		return r.Change
	})
}

func welcome(t *testing.T, s *Store, n int64) *Flight {
	return s.Update(Urgent, func(b *Book) Change {
		c, err := b.AcceptWelcome(model.Epoch{Incarnation: 1, Number: n})
		if err != nil {
			t.Error(err)
		}
		return c
	})
}

func land(t *testing.T, fs ...*Flight) {
	t.Helper()
	for _, f := range fs {
		if err := f.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFirstSyncOfManyApplicationsIsFewWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSecrets()
		s, stop := openAndRun(t, f, "a")
		land(t, welcome(t, s, 1))
		var flights []*Flight
		for i := range 500 {
			flights = append(flights, put(t, s, i, 1, 1500))
		}
		land(t, flights...)
		// The syncs end one after the other within 7 s.
		for i := range 500 {
			uid := model.AppUID(fmt.Sprintf("uid-%05d", i))
			s.Update(Lazy, func(b *Book) Change {
				var inv []Owned
				for k := range 4 {
					inv = append(inv, Owned{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "n", Name: fmt.Sprintf("c-%d-%d", i, k)}, Version: "v1",
						UID: fmt.Sprintf("%08x-aaaa-bbbb-cccc-%012x", i*7919, k*104729+i), Confirmed: true})
				}
				c, err := b.ConfirmSync(uid, SyncOutcome{Generation: 1, Bundle: b.Apps[uid].Desired.Bundle, Complete: true, Applied: inv})
				if err != nil {
					t.Error(err)
				}
				return c
			})
			time.Sleep(14 * time.Millisecond) // the fake clock of synctest: pacing is what is tested
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		st := s.Stats()
		if st.Requests > 100 {
			t.Errorf("%d requests for 500 applications: %v", st.Requests, f.writes)
		}
		if f.largest > PackMax {
			t.Errorf("the largest Secret has %d bytes", f.largest)
		}
		t.Logf("%d requests, %d KiB, %d shards, %d packs", st.Requests, st.WriteBytes>>10, st.Shards, st.Packs)
		// Everything is there after a restart.
		again, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "b"})
		if err != nil {
			t.Fatal(err)
		}
		again.View(func(b *Book) {
			if len(b.Apps) != 500 || b.Head.Epoch.Number != 1 {
				t.Fatalf("%d applications, epoch %v", len(b.Apps), b.Head.Epoch)
			}
			for uid, r := range b.Apps {
				if !r.Confirmed() || len(r.Inventory) != 4 {
					t.Fatalf("%s: %+v", uid, r)
				}
			}
		})
		for i := range 500 {
			enc, ok := again.Bundle(model.Digest(fmt.Sprintf("sha256:%d-1", i)))
			if !ok || string(enc) != string(noise(uint64(i)<<20+1, 1500)) {
				t.Fatalf("bundle %d is not as it was stored", i)
			}
		}
		if n := len(again.Hello().Known); n != 500 {
			t.Errorf("hello knows %d", n)
		}
	})
}

func TestAFlightLandsOnlyWhenItIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSecrets()
		down := true
		f.before = func(string, string) error {
			if down {
				return fault.New(fault.Unavailable, "cluster_unreachable", "down")
			}
			return nil
		}
		s, _ := openAndRun(t, f, "a")
		fl := put(t, s, 1, 1, 10)
		time.Sleep(30 * time.Second)
		select {
		case <-fl.Done():
			t.Fatal("landed although nothing can be written")
		default:
		}
		if c := s.Conditions(); len(c) != 1 || c[0].Code != "journal_unwritable" {
			t.Errorf("conditions %v", c)
		}
		// A repeated message joins what is not durable yet.
		repeat := s.Update(Urgent, func(*Book) Change { return Change{} })
		select {
		case <-repeat.Done():
			t.Fatal("an update of nothing is durable before what it repeats")
		default:
		}
		f.mu.Lock()
		down = false
		f.mu.Unlock()
		land(t, fl, repeat)
		if c := s.Conditions(); len(c) != 0 {
			t.Errorf("conditions %v", c)
		}
	})
}

func TestLostAnswersAreRecognised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSecrets()
		lose := map[string]int{}
		f.after = func(verb, name string) error {
			if lose[verb+name]++; lose[verb+name] == 1 {
				return fault.New(fault.Unavailable, "cluster_unreachable", "the answer was lost")
			}
			return nil
		}
		s, stop := openAndRun(t, f, "a")
		land(t, welcome(t, s, 1), put(t, s, 1, 1, 100))
		land(t, welcome(t, s, 2), put(t, s, 1, 2, 100))
		land(t, put(t, s, 1, 3, 100))
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		again, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "b"})
		if err != nil {
			t.Fatal(err)
		}
		again.View(func(b *Book) {
			if b.Apps["uid-00001"].Desired.Generation != 3 || b.Head.Epoch.Number != 2 {
				t.Errorf("%+v %+v", b.Head, b.Apps["uid-00001"].Desired)
			}
		})
	})
}

func TestAnotherWriterStopsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSecrets()
		a, stopA := openAndRun(t, f, "a")
		land(t, put(t, a, 1, 1, 100))
		b, _ := openAndRun(t, f, "b")
		land(t, put(t, b, 1, 2, 100))
		fl := put(t, a, 1, 3, 100)
		if err := fl.Wait(t.Context()); !fault.HasCode(err, "journal_conflict") {
			t.Fatalf("flight: %v", err)
		}
		if err := stopA(); !fault.HasCode(err, "journal_conflict") {
			t.Errorf("Run: %v", err)
		}
		if !fault.HasCode(a.Err(), "journal_conflict") {
			t.Errorf("Err: %v", a.Err())
		}
		late := a.Update(Urgent, func(*Book) Change { return Change{Head: true} })
		if err := late.Wait(t.Context()); !fault.HasCode(err, "journal_conflict") {
			t.Errorf("later flight: %v", err)
		}
		again, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "c"})
		if err != nil {
			t.Fatal(err)
		}
		again.View(func(book *Book) {
			if g := book.Apps["uid-00001"].Desired.Generation; g != 2 {
				t.Errorf("generation %d is stored", g)
			}
		})
	})
}

// What a person deletes is written again from memory at the next change;
// otherwise nothing would ever be durable again.
func TestADeletedPartIsWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSecrets()
		a, stop := openAndRun(t, f, "a")
		land(t, put(t, a, 1, 1, 100))
		land(t, put(t, a, 2, 1, 100))
		if err := f.Delete(t.Context(), shardName(0)); err != nil {
			t.Fatal(err)
		}
		land(t, put(t, a, 1, 2, 100))
		land(t, put(t, a, 2, 2, 100)) // an ordinary update again
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		again, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "b"})
		if err != nil {
			t.Fatal(err)
		}
		again.View(func(book *Book) {
			for _, uid := range []model.AppUID{"uid-00001", "uid-00002"} {
				if r := book.Apps[uid]; r == nil || r.Desired.Generation != 2 {
					t.Errorf("%s: %+v", uid, r)
				}
			}
		})
	})
}

func TestBundlesArePackedAndCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSecrets()
		s, stop := openAndRun(t, f, "a")
		// One larger than a pack is split.
		land(t, put(t, s, 1, 1, PackMax*2+1000))
		if n := len(f.names(packPrefix)); n != 3 {
			t.Fatalf("%d packs", n)
		}
		// Its successor replaces it; the old packs go.
		land(t, put(t, s, 1, 2, 1000))
		time.Sleep(time.Second)
		if n := len(f.names(packPrefix)); n != 1 {
			t.Fatalf("%d packs after the successor", n)
		}
		// Many small ones share a pack; when most are dead the rest moves.
		var fl []*Flight
		for i := 10; i < 110; i++ {
			fl = append(fl, put(t, s, i, 1, 2000))
		}
		land(t, fl...)
		fl = nil
		for i := 10; i < 100; i++ {
			fl = append(fl, put(t, s, i, 2, 20))
		}
		land(t, fl...)
		land(t, put(t, s, 9, 1, 20))
		time.Sleep(time.Minute)
		total := 0
		for _, n := range f.names(packPrefix) {
			sec, err := f.Get(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			total += len(sec.Data[packKey])
		}
		if live := 1000 + 10*2000 + 91*20; total > 2*live {
			t.Errorf("%d bytes are stored for %d live ones", total, live)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		again, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "b"})
		if err != nil {
			t.Fatal(err)
		}
		if b, ok := again.Bundle("sha256:105-1"); !ok || string(b) != string(noise(105<<20+1, 2000)) {
			t.Error("a bundle that was moved is not as it was")
		}
	})
}

func TestAPackIsKeptWhileTheClusterNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSecrets()
		s, stop := openAndRun(t, f, "a")
		var second *Flight
		once := false
		f.after = func(verb, name string) error {
			if strings.HasPrefix(name, shardPrefix+"0") && !once {
				once = true
				// The next generation is accepted while the first is written, and
				// the agent is killed before it is written itself.
				second = put(t, s, 1, 2, 100)
				f.before = func(string, string) error { return fault.New(fault.Unavailable, "cluster_unreachable", "killed") }
			}
			return nil
		}
		land(t, put(t, s, 1, 1, 100))
		time.Sleep(time.Minute)
		_ = stop()
		f.before, f.after = nil, nil
		select {
		case <-second.Done():
			t.Fatal("the second generation was never written")
		default:
		}
		again, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "b"})
		if err != nil {
			t.Fatal(err)
		}
		if again.Lost("uid-00001") {
			t.Error("the bundle of the generation that is stored was deleted")
		}
	})
}

func TestCorruptParts(t *testing.T) {
	fill := func(t *testing.T) *fakeSecrets {
		f := newFakeSecrets()
		s, stop := openAndRun(t, f, "a")
		land(t, welcome(t, s, 7), put(t, s, 1, 1, 100), put(t, s, 2, 1, 100))
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		return f
	}
	damage := func(f *fakeSecrets, prefix string, change func([]byte) []byte) string {
		for n, sec := range f.m {
			if strings.HasPrefix(n, prefix) {
				for k, d := range sec.Data {
					sec.Data[k] = change(append([]byte(nil), d...))
				}
				return n
			}
		}
		return ""
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	t.Run("shard", func(t *testing.T) {
		for name, change := range map[string]func([]byte) []byte{
			"bit flip": flip, "truncated": func(b []byte) []byte { return b[:len(b)-3] }, "empty": func([]byte) []byte { return nil },
			"other content": func([]byte) []byte { return []byte("HWJ1 nothing of the kind") },
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := fill(t)
					damage(f, shardPrefix+"0", change)
					before := f.m[shardName(0)]
					s, stop := openAndRun(t, f, "b")
					if c := s.Conditions(); len(c) != 1 || c[0].Code != "journal_corrupt" {
						t.Fatalf("conditions %v", c)
					}
					s.View(func(b *Book) {
						if len(b.Apps) != 0 || b.Head.Epoch.Number != 7 {
							t.Errorf("book %+v", b)
						}
					})
					// It goes on in another shard; the damaged one stays for people.
					land(t, put(t, s, 1, 1, 100))
					if err := stop(); err != nil {
						t.Fatal(err)
					}
					if after := f.m[shardName(0)]; after.ResourceVersion != before.ResourceVersion {
						t.Error("the damaged shard was overwritten")
					}
					again, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "c"})
					if err != nil {
						t.Fatal(err)
					}
					again.View(func(b *Book) {
						if len(b.Apps) != 1 {
							t.Errorf("%d applications", len(b.Apps))
						}
					})
				})
			})
		}
	})
	t.Run("head", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := fill(t)
			damage(f, headName, flip)
			if _, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "b"}); !fault.HasCode(err, "journal_corrupt") {
				t.Errorf("error %v", err)
			}
		})
	})
	t.Run("pack missing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := fill(t)
			for _, n := range f.names(packPrefix) {
				delete(f.m, n)
			}
			s, _ := openAndRun(t, f, "b")
			if !s.Lost("uid-00001") || len(s.Hello().Known) != 0 {
				t.Errorf("hello still claims applications whose bundle is lost: %+v", s.Hello().Known)
			}
			// The hub sends it again.
			if err := s.PutBundle("sha256:1-1", noise(1<<20+1, 100)); err != nil {
				t.Fatal(err)
			}
			land(t, s.Update(Urgent, func(*Book) Change { return Change{Apps: []model.AppUID{"uid-00001"}} }))
			again, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "c"})
			if err != nil {
				t.Fatal(err)
			}
			if again.Lost("uid-00001") {
				t.Error("still lost")
			}
		})
	})
}

func TestManyRecordsSpreadOverShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSecrets()
		s, stop := openAndRun(t, f, "a")
		grow := func(i, objects int) {
			uid := model.AppUID(fmt.Sprintf("uid-%05d", i))
			s.Update(Lazy, func(b *Book) Change {
				var inv []Owned
				for k := range objects {
					inv = append(inv, Owned{Key: model.ObjectKey{Kind: "ConfigMap", Name: fmt.Sprintf("%x", noise(uint64(i*1000+k), 16))}, UID: fmt.Sprintf("%x", noise(uint64(k*7+i*131), 16)), Confirmed: true})
				}
				c, err := b.ConfirmSync(uid, SyncOutcome{Generation: 1, Applied: inv})
				if err != nil {
					t.Error(err)
				}
				return c
			})
		}
		for i := range 60 {
			land(t, put(t, s, i, 1, 50))
		}
		for i := range 60 { // what was small grows
			grow(i, 200)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if n := s.Stats().Shards; n < 2 {
			t.Fatalf("%d shards", n)
		}
		for n, sec := range f.m {
			if strings.HasPrefix(n, shardPrefix) && len(sec.Data[dataKey]) > shardMax {
				t.Errorf("%s has %d bytes", n, len(sec.Data[dataKey]))
			}
		}
		again, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "b"})
		if err != nil {
			t.Fatal(err)
		}
		again.View(func(b *Book) {
			if len(b.Apps) != 60 {
				t.Fatalf("%d applications", len(b.Apps))
			}
			for uid, r := range b.Apps {
				if len(r.Inventory) != 200 {
					t.Errorf("%s has %d", uid, len(r.Inventory))
				}
			}
		})
	})
}

func TestACrashBetweenTwoWritesLosesNothingThatWasDurable(t *testing.T) {
	for n := range 12 {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeSecrets()
			left := n
			dead := errors.New("crashed")
			f.before = func(string, string) error {
				if left == 0 {
					return fault.Wrap(dead, fault.Unavailable, "cluster_unreachable", "crashed")
				}
				left--
				return nil
			}
			s, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "a"})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			durable := map[int]model.Generation{}
			for g := model.Generation(1); g <= 3; g++ {
				for i := range 2 {
					fl := put(t, s, i, g, 100)
					select {
					case <-fl.Done():
						if fl.Err() == nil {
							durable[i] = g
						}
					case <-time.After(time.Minute):
					}
				}
			}
			cancel()
			<-ended
			f.mu.Lock()
			f.before = nil
			f.mu.Unlock()
			again, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "b"})
			if err != nil {
				t.Fatal(err)
			}
			for i, g := range durable {
				uid := model.AppUID(fmt.Sprintf("uid-%05d", i))
				again.View(func(b *Book) {
					if r := b.Apps[uid]; r == nil || r.Desired.Generation < g {
						t.Errorf("after %d writes: %s is not at %d", n, uid, g)
					}
				})
				if again.Lost(uid) {
					t.Errorf("after %d writes: the bundle of %s is lost", n, uid)
				}
			}
		})
	}
}

func TestFullJournalRefusesBundles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSecrets()
		s, err := OpenStore(t.Context(), StoreOptions{Secrets: f, Instance: "a", MaxBytes: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		land(t, put(t, s, 1, 1, 90_000))
		if c := s.Conditions(); len(c) != 1 || c[0].Code != "journal_nearly_full" {
			t.Errorf("conditions %v", c)
		}
		if err := s.PutBundle("sha256:x", noise(3, 20_000)); !fault.HasCode(err, "journal_full") {
			t.Errorf("error %v", err)
		}
		cancel()
		<-ended
	})
}

package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

var epoch = model.Epoch{Incarnation: 1, Number: 7}

// fakeStore keeps what it is given, unless told to fail.
type fakeStore struct {
	mu      sync.Mutex
	at      []time.Time
	batches [][]fleet.Report
	beats   []fleet.Beat
	beatsAt []time.Time
	fail    func(reports []fleet.Report) error
	block   chan struct{} // not nil: SaveReports waits for it
}

func (s *fakeStore) SaveReports(ctx context.Context, reports []fleet.Report) error {
	s.mu.Lock()
	block, fail := s.block, s.fail
	s.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if fail != nil {
		if err := fail(reports); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Now())
	s.batches = append(s.batches, slices.Clone(reports))
	return nil
}

func (s *fakeStore) Heartbeat(_ context.Context, beats []fleet.Beat) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(nil); err != nil {
			return err
		}
	}
	s.beats = append(s.beats, beats...)
	s.beatsAt = append(s.beatsAt, time.Now())
	return nil
}

func (s *fakeStore) failWith(fn func([]fleet.Report) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fn
}

func (s *fakeStore) stored() (out []fleet.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		out = append(out, b...)
	}
	return out
}

// run starts an Ingest in a bubble of virtual time, and ends it with the test
// function.
func run(t *testing.T, o Options, fn func(in *Ingest, s *fakeStore, acks *acks)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, a := &fakeStore{}, &acks{highest: map[session]uint64{}}
		o.Store, o.Acknowledge = s, a.take
		if o.Publish == nil {
			o.Publish = a.publish
		}
		in := New(o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- in.Run(ctx) }()
		synctest.Wait()
		fn(in, s, a)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

type acks struct {
	mu        sync.Mutex
	highest   map[session]uint64
	calls     int
	published []model.AppUID
}

func (a *acks) take(c model.ClusterID, e model.Epoch, seq uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.highest[session{c, e}] = seq
	a.calls++
}

func (a *acks) publish(apps []model.AppUID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.published = append(a.published, apps...)
}

func (a *acks) of(c model.ClusterID) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.highest[session{c, epoch}]
}

func report(app model.AppUID, seq uint64) fleet.Report {
	return fleet.Report{Cluster: "one", Epoch: epoch, AppReport: model.AppReport{App: app, Seq: seq}}
}

var unavailable = fault.New(fault.Unavailable, "db_unavailable", "no database")

func TestFirstReportIsWrittenAtOnceAndTheNextInBatches(t *testing.T) {
	run(t, Options{Interval: 50 * time.Millisecond}, func(in *Ingest, s *fakeStore, a *acks) {
		start := time.Now()
		in.Offer(report("a", 1))
		synctest.Wait()
		if len(s.batches) != 1 || !s.at[0].Equal(start) {
			t.Fatalf("the first was not written at once: %v", s.at)
		}
		if a.of("one") != 1 {
			t.Errorf("acknowledged %d", a.of("one"))
		}
		for i := range 20 {
			in.Offer(report(model.AppUID(fmt.Sprint("b", i)), uint64(i+2)))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(40 * time.Millisecond)
		synctest.Wait()
		if len(s.batches) != 2 || len(s.batches[1]) != 20 || s.at[1].Sub(start) != 50*time.Millisecond {
			t.Errorf("%d batches at %v", len(s.batches), s.at)
		}
		if a.of("one") != 21 || len(a.published) != 21 {
			t.Errorf("acknowledged %d, published %d", a.of("one"), len(a.published))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(s.batches) != 2 || a.calls != 2 {
			t.Errorf("idle, and %d batches and %d acknowledgements", len(s.batches), a.calls)
		}
	})
}

func TestNewestOfAnApplicationWins(t *testing.T) {
	run(t, Options{}, func(in *Ingest, s *fakeStore, a *acks) {
		s.block = make(chan struct{})
		in.Offer(report("other", 1)) // occupies the writer
		synctest.Wait()
		tree := &model.ResourceTree{Truncated: true}
		first := report("a", 2)
		first.Tree = tree
		in.Offer(first)
		for seq := uint64(3); seq <= 50; seq++ {
			in.Offer(report("a", seq))
		}
		in.Offer(report("a", 10)) // late
		if in.Waiting() != 1 {
			t.Errorf("%d wait", in.Waiting())
		}
		synctest.Wait()
		if a.of("one") != 0 {
			t.Errorf("acknowledged %d before anything was stored", a.of("one"))
		}
		close(s.block)
		time.Sleep(time.Second)
		synctest.Wait()
		got := s.stored()
		if len(got) != 2 || got[1].Seq != 50 || got[1].Tree != tree {
			t.Errorf("stored %+v", got)
		}
		if a.of("one") != 50 {
			t.Errorf("acknowledged %d", a.of("one"))
		}
	})
}

func TestNewerSessionWinsOverOlder(t *testing.T) {
	run(t, Options{}, func(in *Ingest, s *fakeStore, _ *acks) {
		s.block = make(chan struct{})
		in.Offer(report("other", 1))
		synctest.Wait()
		old := report("a", 900)
		old.Tree = &model.ResourceTree{}
		in.Offer(old)
		newer := report("a", 1)
		newer.Epoch.Number++
		in.Offer(newer)
		in.Offer(old)
		close(s.block)
		time.Sleep(time.Second)
		synctest.Wait()
		got := s.stored()
		if len(got) != 2 || got[1].Epoch != newer.Epoch || got[1].Tree != nil {
			t.Errorf("%+v", got)
		}
	})
}

func TestOneClusterCannotPushAsideAnother(t *testing.T) {
	run(t, Options{PerCluster: 10}, func(in *Ingest, s *fakeStore, a *acks) {
		s.block = make(chan struct{})
		in.Offer(report("other", 1))
		synctest.Wait()
		in.Offer(report("a", 2))
		forged := report("a", 99)
		forged.Cluster = "rogue"
		in.Offer(forged)
		for i := range 1000 {
			r := report(model.AppUID(fmt.Sprint("invented", i)), uint64(100+i))
			r.Cluster = "rogue"
			in.Offer(r)
		}
		if in.Waiting() != 11 {
			t.Errorf("%d wait", in.Waiting())
		}
		close(s.block)
		time.Sleep(time.Second)
		synctest.Wait()
		found := false
		for _, r := range s.stored() {
			found = found || r.Cluster == "one" && r.App == "a" && r.Seq == 2
		}
		if !found {
			t.Error("the report of the other cluster is gone")
		}
		// The limit is of what waits, not for ever.
		r := report("later", 5000)
		r.Cluster = "rogue"
		in.Offer(r)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := s.stored(); got[len(got)-1].App != "later" {
			t.Error("the cluster is shut out for ever")
		}
	})
}

func TestFailingDatabaseLosesNothing(t *testing.T) {
	run(t, Options{Batch: 7}, func(in *Ingest, s *fakeStore, a *acks) {
		attempts := 0
		s.failWith(func([]fleet.Report) error { attempts++; return unavailable })
		seq := uint64(0)
		for round := range 10 {
			for i := range 30 {
				seq++
				in.Offer(report(model.AppUID(fmt.Sprint("app", i)), seq))
			}
			in.Beat(fleet.Beat{Cluster: "one", Epoch: epoch, Seq: seq})
			time.Sleep(6 * time.Second)
			synctest.Wait()
			if in.Waiting() != 30 {
				t.Fatalf("round %d: %d wait", round, in.Waiting())
			}
		}
		if a.of("one") >= seq-29 {
			t.Errorf("%d was acknowledged", a.of("one"))
		}
		if attempts > 60 {
			t.Errorf("%d attempts in a minute", attempts)
		}
		s.failWith(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		newest := map[model.AppUID]uint64{}
		for _, r := range s.stored() {
			newest[r.App] = max(newest[r.App], r.Seq)
		}
		if len(newest) != 30 {
			t.Errorf("%d of 30 applications were stored", len(newest))
		}
		for app, got := range newest {
			if got <= seq-30 {
				t.Errorf("%s: the newest stored is %d", app, got)
			}
		}
		if a.of("one") != seq || in.Waiting() != 0 || len(s.beats) == 0 {
			t.Errorf("acknowledged %d of %d, %d wait, %d beats", a.of("one"), seq, in.Waiting(), len(s.beats))
		}
	})
}

func TestFailedWriteDoesNotPushAsideNewer(t *testing.T) {
	run(t, Options{}, func(in *Ingest, s *fakeStore, _ *acks) {
		tree := &model.ResourceTree{Truncated: true}
		s.block = make(chan struct{})
		s.failWith(func([]fleet.Report) error { return unavailable })
		first := report("a", 1)
		first.Tree = tree
		in.Offer(first)
		synctest.Wait()
		in.Offer(report("a", 2)) // while 1 is being written
		close(s.block)
		synctest.Wait()
		s.failWith(nil)
		time.Sleep(time.Second)
		synctest.Wait()
		got := s.stored()
		if len(got) != 1 || got[0].Seq != 2 || got[0].Tree != tree {
			t.Errorf("%+v", got)
		}
	})
}

func TestOneBadReportDoesNotHoldUpTheOthers(t *testing.T) {
	run(t, Options{}, func(in *Ingest, s *fakeStore, a *acks) {
		asked := 0
		s.failWith(func(rs []fleet.Report) error {
			for _, r := range rs {
				if r.App == "bad" {
					if len(rs) == 1 {
						asked++
					}
					return fault.Wrap(errors.New("odd"), fault.Internal, "db_error", "refused")
				}
			}
			return nil
		})
		for i := range 100 {
			in.Offer(report(model.AppUID(fmt.Sprint("app", i)), uint64(i+1)))
		}
		in.Offer(report("bad", 101))
		in.Offer(report("good", 102))
		time.Sleep(time.Second / 2)
		synctest.Wait()
		if n := len(s.stored()); n != 101 {
			t.Errorf("%d of 101 were stored", n)
		}
		if a.of("one") != 100 {
			t.Errorf("acknowledged %d", a.of("one"))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if asked != refusals || in.Waiting() != 0 || a.of("one") != 102 {
			t.Errorf("asked %d times, %d wait, acknowledged %d", asked, in.Waiting(), a.of("one"))
		}
	})
}

func TestHeartbeatsComeAfterTheReportsThatTheyConfirm(t *testing.T) {
	run(t, Options{BeatInterval: time.Second}, func(in *Ingest, s *fakeStore, _ *acks) {
		time.Sleep(10 * time.Second)
		s.failWith(func(rs []fleet.Report) error {
			if rs != nil {
				return unavailable
			}
			return nil
		})
		in.Offer(report("a", 5))
		in.Beat(fleet.Beat{Cluster: "one", Epoch: epoch, Seq: 5})
		in.Beat(fleet.Beat{Cluster: "two", Epoch: epoch, Seq: 5})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for _, b := range s.beats {
			if b.Cluster == "one" {
				t.Fatal("a heartbeat was stored before its report")
			}
		}
		s.failWith(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(s.stored()) != 1 || len(s.beats) != 2 {
			t.Errorf("%d reports, %d beats", len(s.stored()), len(s.beats))
		}
	})
}

func TestHeartbeatsAreCoalesced(t *testing.T) {
	run(t, Options{BeatInterval: time.Second}, func(in *Ingest, s *fakeStore, _ *acks) {
		time.Sleep(10 * time.Second)
		older := epoch
		older.Number--
		for i := range 100 {
			in.Beat(fleet.Beat{Cluster: "one", Epoch: epoch, Seq: uint64(i)})
			in.Beat(fleet.Beat{Cluster: "one", Epoch: older, Seq: 999})
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(s.beats); n < 9 || n > 12 {
			t.Errorf("%d writes in ten seconds", n)
		}
		if last := s.beats[len(s.beats)-1]; last.Seq != 99 || last.Epoch != epoch {
			t.Errorf("%+v", last)
		}
	})
}

func TestWhatIsLeftIsWrittenAtTheEnd(t *testing.T) {
	var s *fakeStore
	run(t, Options{Batch: 10, Interval: time.Hour}, func(in *Ingest, st *fakeStore, _ *acks) {
		s = st
		in.Offer(report("first", 1))
		synctest.Wait()
		for i := range 95 {
			in.Offer(report(model.AppUID(fmt.Sprint(i)), uint64(i+2)))
		}
		in.Beat(fleet.Beat{Cluster: "one", Epoch: epoch, Seq: 96})
	})
	if n := len(s.stored()); n != 96 {
		t.Errorf("%d of 96 were stored", n)
	}
	if len(s.beats) != 1 {
		t.Errorf("%d beats", len(s.beats))
	}
}

// TestRandomReports offers, fails and stores at random and checks at each
// acknowledgement that nothing below it is missing.
func TestRandomReports(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		run(t, Options{Batch: 1 + rng.IntN(8)}, func(in *Ingest, s *fakeStore, a *acks) {
			broken := false
			s.failWith(func(rs []fleet.Report) error {
				if broken && rs != nil {
					return unavailable
				}
				return nil
			})
			offered := map[model.AppUID][]uint64{}
			for seq := uint64(1); seq <= 200; seq++ {
				app := model.AppUID(fmt.Sprint(rng.IntN(12)))
				offered[app] = append(offered[app], seq)
				in.Offer(report(app, seq))
				if rng.IntN(10) == 0 {
					synctest.Wait()
					s.mu.Lock()
					broken = rng.IntN(2) == 0
					s.mu.Unlock()
				}
				if rng.IntN(3) == 0 {
					time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
				}
				synctest.Wait()
				acked := a.of("one")
				stored := map[model.AppUID]uint64{}
				for _, r := range s.stored() {
					if r.Seq <= stored[r.App] {
						t.Fatalf("seed %d: %s was stored at %d after %d", seed, r.App, r.Seq, stored[r.App])
					}
					stored[r.App] = r.Seq
				}
				for app, seqs := range offered {
					last := seqs[len(seqs)-1]
					if last <= acked && stored[app] < last {
						t.Fatalf("seed %d: %d is acknowledged, but %s is stored at %d and was last reported at %d", seed, acked, app, stored[app], last)
					}
				}
			}
			s.mu.Lock()
			broken = false
			s.mu.Unlock()
			time.Sleep(time.Minute)
			synctest.Wait()
			if a.of("one") != 200 {
				t.Errorf("seed %d: acknowledged %d", seed, a.of("one"))
			}
		})
	}
}

package journal

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

type fakeLeases struct {
	mu   sync.Mutex
	r    LeaseRecord
	rv   int
	down map[string]bool // by holder that writes
	lose bool            // the next answer to a write
}

func (f *fakeLeases) GetLease(context.Context, string) (LeaseRecord, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.r.Exists {
		return LeaseRecord{}, fault.New(fault.NotFound, "not_found", "no lease")
	}
	return f.r, nil
}

func (f *fakeLeases) PutLease(_ context.Context, _ string, r LeaseRecord) (LeaseRecord, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down[r.Holder] {
		return LeaseRecord{}, fault.New(fault.Unavailable, "cluster_unreachable", "down")
	}
	if r.Exists != f.r.Exists || r.ResourceVersion != f.r.ResourceVersion {
		return LeaseRecord{}, fault.New(fault.Conflict, "version_conflict", "conflict")
	}
	f.rv++
	r.Exists, r.ResourceVersion = true, strconv.Itoa(f.rv)
	r.RenewTime = r.RenewTime.Truncate(time.Microsecond)
	f.r = r
	if f.lose {
		f.lose = false
		return LeaseRecord{}, fault.New(fault.Unavailable, "cluster_unreachable", "the answer was lost")
	}
	return r, nil
}

func (f *fakeLeases) set(holder string, down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down[holder] = down
}

func runLease(t *testing.T, f *fakeLeases, instance string) (l *Lease, stop func() error) {
	l = NewLease(f, instance, slog.New(slog.DiscardHandler), time.Now)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() { cancel(); err = <-ended })
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return l, stop
}

func TestLease(t *testing.T) {
	t.Run("one holder, handed over at a stop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeLeases{down: map[string]bool{}}
			a, stop := runLease(t, f, "a")
			<-a.Acquired()
			b, _ := runLease(t, f, "b")
			time.Sleep(time.Minute)
			if a.Held() != nil || b.Held() == nil {
				t.Fatalf("a %v, b %v", a.Held(), b.Held())
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			if a.Held() == nil || b.Held() != nil {
				t.Fatalf("after a stopped: a %v, b %v", a.Held(), b.Held())
			}
		})
	})
	t.Run("effects stop before a successor may begin", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeLeases{down: map[string]bool{}}
			a, stop := runLease(t, f, "a")
			<-a.Acquired()
			b, _ := runLease(t, f, "b")
			time.Sleep(7 * time.Second)
			f.set("a", true)
			lost, taken := time.Duration(0), time.Duration(0)
			began := time.Now()
			for taken == 0 {
				time.Sleep(100 * time.Millisecond)
				if a.Held() != nil && lost == 0 {
					lost = time.Since(began)
				}
				if b.Held() == nil {
					taken = time.Since(began)
				}
				if a.Held() == nil && b.Held() == nil {
					t.Fatal("both hold it")
				}
				if time.Since(began) > time.Minute {
					t.Fatal("never taken over")
				}
			}
			if lost >= taken || taken-lost < leaseMargin-time.Second {
				t.Errorf("lost after %s, taken after %s", lost, taken)
			}
			f.set("a", false)
			time.Sleep(10 * time.Second)
			if err := stop(); !fault.HasCode(err, "lease_lost") {
				t.Errorf("the former holder ends with %v", err)
			}
		})
	})
	t.Run("a lost answer is not a lost lease", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeLeases{down: map[string]bool{}}
			a, stop := runLease(t, f, "a")
			<-a.Acquired()
			for range 10 {
				f.mu.Lock()
				f.lose = true
				f.mu.Unlock()
				time.Sleep(11 * time.Second)
				if err := a.Held(); err != nil {
					t.Fatal(err)
				}
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("the last renewal is proof of the API server's life", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeLeases{down: map[string]bool{}}
			a := NewLease(f, "a", slog.New(slog.DiscardHandler), time.Now)
			if !a.RenewedAt().IsZero() {
				t.Fatalf("renewed at %v before it was acquired", a.RenewedAt())
			}
			a, _ = runLease(t, f, "a")
			<-a.Acquired()
			time.Sleep(time.Minute)
			if age := time.Since(a.RenewedAt()); age < 0 || age > leaseRenewal {
				t.Errorf("renewed %s ago", age)
			}
			f.set("a", true)
			before := a.RenewedAt()
			time.Sleep(time.Minute)
			if at := a.RenewedAt(); at.Before(before) || time.Since(at) < time.Minute-leaseRenewal {
				t.Errorf("renewed %s ago, with a server that does not answer", time.Since(at))
			}
		})
	})
	t.Run("it tells how the holder before ended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeLeases{down: map[string]bool{}}
			next := func(name string) (*Lease, func() error) {
				l, stop := runLease(t, f, name)
				<-l.Acquired()
				return l, stop
			}
			a, stop := next("a")
			if a.Before() != (End{}) {
				t.Errorf("before the first: %+v", a.Before())
			}
			time.Sleep(time.Minute)
			_ = stop()
			b, stop := next("b")
			if b.Before() != (End{}) {
				t.Errorf("after a clean stop: %+v", b.Before())
			}
			time.Sleep(time.Minute)
			f.set("", true) // it cannot give it up
			_ = stop()
			f.mu.Lock()
			f.lose = true // the answer to the write that takes it
			f.mu.Unlock()
			c, stop := next("c")
			if end := c.Before(); !end.Unclean || end.Ran > time.Minute || end.Ran < time.Minute-leaseRenewal {
				t.Errorf("after a kill: %+v", end)
			}
			time.Sleep(time.Hour)
			f.set("c", true) // it loses it for a while, to nobody
			time.Sleep(time.Minute)
			f.set("c", false)
			time.Sleep(time.Minute)
			if end := c.Before(); end.Ran > time.Minute {
				t.Errorf("its own lease counts as another's: %+v", end)
			}
			_ = stop()
			d, _ := next("d")
			if end := d.Before(); !end.Unclean || end.Ran < time.Hour {
				t.Errorf("after a long run: %+v", end)
			}
		})
	})
	t.Run("a lease that a person deleted is taken again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeLeases{down: map[string]bool{}}
			a, _ := runLease(t, f, "a")
			<-a.Acquired()
			f.mu.Lock()
			f.r = LeaseRecord{}
			f.mu.Unlock()
			time.Sleep(30 * time.Second)
			if err := a.Held(); err != nil {
				t.Fatal(err)
			}
		})
	})
}

package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func event(key string) Event {
	return Event{Type: "application", Key: key, Payload: func() ([]byte, error) { return []byte(key), nil }}
}

func publish(b *Broker, from, to int) {
	for i := from; i <= to; i++ {
		b.Publish(event(fmt.Sprint(i)))
	}
}

func keys(t *testing.T, r *Reader) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := r.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range got {
		body, err := e.Body()
		if err != nil || string(body) != e.Key {
			t.Fatalf("body %q, %v", body, err)
		}
		out = append(out, e.Key)
	}
	return strings.Join(out, " ")
}

func wantReset(t *testing.T, r *Reader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := r.Next(ctx); !errors.Is(err, ErrReset) {
		t.Fatalf("got %v, want a reset", err)
	}
}

func TestReadersSeeWhatComesAfterThem(t *testing.T) {
	b := New("r", 8)
	publish(b, 1, 3)
	r := b.Subscribe()
	publish(b, 4, 6)
	if got := keys(t, r); got != "4 5 6" {
		t.Errorf("got %q", got)
	}
	publish(b, 7, 7)
	if got := keys(t, r); got != "7" {
		t.Errorf("got %q", got)
	}
}

func TestNextWaits(t *testing.T) {
	b := New("r", 8)
	r := b.Subscribe()
	got := make(chan []Delivered)
	go func() {
		events, _ := r.Next(t.Context())
		got <- events
	}()
	select {
	case e := <-got:
		t.Fatalf("did not wait: %v", e)
	case <-time.After(20 * time.Millisecond):
	}
	publish(b, 1, 1)
	if e := <-got; len(e) != 1 || e[0].ID != "r-1" {
		t.Errorf("got %+v", e)
	}
}

func TestResume(t *testing.T) {
	b := New("r", 8)
	publish(b, 1, 20) // the ring holds 13 to 20
	for _, c := range []struct {
		id, want string // want "" is a reset
	}{
		{"r-19", "20"},
		{"r-12", "13 14 15 16 17 18 19 20"},
		{"r-11", ""},
		{"r-0", ""},
		{"r-21", ""}, // from the future: another life of this process
		{"other-19", ""},
		{"19", ""},
		{"r-x", ""},
		{"r-", ""},
		{"r--1", ""},
		{"r-18446744073709551615", ""},
		{"-", ""},
	} {
		r := b.Resume(c.id)
		if c.want == "" {
			wantReset(t, r)
			continue
		}
		if got := keys(t, r); got != c.want {
			t.Errorf("resume after %s: got %q, want %q", c.id, got, c.want)
		}
	}
	r := b.Resume("r-20")
	publish(b, 21, 21)
	if got := keys(t, r); got != "21" {
		t.Errorf("got %q", got)
	}
	r = b.Resume("")
	publish(b, 22, 22)
	if got := keys(t, r); got != "22" {
		t.Errorf("got %q", got)
	}
}

func TestResumeOnAnEmptyRing(t *testing.T) {
	b := New("r", 8)
	r := b.Resume(b.Subscribe().Position())
	publish(b, 1, 1)
	if got := keys(t, r); got != "1" {
		t.Errorf("got %q", got)
	}
}

func TestSlowReadersAreResetAndGoOn(t *testing.T) {
	b := New("r", 8)
	slow, fast := b.Subscribe(), b.Subscribe()
	for i := 1; i <= 100; i++ {
		publish(b, i, i)
		if got := keys(t, fast); got != fmt.Sprint(i) {
			t.Fatalf("fast reader: got %q at %d", got, i)
		}
	}
	wantReset(t, slow)
	publish(b, 101, 101)
	if got := keys(t, slow); got != "101" {
		t.Errorf("got %q", got)
	}
}

func TestAReaderAtTheEdgeOfTheRingMissesNothing(t *testing.T) {
	b := New("r", 8)
	r := b.Subscribe()
	publish(b, 1, 8)
	if got := keys(t, r); got != "1 2 3 4 5 6 7 8" {
		t.Errorf("got %q", got)
	}
}

func TestClose(t *testing.T) {
	b := New("r", 8)
	r := b.Subscribe()
	publish(b, 1, 1)
	b.Close()
	b.Close()
	publish(b, 2, 2)
	if got := keys(t, r); got != "1" {
		t.Errorf("got %q", got)
	}
	if _, err := r.Next(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestContextEndsNext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New("r", 8).Subscribe().Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestBodiesAreMadeOnceAndOnlyWhenRead(t *testing.T) {
	var made atomic.Int32
	b := New("r", 8)
	first, second := b.Subscribe(), b.Subscribe()
	b.Publish(Event{Key: "x", Payload: func() ([]byte, error) { made.Add(1); return []byte("x"), nil }})
	if made.Load() != 0 {
		t.Error("made before anybody read it")
	}
	keys(t, first)
	keys(t, second)
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
}

func TestManyReadersAndWriters(t *testing.T) {
	const writers, each, readers = 4, 500, 8
	b := New("r", writers*each)
	var wg sync.WaitGroup
	for range readers {
		r := b.Subscribe()
		wg.Go(func() {
			for seen := 0; seen < writers*each; {
				got, err := r.Next(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				for i, e := range got {
					if want := fmt.Sprintf("r-%d", seen+i+1); e.ID != want {
						t.Errorf("got %s, want %s", e.ID, want)
						return
					}
				}
				seen += len(got)
			}
		})
	}
	for range writers {
		wg.Go(func() { publish(b, 1, each) })
	}
	wg.Wait()
}

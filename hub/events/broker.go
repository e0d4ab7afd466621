package events

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
)

// DefaultSize is the number of events that a Broker keeps.
const DefaultSize = 8192

// maxBatch is how many events Next hands out at most.
const maxBatch = 256

// ErrReset says that events were missed: what the reader knows must be fetched
// again. The reader goes on with the newest events after it.
var ErrReset = errors.New("events were missed")

// ErrClosed says that the Broker was closed.
var ErrClosed = errors.New("the event stream is closed")

// Event is one change.
type Event struct {
	// Type says what changed: application, cluster, operation, …
	Type string
	// Key identifies the thing that changed.
	Key string
	// Project that the thing is of, and Name of the application that it is about;
	// "" where there is none. Who may hear of it is decided by them.
	Project, Name string
	// Token is the API token that alone hears of it besides administrators, "" for
	// things of a project.
	Token string
	// Payload makes the body. It is called at most once, and only when somebody
	// reads the event; it must not depend on anything that changes later.
	Payload func() ([]byte, error)
}

// Delivered is an event on its way to a reader.
type Delivered struct {
	ID            string // for Resume
	Type          string
	Key           string
	Project, Name string
	Token         string
	// Body makes the body on first use.
	Body func() ([]byte, error)
}

// Broker keeps the newest events. It is safe for concurrent use and starts no
// goroutine.
type Broker struct {
	replica string

	mu     sync.Mutex
	ring   []Delivered
	next   uint64 // number of the next event; the first is 1
	wake   chan struct{}
	closed bool
}

// New makes a Broker. replica must differ between processes and between starts
// of one; it may not contain "-". size ≤ 0 means DefaultSize.
func New(replica string, size int) *Broker {
	if size <= 0 {
		size = DefaultSize
	}
	return &Broker{replica: replica, ring: make([]Delivered, size), next: 1, wake: make(chan struct{})}
}

// Publish adds events in order. It never blocks on readers.
func (b *Broker) Publish(events ...Event) {
	if len(events) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	for _, e := range events {
		b.ring[b.next%uint64(len(b.ring))] = Delivered{
			ID: b.id(b.next), Type: e.Type, Key: e.Key, Project: e.Project, Name: e.Name, Token: e.Token, Body: sync.OnceValues(e.Payload),
		}
		b.next++
	}
	close(b.wake)
	b.wake = make(chan struct{})
}

// Close ends all readers.
func (b *Broker) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.wake)
	}
}

func (b *Broker) id(n uint64) string { return b.replica + "-" + strconv.FormatUint(n, 10) }

// Reader follows the stream. It belongs to one goroutine and needs no closing.
type Reader struct {
	b      *Broker
	next   uint64
	missed bool
}

// Subscribe starts a reader after the newest event.
func (b *Broker) Subscribe() *Reader {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &Reader{b: b, next: b.next}
}

// Resume starts a reader after the event with the given id. When that is not
// possible its first Next answers ErrReset. An empty id is Subscribe.
func (b *Broker) Resume(lastID string) *Reader {
	if lastID == "" {
		return b.Subscribe()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &Reader{b: b, next: b.next, missed: true}
	replica, number, ok := strings.Cut(lastID, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || replica != b.replica || n >= b.next || n+1 < b.oldest() {
		return r
	}
	r.next, r.missed = n+1, false
	return r
}

// oldest is the number of the oldest event in the ring.
func (b *Broker) oldest() uint64 {
	if size := uint64(len(b.ring)); b.next > size {
		return b.next - size
	}
	return 1
}

// Position is the id after which a reader that resumed would go on as r does.
func (r *Reader) Position() string { return r.b.id(r.next - 1) }

// Next waits for events and returns at least one, in order. It returns ErrReset
// once when events were missed, ErrClosed when the Broker was closed, and the
// context's error.
func (r *Reader) Next(ctx context.Context) ([]Delivered, error) {
	for {
		r.b.mu.Lock()
		if oldest := r.b.oldest(); r.missed || r.next < oldest {
			r.missed, r.next = false, r.b.next
			r.b.mu.Unlock()
			return nil, ErrReset
		}
		if r.next < r.b.next {
			n := min(r.b.next-r.next, maxBatch)
			out := make([]Delivered, n)
			for i := range out {
				out[i] = r.b.ring[(r.next+uint64(i))%uint64(len(r.b.ring))]
			}
			r.next += n
			r.b.mu.Unlock()
			return out, nil
		}
		wake, closed := r.b.wake, r.b.closed
		r.b.mu.Unlock()
		if closed {
			return nil, ErrClosed
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-wake:
		}
	}
}

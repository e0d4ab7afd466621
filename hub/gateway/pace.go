package gateway

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// An agent that says more than the hub can store is made to wait: its messages
// stay in its own memory, where newer ones replace them. Nobody is cut off for
// it, because after an outage honest agents have much to say.

// unstored counts the reports of one session that wait for the database: of each
// application the newest, as ingest keeps them.
type unstored struct {
	mu    sync.Mutex
	apps  map[model.AppUID]waitingReport
	bytes int
	freed chan struct{} // holds one
}

type waitingReport struct {
	seq   uint64
	bytes int
}

// reportBytes is what a report costs beside what it says, about.
const reportBytes = 500

// objectBytes is what an object of a status or tree costs beside its text, about: a
// node of a tree is three bytes on the wire at least, and some 250 in memory.
const objectBytes = 250

// kept is what a document costs in memory, about.
func kept(document []byte) int {
	return len(document) + objectBytes*bytes.Count(document, []byte{'{'})
}

func newUnstored() unstored {
	return unstored{apps: map[model.AppUID]waitingReport{}, freed: make(chan struct{}, 1)}
}

func (u *unstored) add(app model.AppUID, seq uint64, size int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	old := u.apps[app]
	u.apps[app] = waitingReport{max(seq, old.seq), size + reportBytes}
	u.bytes += size + reportBytes - old.bytes
}

// stored forgets what is stored or superseded.
func (u *unstored) stored(seq uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for app, w := range u.apps {
		if w.seq <= seq {
			u.bytes -= w.bytes
			delete(u.apps, app)
		}
	}
	select {
	case u.freed <- struct{}{}:
	default:
	}
}

func (u *unstored) above(limit int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.bytes > limit
}

// pace waits before a message of so many bytes is taken: while too much of the agent's
// waits for the database, and when messages, or their bytes, come faster than they may.
func (s *session) pace(ctx context.Context, size int) {
	o := s.g.opts
	if wait := s.bytes.owe(time.Now(), size, o.BytesBurst, time.Second/time.Duration(o.BytesPerSecond)); wait > 0 {
		o.Observer.Refused("bytes_held_up")
		s.wait(ctx, wait)
		s.hear() // it is us who do not listen
	}
	if wait := s.messages.take(time.Now(), o.MessageBurst, o.MessageEvery); wait > 0 {
		o.Observer.Refused("messages_held_up")
		s.wait(ctx, wait)
	}
	if !s.unstored.above(o.UnstoredBytes) {
		return
	}
	o.Observer.Refused("reports_held_up")
	for s.unstored.above(o.UnstoredBytes) && ctx.Err() == nil && s.ending.Load() == nil {
		again := time.NewTimer(time.Second)
		select {
		case <-s.unstored.freed:
		case <-again.C:
		case <-ctx.Done():
		}
		again.Stop()
		s.hear() // it is us who do not listen
	}
}

func (s *session) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

package journal

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Limits of the journal in the cluster. It lives in the cluster's etcd, which is
// small and shared.
const (
	// MaxShards is how many state Secrets there may be.
	MaxShards = 32
	// shardTarget is the encoded size up to which a shard takes new records,
	// shardMax the one beyond which it gives records away.
	shardTarget = 192 << 10
	shardMax    = 288 << 10
	// PackMax is the size of a bundle Secret.
	PackMax = 512 << 10

	defaultMaxBytes        = 48 << 20
	defaultWritesPerMinute = 600

	minInterval  = 50 * time.Millisecond
	lazyInterval = time.Second
	// bytesPerSecond bounds what the journal writes on average.
	bytesPerSecond = 2 << 20
)

// StoreOptions configure a Store.
type StoreOptions struct {
	Secrets Secrets
	// Instance names this process, so that it can tell its own writes.
	Instance string
	Log      *slog.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// MaxBytes bounds what is stored, WritesPerMinute the requests that write.
	// Zero: the defaults, 48 MiB and 600.
	MaxBytes        int64
	WritesPerMinute int
	// Codec shares its buffers between stores of one process; nil: one of its own.
	Codec *Codec
}

// Store keeps a Book in the agent's own cluster. Its methods may be called from
// several goroutines; Run owns the one goroutine that writes.
//
// Updates change the memory at once and are written in groups: the first at
// once, the next after an interval that grows with the bytes written. Writes
// check resourceVersions: when somebody else wrote, the store fails for good
// with journal_conflict, because two agents must not act for one cluster.
type Store struct {
	opts StoreOptions
	log  *slog.Logger
	now  func() time.Time
	code *Codec
	kick chan struct{}

	mu      sync.Mutex
	book    *Book
	raw     map[model.AppUID]rawRecord // as last written or to be written
	place   map[model.AppUID]int
	bundles map[model.Digest]*bundle
	packs   map[string]*pack
	shards  [MaxShards]shard
	head    slot
	dirty   map[model.AppUID]bool
	headDue bool

	next     *Flight // of the updates that no flush has taken yet
	inFlight *Flight
	due      bool // there is something to write
	urgent   bool
	since    time.Time // of the oldest update in next

	failed error
	stats  Stats
	recent []time.Time // writes of the last minute
	conds  map[string]model.Condition
}

// slot is a Secret that is overwritten.
type slot struct {
	resourceVersion string
	seq             int64 // of the last write, for telling our own
}

type shard struct {
	slot
	exists      bool
	quarantined bool
	rawBytes    int // of its records
	encoded     int // size when last written
	dirty       bool
	// named are the packs that the shard names in the cluster, which may be
	// behind the book: they must not be deleted before it is written again.
	named map[string]bool
}

// Stats count the journal's use of the API server and of etcd.
type Stats struct {
	Requests    int64 // all, reads included
	Writes      int64
	WriteBytes  int64
	Flushes     int64
	StoredBytes int64 // now
	Shards      int
	Packs       int
	Bundles     int
}

// Flight is a group of updates on its way to the cluster.
type Flight struct {
	done   chan struct{}
	err    error
	joined []*Flight // land with this one
}

// Done is closed when the group is durable or has failed.
func (f *Flight) Done() <-chan struct{} { return f.done }

// Err is nil when the group is durable. Call it after Done.
func (f *Flight) Err() error { return f.err }

// Wait waits for the group; it returns ctx's cause when that ends first.
func (f *Flight) Wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func newFlight() *Flight { return &Flight{done: make(chan struct{})} }

func (f *Flight) land(err error) {
	f.err = err
	close(f.done)
	for _, j := range f.joined {
		j.land(err)
	}
}

func landed(err error) *Flight {
	f := newFlight()
	f.land(err)
	return f
}

// OpenStore reads the journal. The caller must hold the cluster's Lease. Parts
// that cannot be read are set aside and reported as conditions; an error means
// that the journal could not be read at all.
func OpenStore(ctx context.Context, o StoreOptions) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.WritesPerMinute == 0 {
		o.WritesPerMinute = defaultWritesPerMinute
	}
	code := o.Codec
	if code == nil {
		var err error
		if code, err = NewCodec(); err != nil {
			return nil, err
		}
	}
	s := &Store{
		opts: o, log: o.Log, now: o.Now, code: code,
		kick: make(chan struct{}, 1), book: New(), next: newFlight(),
		raw: map[model.AppUID]rawRecord{}, place: map[model.AppUID]int{},
		bundles: map[model.Digest]*bundle{}, packs: map[string]*pack{},
		dirty: map[model.AppUID]bool{}, conds: map[string]model.Condition{},
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Urgency of an update.
type Urgency bool

// Lazy updates wait for others for up to a second; nobody waits for them.
const (
	Lazy   Urgency = false
	Urgent Urgency = true
)

// Update runs fn on the book and returns the flight in which what it changed
// travels. A change of nothing returns the flight of what was changed before
// and is not durable yet, so that waiting for it always means that what the
// book says now is durable.
func (s *Store) Update(u Urgency, fn func(*Book) Change) *Flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := fn(s.book)
	if s.failed != nil {
		return landed(s.failed)
	}
	if !c.Any() {
		switch {
		case s.due:
			s.hurry(u)
			return s.next
		case s.inFlight != nil:
			return s.inFlight
		}
		return landed(nil)
	}
	s.headDue = s.headDue || c.Head
	for _, uid := range c.Apps {
		s.dirty[uid] = true
	}
	s.needFlush(u)
	return s.next
}

// needFlush is called with mu held.
func (s *Store) needFlush(u Urgency) {
	if !s.due {
		s.due, s.since = true, s.now()
		s.wake()
	}
	s.hurry(u)
}

func (s *Store) hurry(u Urgency) {
	if u == Urgent && !s.urgent {
		s.urgent = true
		s.wake()
	}
}

func (s *Store) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// View runs fn on the book. fn must not change it and must not keep parts of
// records, except Desired and Withdraw, which are replaced and never modified.
func (s *Store) View(fn func(*Book)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(s.book)
}

// Hello is Book.Hello without the applications whose bundle is lost, so that the
// hub sends them again.
func (s *Store) Hello() model.Hello {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.book.Hello()
	kept := h.Known[:0]
	for _, k := range h.Known {
		r := s.book.Apps[k.UID]
		if r.Desired != nil && r.Withdraw == nil && s.bundles[r.Desired.Bundle] == nil {
			continue
		}
		kept = append(kept, k)
	}
	h.Known = kept
	return h
}

// PutBundle keeps an encoded bundle in memory; the flush of the first record
// that names it stores it. The bytes must not be modified afterwards. It fails
// with journal_full when the journal has reached its limit.
func (s *Store) PutBundle(digest model.Digest, encoded []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bundles[digest] != nil {
		return nil
	}
	if s.stats.StoredBytes+int64(len(encoded)) > s.opts.MaxBytes {
		return fault.New(fault.Precondition, "journal_full",
			"the agent's journal holds %d of at most %d bytes; a bundle of %d bytes does not fit", s.stats.StoredBytes, s.opts.MaxBytes, len(encoded))
	}
	s.bundles[digest] = &bundle{encoded: encoded}
	return nil
}

// Bundle returns an encoded bundle. It must not be modified.
func (s *Store) Bundle(digest model.Digest) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bundles[digest]
	if b == nil {
		return nil, false
	}
	return b.encoded, true
}

// Err says why the store has failed for good, nil while it works.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Packs, st.Bundles = len(s.packs), len(s.bundles)
	for i := range s.shards {
		if s.shards[i].exists {
			st.Shards++
		}
	}
	return st
}

// Conditions are problems that people should see: parts that could not be read,
// limits that are near, writes that fail.
func (s *Store) Conditions() []model.Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]model.Condition, 0, len(s.conds))
	for _, code := range sortedCodes(s.conds) {
		out = append(out, s.conds[code])
	}
	return out
}

// condition is called with mu held; an empty message clears it.
func (s *Store) condition(key, code, format string, args ...any) {
	if format == "" {
		delete(s.conds, key)
		return
	}
	c := model.Condition{Type: "JournalError", Code: code, Message: fmt.Sprintf(format, args...)}
	if old, ok := s.conds[key]; ok {
		c.Since = old.Since
	} else {
		now := s.now()
		c.Since = &now
	}
	s.conds[key] = c
}

// Run writes until ctx ends, and then once more what is left. It returns nil
// then, or the journal_conflict that ended the store's life.
func (s *Store) Run(ctx context.Context) error {
	var last time.Time
	var interval time.Duration
	for {
		s.mu.Lock()
		due, urgent, since := s.due, s.urgent, s.since
		s.mu.Unlock()
		var timer *time.Timer
		var at <-chan time.Time
		if due {
			when := last.Add(interval)
			if lazy := since.Add(lazyInterval); !urgent && lazy.After(when) {
				when = lazy
			}
			d := when.Sub(s.now())
			if d <= 0 {
				written, err := s.flush(ctx)
				if err != nil && (ctx.Err() == nil || fault.HasCode(err, "journal_conflict")) {
					return err
				}
				last, interval = s.now(), s.pace(written)
				if ctx.Err() == nil {
					continue
				}
			} else {
				timer = time.NewTimer(d)
				at = timer.C
			}
		}
		select {
		case <-ctx.Done():
			return s.finish()
		case <-s.kick:
		case <-at:
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

const finishTimeout = 5 * time.Second

// finish writes what is left at the end, for a short time only.
func (s *Store) finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), finishTimeout)
	defer cancel()
	for {
		s.mu.Lock()
		due := s.due
		s.mu.Unlock()
		if !due {
			return nil
		}
		if _, err := s.flush(ctx); err != nil {
			s.log.Warn("the journal's last changes were not written", "error", err)
			return nil
		}
	}
}

// pace is the pause after a flush that wrote n bytes.
func (s *Store) pace(n int64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := max(minInterval, time.Duration(n)*time.Second/bytesPerSecond)
	cutoff := s.now().Add(-time.Minute)
	for len(s.recent) > 0 && s.recent[0].Before(cutoff) {
		s.recent = s.recent[1:]
	}
	switch used := len(s.recent) * 100 / s.opts.WritesPerMinute; {
	case used >= 100:
		d = max(d, 5*time.Second)
	case used >= 80:
		d = max(d, time.Second)
	default:
		s.condition("rate", "", "")
		return d
	}
	s.condition("rate", "journal_busy", "the journal wrote %d times in the last minute; the limit is %d, so writes are slowed down", len(s.recent), s.opts.WritesPerMinute)
	return d
}

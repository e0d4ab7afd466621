package audit

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Store keeps the chain. Its methods block for a transaction; hub/store has one.
type Store interface {
	BeginAudit(ctx context.Context, id string, r audit.Record) error
	AppendAudit(ctx context.Context, known audit.Head, entries []fleet.AuditEntry) (audit.Head, error)
	CloseAudit(ctx context.Context, known audit.Head, after time.Duration) (head audit.Head, n int, err error)
	RetireAudit(ctx context.Context, known audit.Head, before time.Time) (head audit.Head, months int, err error)
	// AuditSchema adds a record when the schema is another than the newest of its
	// records says.
	AuditSchema(ctx context.Context, known audit.Head, from string) (audit.Head, error)
	AuditRecords(ctx context.Context, f fleet.AuditFilter) ([]audit.Signed, error)
	AuditHead(ctx context.Context) (audit.Head, error)
	// AuditSeed is the seed of the key that signs now, 32 bytes: of all replicas the
	// same. It is another after a rotation.
	AuditSeed(ctx context.Context) ([]byte, error)
}

const (
	// DefaultKept is how long records are kept when nobody says, and LeastKept the
	// least that can be said; the database holds hubs to it.
	DefaultKept = 400 * 24 * time.Hour
	LeastKept   = 90 * 24 * time.Hour

	// most records are queued; what is above is counted only. A command above that
	// was begun has its record once it is abandoned.
	most = 10_000
	// atOnce share a transaction.
	atOnce = 200
	// abandoned is how long a command may be under way.
	abandoned = 10 * time.Minute
	// refusals that one caller, and all together, have recorded: so many a second,
	// and so many at once.
	callerRate, callerBurst = 0.2, 20
	allRate, allBurst       = 20, 200
	mostCallers             = 4096
)

// Options of New.
type Options struct {
	Store Store
	// Kept is how long records are kept; 0: DefaultKept.
	Kept time.Duration
	// Now may be nil for the system's clock; only what strangers may have written
	// depends on it.
	Now func() time.Time
	Log *slog.Logger
	// Failed is called when records could not be stored, or a command not be begun,
	// and for each record that is lost because too many wait; nil: nobody is told. It
	// must not block, or call the Log.
	Failed func()
}

// Log writes the chain. It is safe for concurrent use.
type Log struct {
	o    Options
	key  atomic.Pointer[keys]
	wake chan struct{}
	poke chan struct{}

	mu      sync.Mutex
	queue   []fleet.AuditEntry
	taken   int64 // how many were ever queued, and stored of them
	stored  int64
	moved   chan struct{} // closed when stored rises
	dropped int64
	full    bool // and something was lost since
	callers map[string]*rate.Limiter
	all     *rate.Limiter

	// writing is held while the chain is written.
	writing sync.Mutex
	head    audit.Head

	// schemaKnown: the schema was looked at since the last hour. It is Run's.
	schemaKnown bool
}

// keys are what comes of the seed, as this hub knows it. The store signs records
// itself, with the key of that moment.
type keys struct {
	signing ed25519.PrivateKey
	mac     []byte
}

// New makes a Log, whose Run writes. It reads the key.
func New(ctx context.Context, o Options) (*Log, error) {
	o.Kept = cmp.Or(o.Kept, DefaultKept)
	if o.Kept < LeastKept {
		return nil, fault.New(fault.Invalid, "audit_retention_invalid", "audit records are kept for at least %d days, not %s", LeastKept/(24*time.Hour), o.Kept).
			WithFix("give --audit-retention %s or more", LeastKept)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Failed == nil {
		o.Failed = func() {}
	}
	l := &Log{
		o: o, wake: make(chan struct{}, 1), poke: make(chan struct{}, 1), moved: make(chan struct{}),
		callers: map[string]*rate.Limiter{}, all: rate.NewLimiter(allRate, allBurst),
	}
	return l, l.learn(ctx)
}

// learn reads the key, which may have been rotated.
func (l *Log) learn(ctx context.Context) error {
	seed, err := l.o.Store.AuditSeed(ctx)
	if err != nil {
		return err
	}
	if len(seed) != ed25519.SeedSize {
		return fault.New(fault.Internal, "internal", "the key of the audit records has %d bytes", len(seed))
	}
	mac := sha256.Sum256(append([]byte("hawser audit digest\n"), seed...))
	l.key.Store(&keys{ed25519.NewKeyFromSeed(seed), mac[:]})
	return nil
}

// KeyOf is the public key that a record is signed with: the one that signs now, or
// one that handed over to a later. It is the one that signs now for a record that is
// of none, which does not verify.
func (l *Log) KeyOf(ctx context.Context, s audit.Signed) (ed25519.PublicKey, error) {
	if err := l.learn(ctx); err != nil {
		return nil, err
	}
	now := l.key.Load().signing.Public().(ed25519.PublicKey)
	if s.Record == nil || s.Valid(now) {
		return now, nil
	}
	f := fleet.AuditFilter{Kind: audit.Handover, OldestFirst: true, Limit: atOnce}
	for {
		page, err := l.o.Store.AuditRecords(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, h := range page {
			var r audit.Record
			if err := json.Unmarshal(h.Record, &r); err != nil {
				return nil, fault.Wrap(err, fault.Internal, "audit_damaged", "an audit record after %d cannot be read", f.After)
			}
			f.After = r.Seq
			var key audit.Hex
			if key.UnmarshalText([]byte(r.Key)) == nil && s.Valid(ed25519.PublicKey(key)) {
				return ed25519.PublicKey(key), nil
			}
		}
		if len(page) < f.Limit {
			return now, nil
		}
	}
}

// Digest of what a request brought. Without the hub's key nobody can try out what
// it was.
func (l *Log) Digest(b []byte) string {
	h := hmac.New(sha256.New, l.key.Load().mac)
	_, _ = h.Write(b) // never fails
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Begin keeps a record before its command is carried out, and blocks until it is
// stored. The id goes into the entry that ends it. An error is audit_unavailable:
// the command must not be carried out.
func (l *Log) Begin(ctx context.Context, r audit.Record) (id string, err error) {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	id = hex.EncodeToString(b[:])
	if err := l.o.Store.BeginAudit(ctx, id, r); err != nil {
		l.o.Failed()
		return "", fault.Wrap(err, fault.Unavailable, "audit_unavailable", "nothing is done that cannot be recorded, and the audit record could not be stored").WithFix("try again")
	}
	return id, nil
}

// Add has a record stored soon; it never blocks. Of refusals only so many are
// taken of one caller as a person could cause, and of all only so many as fit in
// memory while none can be stored; how many were left out is in the next record.
func (l *Log) Add(entries ...fleet.AuditEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		refusal := e.Record.Kind == audit.Refusal || e.Stranger
		if refusal && !l.worth(cmp.Or(e.Record.ActorID, e.Record.From)) || len(l.queue) >= most {
			if refusal || e.Begun == "" {
				l.dropped++
			}
			if !refusal && e.Begun == "" {
				l.lose()
			}
			continue
		}
		e.Record.Suppressed, l.dropped = l.dropped, 0
		l.queue = append(l.queue, e)
		l.taken++
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// lose says that a record that was worth one is lost; it is called with mu held.
func (l *Log) lose() {
	l.o.Failed()
	if !l.full {
		l.full = true
		l.o.Log.Error("too many audit records wait for the database; newer ones are counted only, until it takes some", "code", "audit_overflow", "waiting", len(l.queue))
	}
}

// worth reports whether one more refusal of a caller is recorded.
func (l *Log) worth(caller string) bool {
	now := l.o.Now()
	b := l.callers[caller]
	if b == nil {
		if len(l.callers) >= mostCallers {
			clear(l.callers)
		}
		b = rate.NewLimiter(callerRate, callerBurst)
		l.callers[caller] = b
	}
	return b.AllowN(now, 1) && l.all.AllowN(now, 1)
}

// Ended says that operations have ended, whose records are to be written; it never
// blocks.
func (l *Log) Ended() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// Flush blocks until all that was added before is stored.
func (l *Log) Flush(ctx context.Context) error {
	l.mu.Lock()
	want := l.taken
	for l.stored < want {
		moved := l.moved
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return fault.Wrap(ctx.Err(), fault.Unavailable, "audit_unavailable", "the newest audit records are not stored yet").WithFix("try again")
		case <-moved:
		}
		l.mu.Lock()
	}
	l.mu.Unlock()
	return nil
}

// Records lists what is stored, with what this hub has just added.
func (l *Log) Records(ctx context.Context, f fleet.AuditFilter) ([]audit.Signed, error) {
	if err := l.Flush(ctx); err != nil {
		return nil, err
	}
	return l.o.Store.AuditRecords(ctx, f)
}

// Run writes until ctx ends, and then what is left.
func (l *Log) Run(ctx context.Context) error {
	soon := time.NewTicker(10 * time.Second)
	defer soon.Stop()
	hourly := time.NewTicker(time.Hour)
	defer hourly.Stop()
	l.closeOpen(ctx)
	l.schema(ctx)
	l.announce(ctx)
	l.retire(ctx)
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			l.write(last)
			l.closeOpen(last)
			l.announce(last)
			return nil
		case <-l.wake:
			l.write(ctx)
		case <-l.poke:
			l.closeOpen(ctx)
		case <-soon.C:
			if err := l.learn(ctx); err != nil && ctx.Err() == nil {
				l.o.Log.WarnContext(ctx, "the key of the audit records cannot be read", "error", err)
			}
			l.write(ctx)
			l.closeOpen(ctx)
			l.schema(ctx)
		case <-hourly.C:
			l.schemaKnown = false
			l.announce(ctx)
			l.retire(ctx)
		}
	}
}

// write stores what is queued. What cannot be stored stays, for the next time.
func (l *Log) write(ctx context.Context) {
	l.writing.Lock()
	defer l.writing.Unlock()
	for {
		l.mu.Lock()
		batch := l.queue[:min(len(l.queue), atOnce)]
		l.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		head, err := l.o.Store.AppendAudit(ctx, l.head, batch)
		if err != nil {
			l.o.Failed()
			l.o.Log.WarnContext(ctx, "audit records are not stored yet", "waiting", len(batch), "error", err)
			return
		}
		l.head = head
		l.mu.Lock()
		l.queue = l.queue[len(batch):]
		l.full = false
		if len(l.queue) == 0 {
			l.queue = nil // gives the memory back
		}
		l.stored += int64(len(batch))
		close(l.moved)
		l.moved = make(chan struct{})
		l.mu.Unlock()
	}
}

func (l *Log) closeOpen(ctx context.Context) {
	l.writing.Lock()
	defer l.writing.Unlock()
	for {
		head, n, err := l.o.Store.CloseAudit(ctx, l.head, abandoned)
		if err != nil {
			if ctx.Err() == nil {
				l.o.Failed()
				l.o.Log.WarnContext(ctx, "what ended has no audit records yet", "error", err)
			}
			return
		}
		l.head = head
		if n == 0 {
			return
		}
	}
}

// schema has a change of the schema recorded: whoever migrates, by whatever means, has
// no place for records of his own.
func (l *Log) schema(ctx context.Context) {
	if l.schemaKnown {
		return
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	from := "hawser-hub"
	if host, err := os.Hostname(); err == nil {
		from += " at " + host
	}
	head, err := l.o.Store.AuditSchema(ctx, l.head, from)
	if err != nil {
		if ctx.Err() == nil {
			l.o.Failed()
			l.o.Log.WarnContext(ctx, "a change of the schema may have no audit record yet", "error", err)
		}
		return
	}
	l.head, l.schemaKnown = head, true
}

// announce says the head of the chain to the log, which is kept elsewhere: who has
// the line finds out when records up to it are taken away.
func (l *Log) announce(ctx context.Context) {
	head, err := l.o.Store.AuditHead(ctx)
	if err == nil {
		err = l.learn(ctx)
	}
	key := l.key.Load().signing
	switch {
	case err != nil:
		l.o.Log.WarnContext(ctx, "the head of the audit records cannot be read", "error", err)
	case head.Seq > 0:
		l.o.Log.InfoContext(ctx, "audit head", "head", head.String(), "key", hex.EncodeToString(key.Public().(ed25519.PublicKey)), "signature", hex.EncodeToString(ed25519.Sign(key, []byte("hawser audit head\n"+head.String()))))
	}
}

func (l *Log) retire(ctx context.Context) {
	l.writing.Lock()
	defer l.writing.Unlock()
	head, n, err := l.o.Store.RetireAudit(ctx, l.head, l.o.Now().Add(-l.o.Kept))
	if err != nil {
		l.o.Log.WarnContext(ctx, "old audit records are not retired", "error", err)
		return
	}
	if n > 0 {
		l.head = head
		l.o.Log.InfoContext(ctx, "old audit records are retired", "months", n)
	}
}

package journal

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Lease timings.
const (
	LeaseDuration = 15 * time.Second
	leaseRenewal  = 5 * time.Second
	// leaseMargin is how much earlier than others may take the lease its holder
	// stops: a request that was sent in time must also arrive in time.
	leaseMargin = 3 * time.Second
	leaseName   = "hawser-agent"
)

// LeaseRecord is the content of the Lease, as far as it is used.
type LeaseRecord struct {
	Exists          bool
	ResourceVersion string
	Holder          string
	Duration        time.Duration
	Transitions     int
	AcquireTime     time.Time
	RenewTime       time.Time
}

// LeaseAPI is where the Lease is kept. Put creates it when it does not exist
// and otherwise checks the resourceVersion; a Conflict fault means that
// somebody else wrote.
type LeaseAPI interface {
	GetLease(ctx context.Context, name string) (LeaseRecord, error)
	PutLease(ctx context.Context, name string, r LeaseRecord) (LeaseRecord, error)
}

// Lease keeps two agents of one cluster from acting at once: only its holder
// causes effects. It is taken over when it was not renewed for its duration,
// measured by this process's own clock from when it saw it last renewed; clocks
// of two machines are never compared.
type Lease struct {
	// Gone reports whether a holder is known for certain to have ended, such as
	// an earlier process of the same pod; nil: never. Then its Lease is taken at
	// once. Set it before Run.
	Gone func(holder string) bool

	api      LeaseAPI
	instance string
	log      *slog.Logger
	now      func() time.Time

	mu     sync.Mutex
	record LeaseRecord
	held   bool
	until  time.Time // effects are allowed before
	seen   time.Time // when record was first seen as it is
	// open are the renew times of writes whose answer did not come: they may
	// have been stored.
	open     []time.Time
	before   End // of the holder before, until this one has acquired it
	acquired chan struct{}
}

// NewLease makes a Lease for the process named instance.
func NewLease(api LeaseAPI, instance string, log *slog.Logger, now func() time.Time) *Lease {
	return &Lease{api: api, instance: instance, log: log, now: now, acquired: make(chan struct{})}
}

// Held returns nil while effects are allowed, and a fault lease_lost otherwise.
// It answers from memory.
func (l *Lease) Held() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held && l.now().Before(l.until) {
		return nil
	}
	holder := l.record.Holder
	if holder == "" || holder == l.instance {
		return fault.New(fault.Precondition, "lease_lost", "the Lease %s could not be renewed in time; effects wait until it is", leaseName)
	}
	return fault.New(fault.Precondition, "lease_lost", "another agent of this cluster, %q, holds the Lease %s", cut(holder, 80), leaseName)
}

// RenewedAt is when the last renewal that succeeded was sent: the API server
// answered after that time. It is zero before the lease was acquired.
func (l *Lease) RenewedAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until.IsZero() {
		return time.Time{}
	}
	return l.until.Add(leaseMargin - LeaseDuration)
}

// Before is how the holder before this one ended, as far as the Lease says: one
// that ends in good order gives it up. Call it after Acquired.
func (l *Lease) Before() End {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.before
}

// Acquired is closed when the lease was acquired for the first time.
func (l *Lease) Acquired() <-chan struct{} { return l.acquired }

// Run acquires and renews until ctx ends, and then gives the lease up, so that a
// successor need not wait. It returns an error lease_lost when another agent
// has taken the lease that this one held: its memory is out of date then, and it
// must start over.
func (l *Lease) Run(ctx context.Context) error {
	for {
		lost := l.step(ctx)
		if lost != nil {
			return lost
		}
		if !sleep(ctx, l.pause()) {
			l.release()
			return nil
		}
	}
}

func (l *Lease) pause() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held && len(l.open) == 0 {
		return leaseRenewal
	}
	// Look again soon: the holder may have given it up.
	return time.Second
}

// step tries once to acquire or renew.
func (l *Lease) step(ctx context.Context) error {
	l.mu.Lock()
	rec, held := l.record, l.held
	l.mu.Unlock()
	asked := l.now()
	if !held || rec.ResourceVersion == "" {
		got, err := l.api.GetLease(ctx, leaseName)
		if err != nil && !fault.Is(err, fault.NotFound) {
			l.log.Warn("the agent's Lease cannot be read", "error", err)
			return nil
		}
		l.mu.Lock()
		if got.ResourceVersion != l.record.ResourceVersion || l.seen.IsZero() {
			l.seen = asked
		}
		l.record, rec = got, got
		free := !got.Exists || got.Holder == "" || got.Holder == l.instance || asked.Sub(l.seen) >= max(got.Duration, time.Second) ||
			l.Gone != nil && l.Gone(got.Holder)
		l.mu.Unlock()
		if !free {
			return nil
		}
		l.precede(got)
	}
	next := LeaseRecord{Exists: rec.Exists, ResourceVersion: rec.ResourceVersion, Holder: l.instance, Duration: LeaseDuration,
		Transitions: rec.Transitions, AcquireTime: rec.AcquireTime, RenewTime: asked}
	if rec.Holder != l.instance {
		next.AcquireTime, next.Transitions = asked, rec.Transitions+1
	}
	stored, err := l.api.PutLease(ctx, leaseName, next)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.open = nil
		l.record, l.seen = stored, asked
		l.until = asked.Add(LeaseDuration - leaseMargin)
		if !l.held {
			l.held = true
			select {
			case <-l.acquired:
			default:
				close(l.acquired)
			}
		}
		return nil
	case fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound):
		return l.contested(ctx)
	}
	if len(l.open) == maxOpen {
		l.open = l.open[1:]
	}
	l.open = append(l.open, next.RenewTime.Truncate(time.Microsecond))
	l.log.Warn("the agent's Lease cannot be renewed", "error", err)
	return nil
}

// precede notes whom the first write to the Lease takes it from. One whose answer
// was lost has taken it already.
func (l *Lease) precede(r LeaseRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.until.IsZero() || r.Holder == l.instance {
		return
	}
	l.before = End{Unclean: r.Exists && r.Holder != ""}
	if l.before.Unclean && !r.AcquireTime.IsZero() {
		l.before.Ran = max(0, r.RenewTime.Sub(r.AcquireTime))
	}
}

// maxOpen is more writes than fit into a lease's duration.
const maxOpen = 32

// contested finds out who wrote instead. Called with mu held, which it gives up
// for the request.
func (l *Lease) contested(ctx context.Context) error {
	wasHeld := l.held
	l.mu.Unlock()
	asked := l.now()
	got, err := l.api.GetLease(ctx, leaseName)
	l.mu.Lock()
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil
	}
	l.record, l.seen = got, asked
	if got.Exists && got.Holder == l.instance {
		for _, t := range l.open {
			if t.Equal(got.RenewTime) {
				// Our own write, whose answer was lost. Renewed at the next step.
				return nil
			}
		}
	}
	if wasHeld && got.Holder != "" {
		l.held = false
		return fault.New(fault.Conflict, "lease_lost", "another agent of this cluster, %q, took the Lease %s", cut(got.Holder, 80), leaseName)
	}
	// Deleted or emptied by a person, or taken before we held it: the next step
	// looks again.
	return nil
}

const releaseTimeout = 3 * time.Second

func (l *Lease) release() {
	l.mu.Lock()
	rec, held := l.record, l.held
	l.held = false
	l.mu.Unlock()
	if !held {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	rec.Holder, rec.Duration = "", time.Second
	if _, err := l.api.PutLease(ctx, leaseName, rec); err != nil {
		l.log.Info("the agent's Lease was not given up; a successor waits until it expires", "error", err)
	}
}

type leaseJSON struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metaJSON `json:"metadata"`
	Spec       struct {
		Holder      *string `json:"holderIdentity,omitempty"`
		Seconds     *int    `json:"leaseDurationSeconds,omitempty"`
		AcquireTime string  `json:"acquireTime,omitempty"`
		RenewTime   string  `json:"renewTime,omitempty"`
		Transitions *int    `json:"leaseTransitions,omitempty"`
	} `json:"spec"`
}

const microTime = "2006-01-02T15:04:05.000000Z07:00"

func (l leaseJSON) record() LeaseRecord {
	r := LeaseRecord{Exists: true, ResourceVersion: l.Metadata.ResourceVersion}
	if l.Spec.Holder != nil {
		r.Holder = *l.Spec.Holder
	}
	if l.Spec.Seconds != nil {
		r.Duration = time.Duration(*l.Spec.Seconds) * time.Second
	}
	if l.Spec.Transitions != nil {
		r.Transitions = *l.Spec.Transitions
	}
	// The times are for people; what cannot be read is the zero time.
	r.AcquireTime, _ = time.Parse(microTime, l.Spec.AcquireTime)
	r.RenewTime, _ = time.Parse(microTime, l.Spec.RenewTime)
	return r
}

func (c *Client) leases() string {
	return "/apis/coordination.k8s.io/v1/namespaces/" + c.namespace + "/leases"
}

// GetLease implements LeaseAPI.
func (c *Client) GetLease(ctx context.Context, name string) (LeaseRecord, error) {
	var l leaseJSON
	if err := c.do(ctx, http.MethodGet, c.leases()+"/"+name, nil, nil, &l); err != nil {
		return LeaseRecord{}, err
	}
	return l.record(), nil
}

// PutLease implements LeaseAPI.
func (c *Client) PutLease(ctx context.Context, name string, r LeaseRecord) (LeaseRecord, error) {
	in := leaseJSON{APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Metadata: metaJSON{Name: name, ResourceVersion: r.ResourceVersion}}
	seconds := int(r.Duration / time.Second)
	in.Spec.Seconds, in.Spec.Transitions = &seconds, &r.Transitions
	if r.Holder != "" {
		in.Spec.Holder = &r.Holder
	}
	if !r.AcquireTime.IsZero() {
		in.Spec.AcquireTime = r.AcquireTime.UTC().Format(microTime)
	}
	in.Spec.RenewTime = r.RenewTime.UTC().Format(microTime)
	method, path := http.MethodPut, c.leases()+"/"+name
	if !r.Exists {
		method, path, in.Metadata.ResourceVersion = http.MethodPost, c.leases(), ""
	}
	var out leaseJSON
	if err := c.do(ctx, method, path, nil, in, &out); err != nil {
		return LeaseRecord{}, err
	}
	return out.record(), nil
}

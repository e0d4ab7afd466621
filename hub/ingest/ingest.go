package ingest

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// Store is what ingest needs of the database. Either method may fail as a
// whole, with nothing written, or leave out what is stale.
type Store interface {
	SaveReports(ctx context.Context, reports []fleet.Report) error
	Heartbeat(ctx context.Context, beats []fleet.Beat) error
}

// Options of New. Store is required; zero values have defaults.
type Options struct {
	Store Store
	// Acknowledge is called when everything of a session up to seq is stored or
	// superseded. It must not block.
	Acknowledge func(cluster model.ClusterID, epoch model.Epoch, seq uint64)
	// Publish is called with the applications of which something new was
	// stored. It must not block.
	Publish func(apps []model.AppUID)
	// Observer is told what becomes of reports; nil: nobody is.
	Observer Observer
	// Tracer makes spans of storing what carries on a trace; nil: none.
	Tracer trace.Tracer
	Log    *slog.Logger

	// Interval is the shortest time between the starts of two writes; the
	// first after a pause is immediate. Default 25 ms.
	Interval time.Duration
	// BeatInterval is the same for heartbeats alone. Default 1 s.
	BeatInterval time.Duration
	// Batch is the largest number of reports in one write. Default 500.
	Batch int
	// PerCluster bounds the applications of one cluster that wait, against an
	// agent that invents them. Default 50,000.
	PerCluster int
}

// Observer counts. Its methods must not block.
type Observer interface {
	// Stored: one batch was written, which took so long.
	Stored(reports []fleet.Report, took time.Duration)
	// Dropped reports are refused by the database for good.
	Dropped(n int)
}

type unobserved struct{}

func (unobserved) Stored([]fleet.Report, time.Duration) {}
func (unobserved) Dropped(int)                          {}

const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
	// writeTimeout ends a write that hangs.
	writeTimeout = 20 * time.Second
	// refusals of a single report by a database that answers, after which it is
	// taken for unstorable.
	refusals = 5
)

// Ingest is safe for concurrent use.
type Ingest struct {
	opts Options
	log  *slog.Logger
	wake chan struct{} // holds one

	mu       sync.Mutex
	queue    queue
	beats    map[model.ClusterID]fleet.Beat
	progress map[session]progress // of sessions with something to acknowledge
	overflow map[model.ClusterID]bool
}

// session is a cluster's agent session.
type session struct {
	cluster model.ClusterID
	epoch   model.Epoch
}

// progress is the highest number that a session offered and that it was told.
type progress struct{ offered, acknowledged uint64 }

// New makes an Ingest. It takes reports at once; Run writes them.
func New(opts Options) *Ingest {
	if opts.Acknowledge == nil {
		opts.Acknowledge = func(model.ClusterID, model.Epoch, uint64) {}
	}
	if opts.Publish == nil {
		opts.Publish = func([]model.AppUID) {}
	}
	opts.Tracer = tracing.Or(opts.Tracer)
	if opts.Observer == nil {
		opts.Observer = unobserved{}
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Interval <= 0 {
		opts.Interval = 25 * time.Millisecond
	}
	if opts.BeatInterval <= 0 {
		opts.BeatInterval = time.Second
	}
	if opts.Batch <= 0 {
		opts.Batch = 500
	}
	if opts.PerCluster <= 0 {
		opts.PerCluster = 50_000
	}
	return &Ingest{
		opts: opts, log: opts.Log, wake: make(chan struct{}, 1), queue: newQueue(),
		beats: map[model.ClusterID]fleet.Beat{}, progress: map[session]progress{}, overflow: map[model.ClusterID]bool{},
	}
}

// Offer takes a report. It does not wait for the database. What the report says of
// values of Secrets is left out before anybody sees it: the agent has done so, or is
// none of ours.
func (in *Ingest) Offer(r fleet.Report) {
	manifest.GuardStatus(&r.Status)
	if r.Tree != nil {
		*r.Tree = *manifest.GuardTree(r.Tree)
	}
	in.mu.Lock()
	accepted := in.queue.offer(r, in.opts.PerCluster)
	if accepted {
		s := session{r.Cluster, r.Epoch}
		p := in.progress[s]
		p.offered = max(p.offered, r.Seq)
		in.progress[s] = p
	}
	first := !accepted && !in.overflow[r.Cluster]
	if first {
		in.overflow[r.Cluster] = true
	}
	in.mu.Unlock()
	if first {
		in.log.Error("an agent reports more applications than one cluster may have waiting; the rest is left out",
			"cluster", r.Cluster, "limit", in.opts.PerCluster)
	}
	in.signal()
}

// Beat takes a heartbeat. It does not wait for the database.
func (in *Ingest) Beat(b fleet.Beat) {
	in.mu.Lock()
	if old, ok := in.beats[b.Cluster]; !ok || !b.Epoch.Less(old.Epoch) {
		in.beats[b.Cluster] = b
	}
	in.mu.Unlock()
	in.signal()
}

// Waiting is the number of applications of which a report waits to be written.
func (in *Ingest) Waiting() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.queue.waiting()
}

func (in *Ingest) signal() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// Run writes what is offered until ctx ends, and then once more what is left.
// It returns nil.
func (in *Ingest) Run(ctx context.Context) error {
	var (
		reportsAt, beatsAt time.Time // starts of the last writes
		backoff            time.Duration
		timer              = time.NewTimer(0)
	)
	<-timer.C
	defer timer.Stop()
	for {
		reports, beats := in.work()
		var due time.Time
		switch {
		case reports:
			due = reportsAt.Add(in.opts.Interval)
		case beats:
			due = beatsAt.Add(in.opts.BeatInterval)
		}
		now := time.Now()
		if (reports || beats) && !now.Before(due) && backoff == 0 {
			if reports {
				reportsAt = now
			}
			beatsAt = now
			if err := in.flush(ctx); err != nil && ctx.Err() == nil {
				backoff = firstBackoff
			}
			if ctx.Err() == nil {
				continue
			}
		}

		var tick <-chan time.Time
		wake := in.wake
		switch {
		case backoff > 0:
			// Nothing that arrives makes the database better.
			timer.Reset(backoff/2 + rand.N(backoff/2+1))
			tick, wake = timer.C, nil
		case reports || beats:
			timer.Reset(due.Sub(now))
			tick = timer.C
		}
		select {
		case <-ctx.Done():
			in.last(ctx)
			return nil
		case <-wake:
			timer.Stop()
			continue
		case <-tick:
		}
		if backoff > 0 {
			reportsAt, beatsAt = time.Now(), time.Now()
			if err := in.flush(ctx); err != nil {
				backoff = min(backoff*2, lastBackoff)
			} else {
				backoff = 0
			}
		}
	}
}

// last is the write at shutdown; what it cannot write, agents report again to
// the next hub.
func (in *Ingest) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for {
		reports, beats := in.work()
		if !reports && !beats {
			return
		}
		if err := in.flush(ctx); err != nil {
			in.log.Warn("not everything that agents reported was stored; they will report it again", "waiting", in.Waiting(), "error", err)
			return
		}
	}
}

func (in *Ingest) work() (reports, beats bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.queue.waiting() > 0, len(in.beats) > 0
}

// flush writes one batch of reports and the heartbeats that it allows.
func (in *Ingest) flush(ctx context.Context) error {
	in.mu.Lock()
	batch := in.queue.take(in.opts.Batch)
	in.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	stored, err := in.save(ctx, batch)

	in.mu.Lock()
	dropped := in.queue.settle(batch, stored)
	acks := in.acknowledgements()
	beats := in.takeBeats()
	if len(in.overflow) > 0 {
		clear(in.overflow)
	}
	in.mu.Unlock()

	if len(dropped) > 0 {
		in.opts.Observer.Dropped(len(dropped))
	}
	for _, r := range dropped {
		in.log.Error("the database refuses a report for good; it is left out", "cluster", r.Cluster, "application_uid", r.App, "seq", r.Seq)
	}
	if len(stored) > 0 {
		apps := make([]model.AppUID, 0, len(stored))
		for _, e := range stored {
			apps = append(apps, e.report.App)
		}
		in.opts.Publish(apps)
	}
	for s, seq := range acks {
		in.opts.Acknowledge(s.cluster, s.epoch, seq)
	}
	if err != nil {
		in.log.Warn("reports wait for the database", "waiting", in.Waiting(), "error", err)
		in.returnBeats(beats)
		return err
	}
	if len(beats) == 0 {
		return nil
	}
	if err := in.opts.Store.Heartbeat(ctx, beats); err != nil {
		in.log.Warn("heartbeats wait for the database", "error", err)
		in.returnBeats(beats)
		return err
	}
	return nil
}

// save writes a batch and returns what was stored. When the database answers
// but refuses, the batch is halved until the report that it refuses is alone;
// that one counts a refusal and the others are stored.
func (in *Ingest) save(ctx context.Context, batch []*entry) (stored []*entry, err error) {
	if len(batch) == 0 {
		return nil, nil
	}
	reports := make([]fleet.Report, len(batch))
	for i, e := range batch {
		reports[i] = e.report
	}
	start := time.Now()
	err = in.opts.Store.SaveReports(ctx, reports)
	switch {
	case err == nil:
		in.opts.Observer.Stored(reports, time.Since(start))
		in.trace(ctx, reports, start)
		return batch, nil
	case !fault.Is(err, fault.Internal) && !fault.Is(err, fault.Invalid):
		return nil, err
	case len(batch) == 1:
		batch[0].refused++
		return nil, err
	}
	half := len(batch) / 2
	first, err1 := in.save(ctx, batch[:half])
	second, err2 := in.save(ctx, batch[half:])
	if err1 == nil {
		err1 = err2
	}
	return append(first[:len(first):len(first)], second...), err1
}

// trace ends the traces whose success these reports are the first to show.
func (in *Ingest) trace(ctx context.Context, reports []fleet.Report, start time.Time) {
	for i := range reports {
		if reports[i].TraceParent == "" {
			continue
		}
		_, span := in.opts.Tracer.Start(tracing.Within(ctx, reports[i].TraceParent), "ingest", trace.WithTimestamp(start))
		span.End()
	}
}

// acknowledgements are the numbers below which nothing of a session waits. A
// session of which nothing waits is forgotten until it offers again.
func (in *Ingest) acknowledgements() map[session]uint64 {
	lowest := in.queue.lowest()
	out := map[session]uint64{}
	for s, p := range in.progress {
		low, waits := lowest[s]
		if !waits {
			out[s] = p.offered
			delete(in.progress, s)
		} else if low > p.acknowledged+1 {
			out[s], p.acknowledged = low-1, low-1
			in.progress[s] = p
		}
	}
	return out
}

// takeBeats takes the heartbeats that confirm nothing which still waits.
func (in *Ingest) takeBeats() []fleet.Beat {
	if len(in.beats) == 0 {
		return nil
	}
	lowest := in.queue.lowest()
	var out []fleet.Beat
	for c, b := range in.beats {
		if low, waits := lowest[session{b.Cluster, b.Epoch}]; waits && low <= b.Seq {
			continue
		}
		out = append(out, b)
		delete(in.beats, c)
	}
	return out
}

// returnBeats puts heartbeats back that could not be written, unless newer ones
// came.
func (in *Ingest) returnBeats(beats []fleet.Beat) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, b := range beats {
		if _, newer := in.beats[b.Cluster]; !newer {
			in.beats[b.Cluster] = b
		}
	}
}

package source

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// Resolver asks one repository what its targets are, as *Sources does.
type Resolver interface {
	Resolve(ctx context.Context, repoURL string, targets []fleet.Target) (map[fleet.Target]Resolved, error)
}

// PollerOptions of a Poller.
type PollerOptions struct {
	Sources Resolver
	// Changed is called after each look that found something else than the
	// look before (a commit, an error, or their end), after the first, and
	// after one that a new target caused.
	// err is about the repository as a whole and resolved is then nil; the
	// last good state is the receiver's to keep. Calls for one repository come
	// one after the other.
	Changed func(repoURL string, resolved map[fleet.Target]Resolved, err error)
	// ChangedIn is called in place of Changed when it is set, in the trace of what
	// caused the look: of a poke, or one that begins with the poll.
	ChangedIn func(ctx context.Context, repoURL string, resolved map[fleet.Target]Resolved, err error)
	// Tracer makes a span of each look that found something else; nil: none.
	Tracer trace.Tracer
	// Looked is called after every look, for bookkeeping; may be nil.
	Looked func(repoURL string, at time.Time, err error)
	// Interval between looks; 0 means three minutes. Each wait differs by up
	// to Jitter (0 means a tenth) of it.
	Interval time.Duration
	Jitter   float64
	// Timeout of one look; 0 means six minutes.
	Timeout time.Duration
	// RetryAfter is the first wait after a failed look; it doubles up to
	// Interval. 0 means five seconds.
	RetryAfter time.Duration
	Log        *slog.Logger
}

// Poller looks at repositories: once per interval each, whoever is interested,
// and at once when poked.
type Poller struct {
	opts PollerOptions

	mu    sync.Mutex
	run   context.Context // nil before Run
	repos map[string]*watched
	// leaving are the goroutines of repositories that nobody follows any more,
	// as long as they run: whoever follows one again waits for the end of its
	// last look, so that an old answer does not come after a new one.
	leaving map[string]chan struct{}
	done    sync.WaitGroup
}

// watched is one repository under watch; its goroutine belongs to Run.
type watched struct {
	url     string
	wake    chan struct{} // holds at most one token: one more look
	cancel  context.CancelFunc
	ended   chan struct{}  // closed when the goroutine has ended
	targets []fleet.Target // sorted; guarded by Poller.mu
	// news: a target was added since the last look. Whoever added it waits
	// for an answer, also when it is what an earlier look found. Guarded by
	// Poller.mu.
	news bool
	// cause is the place in a trace of the newest poke that no look has answered.
	// Guarded by Poller.mu.
	cause trace.SpanContext
}

// NewPoller makes a Poller; Run starts it.
func NewPoller(opts PollerOptions) *Poller {
	if opts.Interval <= 0 {
		opts.Interval = 3 * time.Minute
	}
	if opts.Jitter <= 0 || opts.Jitter >= 1 {
		opts.Jitter = 0.1
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 6 * time.Minute
	}
	if opts.RetryAfter <= 0 {
		opts.RetryAfter = 5 * time.Second
	}
	opts.RetryAfter = min(opts.RetryAfter, opts.Interval)
	opts.Tracer = tracing.Or(opts.Tracer)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Poller{opts: opts, repos: map[string]*watched{}, leaving: map[string]chan struct{}{}}
}

// Run looks until ctx ends, and returns when every look has ended.
func (p *Poller) Run(ctx context.Context) {
	p.mu.Lock()
	p.run = ctx
	for _, w := range p.repos {
		p.start(w)
	}
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	p.run = nil
	p.mu.Unlock()
	p.done.Wait()
}

// SetTargets says what is of interest, in place of what was said before. A new
// repository, or a new target of one, is looked at without delay. It does not
// block on the network.
func (p *Poller) SetTargets(targets []fleet.Target) {
	byRepository := map[string][]fleet.Target{}
	for _, t := range targets {
		byRepository[t.RepoURL] = append(byRepository[t.RepoURL], t)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for url, w := range p.repos {
		if len(byRepository[url]) == 0 {
			if w.cancel != nil {
				w.cancel()
				p.leaving[url] = w.ended
			}
			delete(p.repos, url)
		}
	}
	for url, list := range byRepository {
		slices.SortFunc(list, compareTargets)
		list = slices.Compact(list)
		w, ok := p.repos[url]
		if !ok {
			w = &watched{url: url, wake: make(chan struct{}, 1), targets: list}
			p.repos[url] = w
			if p.run != nil {
				p.start(w)
			}
			continue
		}
		news := slices.ContainsFunc(list, func(t fleet.Target) bool {
			_, known := slices.BinarySearchFunc(w.targets, t, compareTargets)
			return !known
		})
		w.targets = list
		if news {
			w.news = true
			w.poke()
		}
	}
}

func compareTargets(a, b fleet.Target) int {
	return cmp.Or(strings.Compare(a.RepoURL, b.RepoURL), strings.Compare(a.Chart, b.Chart),
		strings.Compare(a.Revision, b.Revision), strings.Compare(a.TagPrefix, b.TagPrefix), compareBools(a.PassCredentials, b.PassCredentials))
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Poke asks for a look at once and reports whether the repository is under
// watch. Pokes during a look cause exactly one more.
func (p *Poller) Poke(repoURL string) bool { return p.PokeIn(context.Background(), repoURL) }

// PokeIn is Poke in the trace of ctx, which is asked for nothing else.
func (p *Poller) PokeIn(ctx context.Context, repoURL string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, ok := p.repos[repoURL]
	if ok {
		if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
			w.cause = sc
		}
		w.poke()
	}
	return ok
}

// Repositories are the URLs under watch, in no order.
func (p *Poller) Repositories() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.repos))
}

func (w *watched) poke() {
	select {
	case w.wake <- struct{}{}:
	default: // a look is due already
	}
}

// start begins the goroutine of a repository. p.mu is held.
func (p *Poller) start(w *watched) {
	if w.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(p.run)
	w.cancel, w.ended = cancel, make(chan struct{})
	before := p.leaving[w.url]
	p.done.Add(1)
	go func() {
		defer p.done.Done()
		defer cancel()
		defer p.left(w)
		if before != nil {
			<-before // it was cancelled
		}
		p.watch(ctx, w)
	}()
}

// left notes that the goroutine of a repository ends.
func (p *Poller) left(w *watched) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leaving[w.url] == w.ended {
		delete(p.leaving, w.url)
	}
	close(w.ended)
}

func (p *Poller) watch(ctx context.Context, w *watched) {
	var last map[fleet.Target]string
	retry := p.opts.RetryAfter
	for {
		p.mu.Lock()
		targets := w.targets
		if w.news {
			w.news, last = false, nil
		}
		cause := w.cause
		w.cause = trace.SpanContext{}
		p.mu.Unlock()
		// One that finds nothing new is not ended, and so not told.
		spanCtx, span := p.span(ctx, w.url, cause)
		resolved, err := p.look(spanCtx, w.url, targets)
		if ctx.Err() != nil {
			return // stopped, or nobody is interested any more
		}
		if p.opts.Looked != nil {
			p.opts.Looked(w.url, time.Now(), err)
		}
		if seen := outcome(resolved, err); last == nil || !maps.Equal(seen, last) {
			last = seen
			if err != nil {
				resolved = nil
				p.opts.Log.Warn("repository cannot be read", "repository", Mask(w.url), "error", err)
			}
			if err != nil {
				span.SetStatus(codes.Error, fault.As(err).Code)
			}
			span.End()
			if p.opts.ChangedIn != nil {
				p.opts.ChangedIn(spanCtx, w.url, resolved, err)
			} else {
				p.opts.Changed(w.url, resolved, err)
			}
		}
		wait := p.opts.Interval
		if err != nil {
			wait = min(retry, p.opts.Interval)
			retry = min(2*retry, p.opts.Interval)
		} else {
			retry = p.opts.RetryAfter
		}
		if !w.sleep(ctx, jitter(wait, p.opts.Jitter)) {
			return
		}
	}
}

// span begins the span of a look: in the trace that caused it, or in one of its
// own, a poll.
func (p *Poller) span(ctx context.Context, url string, cause trace.SpanContext) (context.Context, trace.Span) {
	name := "source.poll"
	if cause.IsValid() {
		ctx, name = tracing.At(ctx, cause), "source.resolve"
	}
	ctx, span := p.opts.Tracer.Start(ctx, name)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("repository", Mask(url)))
	}
	return ctx, span
}

func (p *Poller) look(ctx context.Context, url string, targets []fleet.Target) (map[fleet.Target]Resolved, error) {
	ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	resolved, err := p.opts.Sources.Resolve(ctx, url, targets)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fault.Wrap(err, fault.Upstream, "git_unavailable", "%s did not answer within %s", Mask(url), p.opts.Timeout)
	}
	return resolved, err
}

// sleep waits for the time, a poke or the end.
func (w *watched) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-w.wake:
	}
	return true
}

func jitter(d time.Duration, share float64) time.Duration {
	return time.Duration(float64(d) * (1 + share*(2*rand.Float64()-1)))
}

// outcome is what a look found, in a form that can be compared.
func outcome(resolved map[fleet.Target]Resolved, err error) map[fleet.Target]string {
	if err != nil {
		return map[fleet.Target]string{{}: "error " + err.Error()}
	}
	out := make(map[fleet.Target]string, len(resolved))
	for t, v := range resolved {
		out[t] = v.Commit
		if v.Tag != "" {
			out[t] += " " + v.Tag // another signature is news
		}
		if v.Err != nil {
			out[t] = "error " + v.Err.Error()
		}
	}
	return out
}

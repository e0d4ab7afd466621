package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Waiting times of a reflector. Retries use full jitter between nothing and a
// bound that doubles from retryFirst to retryCap.
const (
	retryFirst = 100 * time.Millisecond
	retryCap   = 10 * time.Second
	// retryRefused is the cap where the server answers that it will not serve
	// the kind, which only an administrator changes.
	retryRefused = 60 * time.Second
	// expiryCap bounds the pause of a kind that is listed again and again, as the
	// server forgets at once what it has listed.
	expiryCap = 30 * time.Second
	// livePeriod: a kind that was live for so long and then has to be listed again
	// is not the fault of the server, which keeps a history of some minutes only.
	livePeriod = time.Minute
	// quickEnd: a watch that ends sooner than this without an error counts as a
	// failure, so that a broken server is not asked in a loop.
	quickEnd = time.Second
)

// reflector keeps the store's records of one kind equal to the server's.
type reflector struct {
	o    *Observer
	gk   model.GroupKind
	full atomic.Bool // whole objects, else metadata only
	// again: the objects are to be listed again, as their judgement changed.
	again atomic.Bool
	// unreachable: the last attempt failed because the API server could not be
	// reached, so any success of another kind is a reason to try again.
	unreachable atomic.Bool

	// after is closed when the one before of the same kind has ended, nil for none;
	// done when this one has. stop ends it. Observer.mu guards stop.
	after <-chan struct{}
	done  chan struct{}
	stop  context.CancelFunc

	mu     sync.Mutex
	cancel context.CancelFunc // ends the session that is running
	path   string             // what the session lists and watches
	poke   chan struct{}      // discovery changed, or the content wanted did

	// Used by run only.
	at        place    // the whole cluster
	places    []*place // the namespaces of Options.Namespaces, when there are any
	listed    bool     // full value of the last list
	noStream  bool     // the server cannot list through a watch
	noExclude bool     // the server refuses our field selector
	failures  int
	// relists counts the lists that had to be made again without a livePeriod
	// between them; liveSince is when the last one became live, zero since it
	// counts no more.
	relists   int
	liveSince time.Time
}

// place is how far what is watched in one go has come.
type place struct {
	namespace string // "" for all
	version   string // resource version to watch from; "" asks for a list
	bookmarks bool   // the server sends bookmarks, so silence means something
}

func newReflector(o *Observer, gk model.GroupKind, full bool) *reflector {
	r := &reflector{o: o, gk: gk, poke: make(chan struct{}, 1), done: make(chan struct{})}
	r.full.Store(full)
	return r
}

// restart ends the running session; the next one lists again.
func (r *reflector) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel != nil {
		r.cancel()
	}
	r.wake()
}

// servedAt reports whether the reflector watches path already.
func (r *reflector) servedAt(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.path == path
}

// setPath reports whether the path is another one than before.
func (r *reflector) setPath(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := r.path != path
	r.path = path
	return changed
}

// wake ends a wait before its time.
func (r *reflector) wake() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// run lists and watches until ctx ends.
func (r *reflector) run(ctx context.Context) {
	for ctx.Err() == nil {
		kind, err := r.o.disc.lookup(r.gk)
		switch {
		case fault.HasCode(err, codeKindUnknown):
			r.at.version = ""
			r.setPath("")
			r.setState(stateGone, fault.As(err).Message)
			r.wait(ctx, time.Hour) // discovery wakes it
			continue
		case err != nil:
			r.setState(stateBroken, fault.As(err).Message)
			r.wait(ctx, retryCap)
			continue
		case !kind.Watchable:
			r.at.version = ""
			r.setState(stateGone, fmt.Sprintf("the cluster cannot list and watch kind %s", r.gk))
			r.wait(ctx, time.Hour)
			continue
		}
		if scope := r.o.opts.Namespaces; len(scope) > 0 && !kind.Namespaced {
			r.at.version = ""
			r.setState(stateBroken, fmt.Sprintf("its objects have no namespace, and the agent looks only into %s", strings.Join(scope, ", ")))
			r.wait(ctx, time.Hour)
			continue
		}
		began := r.o.now()
		sctx, cancel := context.WithCancel(ctx)
		r.mu.Lock()
		r.cancel = cancel
		r.mu.Unlock()
		err = r.session(sctx, kind)
		restarted := sctx.Err() != nil && ctx.Err() == nil
		cancel()
		if ctx.Err() != nil {
			return
		}
		if restarted {
			r.at.version, r.failures = "", 0
			continue
		}
		if err == nil && r.o.now().Sub(began) >= quickEnd {
			r.failures = 0
			continue
		}
		r.handle(ctx, err)
	}
}

// handle decides what the end of a session means and waits as long as it asks.
func (r *reflector) handle(ctx context.Context, err error) {
	if pause := r.judgeEnd(err); pause > 0 {
		r.wait(ctx, pause)
	}
}

// judgeEnd notes what the end of a session means, and says how long to wait
// before the next.
func (r *reflector) judgeEnd(err error) time.Duration {
	var se *statusError
	status := errors.As(err, &se)
	switch {
	case errors.Is(err, errNoStream):
		r.noStream, r.at.version = true, ""
		return 0
	case errors.Is(err, errNoExclude):
		r.noExclude, r.at.version = true, ""
		return 0
	case status && isExpired(se):
		// The server no longer has our place in the history. Everybody who
		// watches is told so at once, so do not all list at once.
		r.at.version = ""
		r.setState(stateBroken, "it is listed again")
		n := r.countRelist()
		r.o.log.Debug("listing again", "kind", r.gk.String(), "reason", se.reason, "times", n)
		least, most := expiryPause(n)
		pause := least + rand.N(most-least)
		if se.retryAfter > 0 {
			pause = max(pause, se.retryAfter+rand.N(se.retryAfter/2+1))
		}
		return pause
	}
	r.failures++
	longest := retryCap
	reason := "its watch ends at once"
	switch {
	case status && se.code == http.StatusNotFound:
		// Served a moment ago; discovery decides whether it still is.
		r.at.version = ""
		r.failures = max(r.failures, r.countRelist())
		r.o.disc.refreshSoon()
		reason = "the cluster answers that it does not serve it"
	case status && (se.code == http.StatusForbidden || se.code == http.StatusUnauthorized || se.code == http.StatusMethodNotAllowed):
		longest = retryRefused
		reason = "the cluster refuses to let the agent watch it: " + se.Error()
	case status:
		reason = "the cluster answers: " + se.Error()
	case fault.HasCode(err, "object_unreadable") || errors.Is(err, errJSON) || errors.Is(err, errFrameTooLarge):
		// A list that can be read, which forgets failures, is no reason to hurry.
		r.at.version = ""
		r.failures = max(r.failures, r.countRelist())
		longest = retryRefused
		reason = "the cluster sends objects that cannot be read"
	case err != nil:
		reason = "the connection to the cluster's API server fails"
		r.unreachable.Store(true)
	}
	if err != nil {
		if r.setState(stateBroken, reason) || r.failures == 1 {
			r.o.log.Warn("watch failed", "kind", r.gk.String(), "error", err)
		}
	}
	pause := retryFirst << min(r.failures-1, 20)
	if pause > longest || pause <= 0 {
		pause = longest
	}
	pause = rand.N(pause)
	if status && se.retryAfter > 0 {
		// At least as long as the server asks, and longer when it keeps asking.
		pause = max(pause, se.retryAfter+rand.N(se.retryAfter/2+1))
	}
	return pause
}

// countRelist counts a list that has to be made again, and returns how many there
// were in a row.
func (r *reflector) countRelist() int {
	if !r.liveSince.IsZero() && r.o.now().Sub(r.liveSince) >= r.o.silence.live {
		r.relists = 0
	}
	r.relists++
	r.liveSince = time.Time{}
	return r.relists
}

// expiryPause is between what to wait before the list that the n-th expiry in a
// row asks for, n from 1. The first is spread over a second only; from then on
// the range doubles, up to expiryCap.
func expiryPause(n int) (least, most time.Duration) {
	if n <= 1 {
		return 0, time.Second
	}
	most = min(time.Second<<min(n-1, 10), expiryCap)
	return most / 2, most
}

// isExpired: the resource version is too old, or the server is not as far.
func isExpired(e *statusError) bool {
	return e.code == http.StatusGone || e.reason == "Expired" || e.reason == "Gone" ||
		e.code == http.StatusGatewayTimeout && e.reason == "Timeout"
}

func (r *reflector) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-r.poke:
	}
}

func (r *reflector) setState(st state, reason string) bool {
	changed := r.o.store.setState(r.gk, st, reason)
	if changed {
		r.o.kindChanged(r.gk)
	}
	return changed
}

func (r *reflector) emit(evs ...live.Event) {
	for _, ev := range evs {
		r.o.queue.add(ev)
	}
}

// wakeUnreachable lets every kind that waits for the API server try again.
func (o *Observer) wakeUnreachable() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.wanted {
		if r.unreachable.Swap(false) {
			r.wake()
		}
	}
}

// cleanEnd tells the end of a watch from its failure.
func cleanEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

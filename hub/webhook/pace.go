package webhook

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Looks at one repository that events cause: so many at once, which no team
// pushes, and so many a second after that. An event beyond them is not lost; it and all that follow
// become one look, as soon as one may be.
const (
	looksAtOnce    = 300
	looksPerSecond = 1
	// maxPaced is when repositories are forgotten that have recovered; there are
	// never more than are under watch, or were a minute ago.
	maxPaced = 4096
)

// pacer keeps events, of strangers or of a server that repeats itself, from
// making the hub ask a Git server without end. It is safe for concurrent use.
type pacer struct {
	poke func(ctx context.Context, repoURL string)

	mu sync.Mutex
	by map[string]*pace
}

// pace of one repository.
type pace struct {
	limit *rate.Limiter
	due   bool // a look was put off and is still to come
}

func newPacer(poke func(context.Context, string)) *pacer {
	return &pacer{poke: poke, by: map[string]*pace{}}
}

// look pokes now or, once, a little later. It does not block.
func (p *pacer) look(ctx context.Context, repoURL string) {
	now := time.Now()
	p.mu.Lock()
	own := p.by[repoURL]
	if own == nil {
		p.tidy(now)
		own = &pace{limit: rate.NewLimiter(looksPerSecond, looksAtOnce)}
		p.by[repoURL] = own
	}
	if own.due { // it sees this event too
		p.mu.Unlock()
		return
	}
	wait := own.limit.ReserveN(now, 1).DelayFrom(now)
	own.due = wait > 0
	p.mu.Unlock()
	if wait <= 0 {
		p.poke(ctx, repoURL)
		return
	}
	time.AfterFunc(wait, func() {
		p.mu.Lock()
		own.due = false // before the look: an event that comes now has another
		p.mu.Unlock()
		p.poke(ctx, repoURL)
	})
}

// tidy forgets repositories that have recovered. p.mu is held.
func (p *pacer) tidy(now time.Time) {
	if len(p.by) < maxPaced {
		return
	}
	for url, own := range p.by {
		if !own.due && own.limit.TokensAt(now) >= looksAtOnce {
			delete(p.by, url)
		}
	}
}

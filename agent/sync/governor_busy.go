package sync

import "time"

const (
	// oftenThrottled: fewer refusals are the everyday life of an API server.
	oftenThrottled = 5
	// throttledLately is how long after a refusal a server counts as too busy.
	throttledLately = time.Minute
)

// throttling is how often the API server has lately refused for being too busy, or
// failed.
type throttling struct {
	times       int
	since, last time.Time
	told        bool
}

// Throttled says how often the API server has refused requests for being too busy, or
// failed them, since when, without a pause of a minute; 0 when that is not worth a word.
func (g *Governor) Throttled() (times int, since time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.busy; t.told {
		return t.times, t.since
	}
	return 0, time.Time{}
}

// throttled counts a refusal.
func (g *Governor) throttled() {
	g.mu.Lock()
	now := g.now()
	if g.busy.times == 0 {
		g.busy.since = now
		time.AfterFunc(throttledLately, g.calm)
	}
	g.busy.times++
	g.busy.last = now
	tell := !g.busy.told && g.busy.times >= oftenThrottled
	g.busy.told = g.busy.told || tell
	g.mu.Unlock()
	if tell {
		g.news()
	}
}

// calm looks whether the server is itself again, and otherwise comes back.
func (g *Governor) calm() {
	g.mu.Lock()
	rest := g.busy.last.Add(throttledLately).Sub(g.now())
	told := g.busy.told
	if rest <= 0 {
		g.busy = throttling{}
	} else {
		time.AfterFunc(rest, g.calm)
	}
	g.mu.Unlock()
	if rest <= 0 && told {
		g.news()
	}
}

func (g *Governor) news() {
	if g.Changed != nil {
		g.Changed()
	}
}

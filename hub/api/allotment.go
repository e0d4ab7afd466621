package api

import "sync"

// allotment counts what goes on for somebody at a time. The zero value is ready; it is
// safe for concurrent use.
type allotment struct {
	mu sync.Mutex
	by map[string]int
}

// take takes one of the most places that somebody has, which free gives back. Without
// one left ok is false.
func (p *allotment) take(who string, most int) (free func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by[who] >= most {
		return nil, false
	}
	if p.by == nil {
		p.by = map[string]int{}
	}
	p.by[who]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.by[who]--; p.by[who] == 0 {
			delete(p.by, who)
		}
	}, true
}

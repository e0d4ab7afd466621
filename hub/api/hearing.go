package api

import (
	"sync"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// maxHearing is how many event streams one person, or one token, has open at a hub:
// each costs a connection and its buffers for as long as somebody likes.
const maxHearing = 250

// hearing counts the open event streams by who listens. The zero value is ready.
type hearing struct {
	most int // 0: maxHearing

	mu sync.Mutex
	by map[string]int
}

// listenerOf is who listens: the person of a session, however often he has logged in,
// or a token, whoever issued it: programs do not take each other's places.
func listenerOf(t fleet.APIToken) string {
	if t.Session != nil {
		return fleet.Holder(t)
	}
	return "token " + t.ID
}

// begin takes a place for a stream, which end gives back. Code: access_limit
// (RateLimited).
func (h *hearing) begin(t fleet.APIToken) (end func(), err error) {
	who, most := listenerOf(t), h.most
	if most == 0 {
		most = maxHearing
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by[who] >= most {
		return nil, fault.New(fault.RateLimited, "access_limit", "you have %d event streams open; that is the limit", most).WithFix("close some that you do not need")
	}
	if h.by == nil {
		h.by = map[string]int{}
	}
	h.by[who]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.by[who]--; h.by[who] == 0 {
			delete(h.by, who)
		}
	}, nil
}

package api

import (
	"cmp"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// maxHearing is how many event streams one person, or one token, has open at a hub:
// each costs a connection and its buffers for as long as somebody likes.
const maxHearing = 250

// hearing counts the open event streams by who listens. The zero value is ready.
type hearing struct {
	most int // 0: maxHearing

	allotment
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
	most := cmp.Or(h.most, maxHearing)
	end, ok := h.take(listenerOf(t), most)
	if !ok {
		return nil, fault.New(fault.RateLimited, "access_limit", "you have %d event streams open; that is the limit", most).WithFix("close some that you do not need")
	}
	return end, nil
}

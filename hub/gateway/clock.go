package gateway

import "time"

// An observation's age is the agent's own difference of two readings of its
// clock; only the hub's clock may say when that was. offset keeps the smallest
// difference between the hub's clock at arrival and the agent's at sending: the
// clocks' difference plus the shortest time that a message ever took, so that a
// message which queued for long does not look young.
type clockOffset struct {
	known bool
	min   time.Duration
}

// tolerated is the difference that is left alone: synchronised clocks are
// within it, and their readings are better than the estimate.
const toleratedOffset = 2 * time.Second

func (c *clockOffset) observe(hubNow, sentAt time.Time) {
	if d := hubNow.Sub(sentAt); !c.known || d < c.min {
		c.known, c.min = true, d
	}
}

// toHub turns a reading of the agent's clock into one of the hub's. What would
// lie in the hub's future is now.
func (c *clockOffset) toHub(agentTime, hubNow time.Time) time.Time {
	t := agentTime
	if c.known && (c.min > toleratedOffset || c.min < -toleratedOffset) {
		t = agentTime.Add(c.min)
	}
	if t.After(hubNow) {
		return hubNow
	}
	return t
}

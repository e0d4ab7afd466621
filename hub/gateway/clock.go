package gateway

import "time"

// An observation's age is the agent's own difference of two readings of its
// clock; only the hub's clock may say when that was. offset keeps the smallest
// difference between the hub's clock at arrival and the agent's at sending: the
// clocks' difference plus the shortest time that a message ever took, so that a
// message which queued for long does not look young. It is forgotten when a
// heartbeat proves that a clock was set since.
type clockOffset struct {
	known bool
	min   time.Duration
	// last is the difference of the heartbeat before, when beaten.
	last   time.Duration
	beaten bool
}

// tolerated is the difference that is left alone: synchronised clocks are
// within it, and their readings are better than the estimate.
const toleratedOffset = 2 * time.Second

func (c *clockOffset) observe(hubNow, sentAt time.Time) {
	if d := hubNow.Sub(sentAt); !c.known || d < c.min {
		c.known, c.min = true, d
	}
}

// beat is a heartbeat that was sent at sentAt and says how long the one before took
// until its answer was there, 0 for nothing. That one was no longer on its way than
// this, so the clocks differ by no less than its difference without this: when the
// smallest is smaller, it is of before a clock was set. An answer that took an
// interval may have been to an older heartbeat, and proves nothing.
func (c *clockOffset) beat(hubNow, sentAt time.Time, took, interval time.Duration) {
	d := hubNow.Sub(sentAt)
	if c.beaten && took > 0 && took < interval && c.min < c.last-took {
		c.min = min(c.last, d)
	}
	c.last, c.beaten = d, true
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

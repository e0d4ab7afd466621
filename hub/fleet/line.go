package fleet

import (
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// MostConnections are the lines that are kept of a cluster's connections, about.
const MostConnections = 200

// SessionEnd is why a session ended. Without a code the agent left in good order.
type SessionEnd struct{ Code, Message string }

// Line is how a cluster's agent is connected.
type Line struct {
	// Opened and Closed are of the newest session, LastSeen its last sign of life; all
	// nil when there was none.
	Opened, Closed, LastSeen *time.Time
	// RoundTrip and ClockAhead are the last that the newest session told, 0 for nothing.
	RoundTrip, ClockAhead time.Duration
	// Log is what is kept of its connections, the newest first.
	Log []Connection
}

// Connection is a line of that log: HappenedConnected or HappenedLost.
type Connection struct {
	At   time.Time
	Kind string
	SessionEnd
}

// Reconnects counts the connections since a time that were not the cluster's first.
// from is later than that time when not all are kept since then.
func (l *Line) Reconnects(since time.Time) (n int, from time.Time) {
	from = since
	for i, c := range l.Log {
		if c.At.Before(since) {
			return n, from
		}
		first := i == len(l.Log)-1
		if c.Kind == HappenedConnected && (!first || len(l.Log) >= MostConnections) {
			n++
		}
		if first && len(l.Log) >= MostConnections {
			from = c.At
		}
	}
	return n, from
}

// Happened are the lines of the log since a time, as a timeline tells them.
func (l *Line) Happened(cluster string, since time.Time) (out []Happened) {
	for _, c := range l.Log {
		if c.At.Before(since) {
			break
		}
		out = append(out, Happened{At: c.At, Kind: c.Kind, Cluster: cluster, Code: c.Code, Message: c.Message})
	}
	return out
}

// QueuedChange is something that an agent is to take and has not acknowledged.
type QueuedChange struct {
	App     model.AppUID `json:"uid"`
	Name    string       `json:"name"`
	Project string       `json:"project"`
	// What it is: update of the desired state, or delete.
	What       string           `json:"what"`
	Generation model.Generation `json:"generation"`
	Since      time.Time        `json:"since"`
}

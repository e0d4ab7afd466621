package fleet

import (
	"slices"
	"time"
)

// TimelineMinutes are told by a timeline: the minute that runs, and those before it.
const TimelineMinutes = 60

// Kinds of what a timeline tells of.
const (
	HappenedSynced    = "synced"    // an operation other than a dry run that succeeded
	HappenedFailed    = "failed"    // one that failed, or expired
	HappenedDegraded  = "degraded"  // an application became so
	HappenedDrifted   = "drifted"   // live objects are not as they were made any more
	HappenedLost      = "lost"      // a cluster does not report any more
	HappenedConnected = "connected" // a cluster reports, again or for the first time
	HappenedRefused   = "refused"   // a cluster's agent was not let in; told of one cluster only
)

// TimelineKinds in the order in which they are told.
var TimelineKinds = []string{HappenedSynced, HappenedFailed, HappenedDegraded, HappenedDrifted, HappenedLost, HappenedConnected, HappenedRefused}

// KnownHappened reports whether a word is one of TimelineKinds.
func KnownHappened(kind string) bool { return slices.Contains(TimelineKinds, kind) }

// TimelineQuery is what somebody wants of a timeline.
type TimelineQuery struct {
	// Project narrows as it does in MapQuery.
	Project string
	// Cluster, by name, leaves what happened there. Line is what the database knows of
	// its connections and refusals, each of them: it counts in place of what reads found.
	Cluster string
	Line    []Happened
	// Kinds and Minute narrow what is listed, and not what is counted: nil and the
	// zero time are everything.
	Kinds  []string
	Minute time.Time
	Sight
}

// FleetTimeline is what happened in the last hour, as far as somebody sees it.
type FleetTimeline struct {
	// AsOf and Away are those of FleetMap.
	AsOf time.Time `json:"asOf,omitzero"`
	Away bool      `json:"away,omitempty"`
	// From is when the first minute began. The n-th number of each kind of Counts is of
	// the n-th minute from then on; a kind that is not there did not happen.
	From   time.Time        `json:"from"`
	Counts map[string][]int `json:"counts"`
	// KnownSince is set when not everything before it is known: the hub has not run
	// for longer, or more happened than it keeps.
	KnownSince *time.Time `json:"knownSince,omitempty"`
	// Newest are at most 50, the newest first; More counts the others that were asked
	// for.
	Newest []Happened `json:"newest"`
	More   int        `json:"more,omitempty"`
	// Reconnects is how often the agent of the cluster that was asked for has come back;
	// nil when none was.
	Reconnects *int `json:"reconnects,omitempty"`
}

// Happened is one thing that a timeline tells of: of an application, or of a cluster.
type Happened struct {
	At          time.Time `json:"at"`
	Kind        string    `json:"kind"`
	Application string    `json:"application,omitempty"`
	Project     string    `json:"project,omitempty"`
	Cluster     string    `json:"cluster,omitempty"`
	// Operation that ended, and its message or that of the health.
	Operation string `json:"operation,omitempty"`
	Message   string `json:"message,omitempty"`
	// Code of why a connection ended, or an agent was refused, and its number where it
	// has one. An agent that left in good order has none.
	Code string `json:"code,omitempty"`
	ID   string `json:"id,omitempty"`
}

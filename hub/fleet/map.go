package fleet

import "time"

// MapQuery is what somebody wants of a map.
type MapQuery struct {
	// Filter of clusters; those that it does not select are dimmed.
	Filter string
	// Project, when set, narrows to its applications, and the clusters that have some
	// or are reserved for it.
	Project string
	Sight
}

// FleetMap is all clusters that somebody sees, in columns: the n-th value of each is
// about the n-th cluster, by name. Thousands of clusters fit into one answer.
type FleetMap struct {
	// AsOf is when this was known to hold. Away: the database does not answer, and
	// what others have written since is not in it.
	AsOf time.Time `json:"asOf,omitzero"`
	Away bool      `json:"away,omitempty"`
	// ClusterCounts and ApplicationCounts are those of FleetSummary, of what is here.
	ClusterCounts     ClusterCounts     `json:"clusterCounts"`
	ApplicationCounts ApplicationCounts `json:"applicationCounts"`

	Names []string `json:"names"`
	// State is connected, offline, never, revoked or held.
	State Column `json:"state"`
	// LastSeen is in Unix seconds, 0 of those that are connected or were never seen.
	LastSeen []int64 `json:"lastSeen"`
	// Worst is the word of MapStates of what is worst on the cluster as far as it is
	// known: of one that does not report it is what was known when it last did.
	Worst Column `json:"worst"`
	// Applications on the cluster, and how many of them are in each state of
	// MapStates. What is not reported of lately is in stale and in no other sum.
	Applications []int            `json:"applications"`
	Counts       map[string][]int `json:"counts"`
	Kubernetes   Column           `json:"kubernetes"`
	Agent        Column           `json:"agent"`
	// Labels are columns of labels, without those of which nearly each cluster has
	// another value: nothing can be grouped by them. Those are named.
	Labels   map[string]Column `json:"labels"`
	Unlisted []string          `json:"unlistedLabels,omitempty"`
	// Dimmed are the positions of clusters that the filter does not select.
	Dimmed []int `json:"dimmed,omitempty"`
	// Attention is what somebody should look at, the most urgent first.
	Attention []Attention `json:"attention"`
}

// Column has few different values: Of are positions in Values.
type Column struct {
	Values []string `json:"values"`
	Of     []int    `json:"of"`
}

// MapStates are what applications of a map are counted by, the worst first. An
// application is counted by the worst that is so; failed is its last operation, and
// stale and none are clusters of which nothing is known, and that have no
// applications.
var MapStates = []string{"degraded", "missing", "failed", "drifted", "progressing", "pending", "unknown", "suspended", "healthy", "stale", "none"}

// Kinds of Attention, the most urgent first.
const (
	AttentionHeld        = "held"        // a cluster's agents wait until somebody allows them
	AttentionOffline     = "offline"     // a cluster does not report
	AttentionDegraded    = "degraded"    // an application
	AttentionMissing     = "missing"     // objects of an application are not there
	AttentionFailed      = "failed"      // its last operation
	AttentionStuck       = "stuck"       // its operation has been under way for long
	AttentionUnrendered  = "unrendered"  // its newest revision cannot be rendered
	AttentionDrifted     = "drifted"     // live objects are not as they were made
	AttentionCertificate = "certificate" // of an agent, which ends soon and was not renewed
)

// Attention is something to look at: a cluster, an application, or so many more of
// one kind.
type Attention struct {
	Kind        string     `json:"kind"`
	Cluster     string     `json:"cluster,omitempty"`
	Application string     `json:"application,omitempty"`
	Project     string     `json:"project,omitempty"`
	Since       *time.Time `json:"since,omitempty"`
	Message     string     `json:"message,omitempty"`
	// Production: the cluster is labelled as that.
	Production bool `json:"production,omitempty"`
	// More counts the others of the kind, which are not listed.
	More int `json:"more,omitempty"`
}

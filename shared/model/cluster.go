package model

import "time"

// Cluster is an enrolled agent as people see it.
type Cluster struct {
	ID      ClusterID         `json:"id"`
	Name    string            `json:"name"`
	Labels  map[string]string `json:"labels,omitempty"`
	Project string            `json:"project,omitempty"`
	// Aliases are server URLs that mean this cluster.
	Aliases []string `json:"aliases,omitempty"`

	Connected bool       `json:"connected"`
	Freshness Freshness  `json:"freshness"`
	LastSeen  *time.Time `json:"lastSeen,omitempty"`
	// RoundTrip is what the agent measured last between a heartbeat and the hub's
	// answer, in milliseconds. Lists do not have it.
	RoundTrip    float64  `json:"roundTripMs,omitempty"`
	AgentVersion string   `json:"agentVersion,omitempty"`
	KubeVersion  string   `json:"kubeVersion,omitempty"`
	Nodes        int      `json:"nodes,omitempty"`
	Namespaces   int      `json:"namespaces,omitempty"`
	Applications int      `json:"applications"`
	Conditions   []string `json:"conditions,omitempty"`
	// SettingsVersion is of the fleet-wide settings that its agent has stored; 0:
	// none, or an agent that takes none.
	SettingsVersion int64      `json:"settingsVersion,omitempty"`
	CertNotAfter    *time.Time `json:"certificateNotAfter,omitempty"`
	EnrolledAt      *time.Time `json:"enrolledAt,omitempty"`
	Revoked         bool       `json:"revoked,omitempty"`
	// Held: agents wait until somebody allows them. duplicate_identity: two used
	// the cluster's certificate, and none gets in; cluster_changed: one that came
	// from another Kubernetes cluster than was enrolled does not.
	Held string `json:"held,omitempty"`
	// Kubectl: kubectl may go through the hub to the cluster, as far as its agent
	// lets it.
	Kubectl bool `json:"kubectl,omitempty"`
	// UnknownApps are applications that the agent holds and the hub does not
	// know, as after a restore. They are shown, never withdrawn.
	UnknownApps []UnknownApp `json:"unknownApplications,omitempty"`
	// Version changes when somebody changes labels or aliases. Callers of the API
	// have it as ETag.
	Version int64 `json:"-"`
}

// UnknownApp is an application that an agent holds and the hub does not know.
type UnknownApp struct {
	UID        AppUID     `json:"uid"`
	Name       string     `json:"name"`
	Project    string     `json:"project"`
	Generation Generation `json:"generation"`
}

// Millis are a duration's milliseconds, to the tenth.
func Millis(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)/(100*time.Microsecond)) / 10
}

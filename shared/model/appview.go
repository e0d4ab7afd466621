package model

import "time"

// AppView is an application as the hub answers it: what was asked for and what
// was observed, as four facets that are never merged.
type AppView struct {
	UID        AppUID         `json:"uid"`
	Name       string         `json:"name"`
	Project    string         `json:"project"`
	Cluster    string         `json:"cluster"`
	ClusterID  ClusterID      `json:"clusterID,omitempty"`
	Namespace  string         `json:"namespace,omitempty"`
	RepoURL    string         `json:"repoURL,omitempty"`
	Path       string         `json:"path,omitempty"`
	Target     string         `json:"targetRevision,omitempty"`
	AutoSync   bool           `json:"autoSync"`
	Desired    Revision       `json:"desired"`
	Generation Generation     `json:"generation"`
	Sync       SyncFacet      `json:"sync"`
	Health     HealthFacet    `json:"health"`
	Operation  *OperationInfo `json:"operation,omitempty"`
	Freshness  Freshness      `json:"freshness"`
	ObservedAt *time.Time     `json:"observedAt,omitempty"`
	Revision   string         `json:"revision,omitempty"` // last synced commit
	Deleting   bool           `json:"deleting,omitempty"`
	// Pin is set while the application stays at a past deployment.
	Pin *Pin `json:"pin,omitempty"`
	// Conditions of hub (source, render, policy) and agent together.
	Conditions []Condition `json:"conditions,omitempty"`
	// Resources, HealthCauses and History only in the answer for one
	// application. History is the hub's: what agents reported, newest last, with
	// what the hub knows of each.
	Resources    []ResourceStatus `json:"resources,omitempty"`
	HealthCauses []HealthCause    `json:"healthCauses,omitempty"`
	History      []HistoryEntry   `json:"history,omitempty"`
	// Application is the object as written, only in the answer for one.
	Application *Application `json:"application,omitempty"`
}

// Package live is the agent's vocabulary of live facts: the trimmed record of
// an object, and whether it is known to be present or absent. It is pure;
// agent/observe fills it, everything else reads it.
package live

import (
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// Presence is three-valued, because not having heard of an object is not
// knowing that it is gone.
type Presence int

// The presences.
const (
	Unknown Presence = iota // the kind is not watched yet, or its watch is broken
	Absent
	Present
)

// Record is a live object reduced to what decisions need.
type Record struct {
	Key             model.ObjectKey
	Version         string // API version without the group, e.g. "v1"
	UID             string
	ResourceVersion string
	Generation      int64
	TrackingID      string // value of the tracking annotation, "" when none
	Owners          []Owner
	CreatedAt       time.Time
	Deleting        bool // has a deletionTimestamp
	Health          model.HealthFacet
	// HealthIgnored: the object asks not to be counted.
	HealthIgnored bool
	Images        []string
	Info          []model.Info
	// SpecHash covers everything but status, resourceVersion, managedFields
	// and generation; two records with the same SpecHash need no new diff.
	SpecHash model.Digest
	// Body is the object as JSON without managedFields, only for objects with
	// a tracking id; nil otherwise.
	Body []byte
	// Managers says who set which fields, only for objects with a body.
	Managers []FieldManager
}

// Owner is an owner reference.
type Owner struct {
	UID  string
	Kind string
	Name string
}

// FieldManager is one entry of managedFields, trimmed.
type FieldManager struct {
	Manager   string
	Operation string // Apply or Update
	Time      time.Time
	FieldsV1  []byte
}

// Kind is how a kind is served.
type Kind struct {
	model.GroupKind
	Version    string // preferred
	Resource   string // plural, for URLs
	Namespaced bool
}

// Event says that something about an object changed.
type Event struct {
	Key model.ObjectKey
	// Apps are the names in the tracking ids before and after.
	Apps []string
	// SpecChanged is false when only status moved.
	SpecChanged bool
	Deleted     bool
}

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

func (p Presence) String() string {
	switch p {
	case Absent:
		return "absent"
	case Present:
		return "present"
	}
	return "unknown"
}

// Record is a live object reduced to what decisions need. Body, Managers,
// Images, Info and Owners are shared with the observer: read them, never change
// them.
type Record struct {
	Key             model.ObjectKey
	Version         string // API version without the group, e.g. "v1"
	UID             string
	ResourceVersion string
	Generation      int64
	// TrackingID is the value of the tracking annotation when it names this
	// very object, "" otherwise: controllers copy annotations to the objects
	// that they make, and those are not tracked.
	TrackingID string
	Owners     []Owner
	CreatedAt  time.Time
	Deleting   bool // has a deletionTimestamp
	// Health is empty for objects that have neither a tracking id nor an owner:
	// nobody shows it.
	Health model.HealthFacet
	// HealthIgnored: the object asks not to be counted.
	HealthIgnored bool
	// Run is the value of model.AnnotationRun: the run that made this hook.
	Run    string
	Images []string
	Info   []model.Info
	// SpecHash covers everything but status, resourceVersion, managedFields
	// and generation; two records with the same SpecHash need no new diff.
	// Only for objects with a tracking id.
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
	// Subresource is "status" or "scale" for fields set through one, else "".
	Subresource string
}

// Kind is how a kind is served.
type Kind struct {
	model.GroupKind
	Version    string // preferred
	Resource   string // plural, for URLs
	Namespaced bool
	// Watchable: the kind can be listed and watched. Without it presence can
	// never be known.
	Watchable bool
	// Versions are all that serve the kind, the preferred one first.
	Versions []string
}

// Event says that something about an object changed. Events about the same
// object that were not delivered yet are merged into one.
type Event struct {
	Key model.ObjectKey
	// Apps are the names in the tracking ids before and after.
	Apps []string
	// SpecChanged is false when only status moved.
	SpecChanged bool
	Deleted     bool
	// TreeOf are the names of the applications that own the object through
	// owner references, as with the pods of a tracked Deployment. Such an event
	// changes the application's tree, and nothing that was compared.
	TreeOf []string
}

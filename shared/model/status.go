package model

import "time"

// SyncStatus says whether live objects are as desired.
type SyncStatus string

// SyncReason says which side moved when the status is OutOfSync.
type SyncReason string

// The values of the sync facet.
const (
	SyncUnknown   SyncStatus = "Unknown"
	SyncSynced    SyncStatus = "Synced"
	SyncOutOfSync SyncStatus = "OutOfSync"

	ReasonPending SyncReason = "pending" // Git moved and is not applied yet
	ReasonDrifted SyncReason = "drifted" // the live object moved
)

// Health of an object or application, in Argo CD's words.
type Health string

// The values of the health facet, worst last in HealthOrder.
const (
	HealthHealthy     Health = "Healthy"
	HealthSuspended   Health = "Suspended"
	HealthProgressing Health = "Progressing"
	HealthMissing     Health = "Missing"
	HealthDegraded    Health = "Degraded"
	HealthUnknown     Health = "Unknown"
)

// HealthOrder lists health from best to worst, as Argo CD aggregates it.
var HealthOrder = []Health{HealthHealthy, HealthSuspended, HealthProgressing, HealthMissing, HealthDegraded, HealthUnknown}

// WorseThan reports whether h ranks behind o in HealthOrder.
func (h Health) WorseThan(o Health) bool { return h.rank() > o.rank() }

func (h Health) rank() int {
	for i, v := range HealthOrder {
		if v == h {
			return i
		}
	}
	return len(HealthOrder)
}

// Freshness says how far an observation can be trusted.
type Freshness string

// The values of the freshness facet. Stale is never counted as healthy.
const (
	FreshLive    Freshness = "live"    // confirmed at most 30 s ago
	FreshLagging Freshness = "lagging" // at most 2 min ago
	FreshStale   Freshness = "stale"   // older, or the agent is offline
	FreshNever   Freshness = "never"   // nothing was ever reported
)

// AppStatus is what an agent observed of one application, redacted.
type AppStatus struct {
	Generation Generation  `json:"generation"`
	Revision   string      `json:"revision,omitempty"`
	Sync       SyncFacet   `json:"sync"`
	Health     HealthFacet `json:"health"`
	// HealthCauses are the objects whose health is the application's, at most
	// 10, when it is not Healthy.
	HealthCauses []HealthCause  `json:"healthCauses,omitempty"`
	Operation    *OperationInfo `json:"operation,omitempty"`
	Conditions   []Condition    `json:"conditions,omitempty"`
	// Resources are the managed objects, in sync order.
	Resources []ResourceStatus `json:"resources,omitempty"`
	// History lists what was deployed, newest last, at most
	// revisionHistoryLimit entries.
	History []HistoryEntry `json:"history,omitempty"`
}

// SyncFacet is the sync state of an application or object.
type SyncFacet struct {
	Status SyncStatus `json:"status"`
	Reason SyncReason `json:"reason,omitempty"`
}

// HealthFacet is the health of an application or object.
type HealthFacet struct {
	Status  Health `json:"status"`
	Message string `json:"message,omitempty"`
	// Since is the time of the last change of Status.
	Since *time.Time `json:"since,omitempty"`
}

// HealthCause is an object that makes its application unhealthy.
type HealthCause struct {
	ObjectKey
	Status  Health `json:"status"`
	Message string `json:"message,omitempty"`
}

// Condition is a problem or a warning that people should see. The types are
// Argo CD's: SyncError, ComparisonError, InvalidSpecError,
// SharedResourceWarning, RepeatedResourceWarning, and ours: PruneGuard,
// DeletesHeld.
type Condition struct {
	Type string `json:"type"`
	Code string `json:"code,omitempty"`
	// Message may have several lines: one problem each.
	Message string `json:"message"`
	// Revision is the commit or version that the problem is about, where it is
	// about one: what could not be rendered or is not permitted. What runs is
	// another one.
	Revision string     `json:"revision,omitempty"`
	Since    *time.Time `json:"since,omitempty"`
}

// OfSource reports whether a condition says that an application keeps a state that is
// not of its newest revision. An agent's ComparisonErrors, about live objects, have no
// time and are none of this.
func (c *Condition) OfSource() bool {
	return c != nil && c.Since != nil && (c.Type == "ComparisonError" || c.Type == "InvalidSpecError")
}

// OfContent reports whether a problem with an application's source is about what is
// there, and not about trouble on the way to it, which may pass and says nothing
// about what is there. A nil condition is none.
func (c *Condition) OfContent() bool {
	if c == nil || c.Type != "ComparisonError" && c.Type != "InvalidSpecError" {
		return false
	}
	return c.Revision != "" || c.Type == "InvalidSpecError" || c.Code == "path_not_found" || c.Code == "revision_not_found"
}

// ResourceStatus is one managed object of an application.
type ResourceStatus struct {
	ObjectKey
	Version string      `json:"version"`
	UID     string      `json:"uid,omitempty"`
	Sync    SyncFacet   `json:"sync"`
	Health  HealthFacet `json:"health"`
	// RequiresPruning: the object is owned and no longer desired.
	RequiresPruning bool `json:"requiresPruning,omitempty"`
	// RequiresDeletionConfirmation: it says Prune=confirm or Delete=confirm, and
	// waits for an operation that approves deletions.
	RequiresDeletionConfirmation bool `json:"requiresDeletionConfirmation,omitempty"`
	// Wave in which it is synced.
	Wave int `json:"syncWave,omitempty"`
	// Hook is the phase of a hook, with HookPhase: how its last run went. Hooks
	// have no sync facet of their own.
	Hook      string `json:"hook,omitempty"`
	HookPhase string `json:"hookPhase,omitempty"`
	// Differences between desired and live, at most 20; values of Secrets are
	// redacted at the agent.
	Differences []FieldDifference `json:"differences,omitempty"`
}

// FieldDifference is one differing field.
type FieldDifference struct {
	// Path as in ".spec.template.spec.containers[name=web].image".
	Path    string `json:"path"`
	Desired string `json:"desired,omitempty"` // JSON, cut at 512 bytes
	Live    string `json:"live,omitempty"`    // JSON, cut at 512 bytes
	// Manager and ChangedAt say who set the live value, where known.
	Manager   string     `json:"manager,omitempty"`
	ChangedAt *time.Time `json:"changedAt,omitempty"`
}

// HistoryEntry is one deployment. The hub numbers the deployments of an
// application itself, so that a number stays what it is whatever becomes of the
// agent's own.
type HistoryEntry struct {
	ID         int64      `json:"id"`
	Generation Generation `json:"generation"`
	Revision   string     `json:"revision"`
	// Sources are the commits or versions of all sources of manifests, of an
	// application with several, and Message is the commit's; the hub's entries
	// have them.
	Sources     []string  `json:"sources,omitempty"`
	Message     string    `json:"message,omitempty"`
	StartedAt   time.Time `json:"deployStartedAt"`
	DeployedAt  time.Time `json:"deployedAt"`
	InitiatedBy string    `json:"initiatedBy,omitempty"`
	// Operation that deployed it; Reason is why, in the words of who asked.
	Operation OperationID `json:"operation,omitempty"`
	Reason    string      `json:"reason,omitempty"`
	// Rollback is set when the deployment went back to an older one.
	Rollback *RollbackSpec `json:"rollback,omitempty"`
	// Held: the hub has its manifests, so that going back to it needs no
	// repository.
	Held bool `json:"held,omitempty"`
}

// ResourceTree is the managed objects and what they own, down to pods.
type ResourceTree struct {
	Nodes []TreeNode `json:"nodes"`
	// Truncated is set when more nodes exist than are listed.
	Truncated bool `json:"truncated,omitempty"`
	// Orphaned are objects of the destination's namespace that no application
	// owns, where the project has orphanedResources. They are none of the
	// application's: nothing is compared, pruned or done with them on its behalf.
	// OrphanedTotal is how many there are, also when fewer are listed.
	Orphaned      []TreeNode `json:"orphaned,omitempty"`
	OrphanedTotal int        `json:"orphanedTotal,omitempty"`
}

// TreeNode is one object of the tree. ParentUIDs is empty for managed objects.
type TreeNode struct {
	ObjectKey
	Version    string      `json:"version"`
	UID        string      `json:"uid,omitempty"`
	ParentUIDs []string    `json:"parentUIDs,omitempty"`
	Health     HealthFacet `json:"health"`
	CreatedAt  *time.Time  `json:"createdAt,omitempty"`
	Images     []string    `json:"images,omitempty"`
	// Info holds short facts for people, such as "1/1 ready".
	Info []Info `json:"info,omitempty"`
}

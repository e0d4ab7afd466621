package model

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Revision is a resolved commit.
type Revision struct {
	Commit      string    `json:"commit"`
	Message     string    `json:"message,omitempty"` // first line
	Author      string    `json:"author,omitempty"`
	CommittedAt time.Time `json:"committedAt,omitzero"`
	// Sources are the commits or versions of all sources of manifests, of an
	// application with several.
	Sources []string `json:"sources,omitempty"`
}

// IsZero reports whether nothing is known of the revision.
func (r Revision) IsZero() bool {
	return r.Commit == "" && r.Message == "" && r.Author == "" && r.CommittedAt.IsZero() && len(r.Sources) == 0
}

// DesiredSpec is the part of an Application that its agent needs.
type DesiredSpec struct {
	// Namespace for namespaced objects that name none.
	Namespace            string              `json:"namespace,omitempty"`
	SyncPolicy           *SyncPolicy         `json:"syncPolicy,omitempty"`
	IgnoreDifferences    []IgnoreDifferences `json:"ignoreDifferences,omitempty"`
	RevisionHistoryLimit *int64              `json:"revisionHistoryLimit,omitempty"`
	// SourceRepos are the repository URLs, for the project check at the agent.
	SourceRepos []string `json:"sourceRepos,omitempty"`
	// Destination as written, and the cluster's name, for the project check.
	Destination Destination `json:"destination"`
	ClusterName string      `json:"clusterName"`
	// ServerAliases are the server URLs that mean this cluster.
	ServerAliases []string `json:"serverAliases,omitempty"`
}

// Desired is the complete desired state of one application, as the hub decided
// it and the agent keeps it.
type Desired struct {
	App         AppUID         `json:"app"`
	Name        string         `json:"name"`
	Project     string         `json:"project"`
	Generation  Generation     `json:"generation"`
	Bundle      Digest         `json:"bundle"`
	BundleBytes int64          `json:"bundleBytes,omitempty"`
	Revision    Revision       `json:"revision"`
	Spec        DesiredSpec    `json:"spec"`
	ProjectSpec AppProjectSpec `json:"projectSpec"`
	// HoldDeletes forbids pruning; see the proto file.
	HoldDeletes bool `json:"holdDeletes,omitempty"`
	// TraceParent is the place in a trace of what led to this state (W3C trace
	// context), "" when it is not traced. Nothing is decided by it, and it is no
	// part of the content.
	TraceParent string `json:"traceparent,omitempty"`
	// Observe: the agent compares and reports, and writes nothing to the cluster.
	Observe bool `json:"observe,omitempty"`
}

// WithdrawMode says what becomes of an application's objects.
type WithdrawMode string

// The modes of a withdrawal.
const (
	WithdrawOrphan WithdrawMode = "orphan"
	// WithdrawCascade deletes with foreground propagation: what an object owns
	// is gone before it. WithdrawCascadeBackground leaves that to the cluster's
	// garbage collector.
	WithdrawCascade           WithdrawMode = "cascade"
	WithdrawCascadeBackground WithdrawMode = "cascade-background"
)

// Valid reports whether m is one of the modes.
func (m WithdrawMode) Valid() bool { return m == WithdrawOrphan || m.Cascades() }

// Cascades reports whether the application's objects are deleted.
func (m WithdrawMode) Cascades() bool { return m == WithdrawCascade || m == WithdrawCascadeBackground }

// WithdrawModeOf is how a delete that was asked for is carried out.
func WithdrawModeOf(spec OperationSpec) WithdrawMode {
	switch {
	case !spec.Cascade:
		return WithdrawOrphan
	case spec.Propagation == "Background":
		return WithdrawCascadeBackground
	}
	return WithdrawCascade
}

// Withdraw removes an application by an audited decision, the operation.
type Withdraw struct {
	App          AppUID       `json:"app"`
	Name         string       `json:"name"`
	Generation   Generation   `json:"generation"`
	Mode         WithdrawMode `json:"mode"`
	Operation    OperationID  `json:"operation"`
	OperationSeq int64        `json:"operationSeq"`
	// ApproveDeletions approves of deleting objects that say Delete=confirm.
	ApproveDeletions bool `json:"approveDeletions,omitempty"`
}

// Content identifies everything in d that an agent acts on, so that hub and
// agent can tell whether they mean the same by one generation. Generation,
// HoldDeletes and TraceParent are not part of it.
func (d Desired) Content() Digest {
	d.Generation, d.HoldDeletes, d.BundleBytes, d.TraceParent = 0, false, 0, ""
	d.Revision.CommittedAt = d.Revision.CommittedAt.UTC() // the zone does not travel
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // only values that were decoded from JSON are in it
	}
	sum := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

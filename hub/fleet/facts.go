package fleet

import (
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// HubState is the single row about the hub itself.
type HubState struct {
	HubID string // random UUID, made at first start
	// Incarnation rises when the database turns out to be an older copy.
	Incarnation int64
	// IncarnationSignature is the CA's signature over the incarnation.
	IncarnationSignature []byte
	// HoldDeletes is set by a rise of the incarnation and cleared by an
	// administrator: no desired state may prune while it is set.
	HoldDeletes bool
}

// EnrolmentToken lets one agent enrol one cluster, once.
type EnrolmentToken struct {
	ID        string
	Hash      []byte // SHA-256 of the token; the token itself is not kept
	Cluster   string // name
	Labels    map[string]string
	Project   string
	CreatedBy string
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    *time.Time
	UsedFrom  string // address
}

// Certificate is one issued to an agent.
type Certificate struct {
	Serial    string // hexadecimal
	Cluster   model.ClusterID
	NotBefore time.Time
	NotAfter  time.Time
	Revoked   bool
}

// App is an application as stored.
type App struct {
	UID     model.AppUID
	Name    string
	Project string
	Cluster model.ClusterID
	// ClusterName at reading time.
	ClusterName string
	Application model.Application
	// Version rises with each write; it is the ETag.
	Version   int64
	Deleting  bool // a delete operation is not finished
	CreatedAt time.Time
	Source    SourceState
}

// SourceState is what the hub knows of an application's sources. The last good
// state stays while Error is set.
type SourceState struct {
	App model.AppUID
	// Revision that was last rendered and accepted.
	Revision model.Revision
	// RenderKey identifies all inputs of that render (tree hashes, options,
	// tool version); equal keys need no render.
	RenderKey string
	Bundle    model.Digest
	// Error of the newest attempt, nil when it succeeded.
	Error *model.Condition
	// At is the time of the newest attempt.
	At time.Time
}

// DesiredChange asks for an application's next desired state. WriteDesired
// assigns the generation, and only when the content differs.
type DesiredChange struct {
	Cluster model.ClusterID
	// AppVersion is the App.Version that the change was computed from. The
	// change is dropped when the application was written or deleted since.
	AppVersion int64
	Desired    model.Desired // Generation and HoldDeletes are ignored
	Source     SourceState
	// LimitsOnly: the application was refused. The stored state stays as it is
	// but for Project and ProjectSpec, so that its agent works within the limits
	// that are in force; the rest of Desired is ignored. Without a stored state
	// only Source is written.
	LimitsOnly bool
}

// NewOperation is a command as the API accepts it.
type NewOperation struct {
	App            model.AppUID
	Kind           model.OperationKind
	Spec           model.OperationSpec
	InitiatedBy    string
	IdempotencyKey string // empty: none
	Deadline       time.Time
}

// Report is one observation of one application and where it came from.
type Report struct {
	model.AppReport
	Cluster model.ClusterID
	Epoch   model.Epoch
}

// ClusterReport is one observation of a cluster and where it came from.
type ClusterReport struct {
	model.ClusterReport
	Cluster model.ClusterID
	Epoch   model.Epoch
}

// Ack is an agent's answer to a desired state: taken, or refused with a reason.
type Ack struct {
	App        model.AppUID
	Generation model.Generation
	ErrorCode  string
	Error      string
}

// Beat is a heartbeat: every report up to Seq still held at ObservedAt.
type Beat struct {
	Cluster    model.ClusterID
	Epoch      model.Epoch
	Seq        uint64
	ObservedAt time.Time
}

// Bundle is a rendered set of objects in its encoded form.
type Bundle struct {
	Digest  model.Digest
	Encoded []byte
	Objects int
}

// OperationFilter selects operations; zero fields do not select.
type OperationFilter struct {
	App      model.AppUID
	Cluster  model.ClusterID
	OpenOnly bool
	Limit    int // 0: 100
}

// ViewFilter selects application views; zero fields do not select.
type ViewFilter struct {
	Project string
	Cluster model.ClusterID
	Names   []string
	UIDs    []model.AppUID
}

// Repository is a source with its sealed credential.
type Repository struct {
	model.Repository
	Credential *Credential // decrypted; only where the caller asked for it
}

// Credential opens a repository. It is sealed in Postgres.
type Credential struct {
	Username   string `json:"username,omitempty"`
	Password   string `json:"password,omitempty"`
	SSHKey     string `json:"sshKey,omitempty"`     // PEM
	KnownHosts string `json:"knownHosts,omitempty"` // OpenSSH format
	CABundle   string `json:"caBundle,omitempty"`   // PEM, beside the system's
}

// APIToken authenticates a person or program to the API.
type APIToken struct {
	ID        string
	Name      string // who
	Hash      []byte
	Admin     bool
	CreatedAt time.Time
	ExpiresAt time.Time
	LastUsed  *time.Time
}

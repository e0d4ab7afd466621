package model

import "time"

// KnownApp is what an agent says it holds of one application.
type KnownApp struct {
	UID         AppUID
	Name        string
	Project     string
	Generation  Generation
	Content     Digest // Desired.Content
	Withdrawing bool
	// HoldDeletes as the agent holds it, so that a change of it alone travels.
	HoldDeletes bool
}

// Hello is an agent's opening message.
type Hello struct {
	Cluster   ClusterID
	LastEpoch Epoch // the highest that the agent has accepted
	Known     []KnownApp
	// Operations that the agent accepted and whose end is not acknowledged.
	Operations []OperationUpdate
	// MaxOpSeq is the highest operation sequence number ever accepted.
	MaxOpSeq int64

	AgentVersion string
	KubeVersion  string
	Capabilities []string
	ProtocolMin  uint32
	ProtocolMax  uint32
	Instance     string
	// KubeUID is the uid of the namespace kube-system, which stands for the
	// Kubernetes cluster; empty when the agent may not read it.
	KubeUID string

	// Settings that the agent holds; empty when it holds none.
	Settings Digest
}

// What a hello may announce in Capabilities. The hub sends the messages of a
// capability only to agents that have it, because agents from before it end
// their session at a message that they do not know.
const (
	// CapabilitySettings: the agent takes Settings.
	CapabilitySettings = "settings"
	// CapabilityAccess: the agent opens a tunnel when it is told to.
	CapabilityAccess = "access"
	// CapabilityActions: the agent takes operations of kind action.
	CapabilityActions = "actions"
	// CapabilityDeleteObject: the agent deletes single objects, ActionSpec.Delete.
	CapabilityDeleteObject = "delete-object"
	// CapabilityObserve: the agent writes nothing for what is only observed.
	CapabilityObserve = "observe"
	// CapabilityAccounts: the agent acts as the service accounts that projects
	// name.
	CapabilityAccounts = "accounts"
	// CapabilitySensitiveFields: the agent hides the fields that projects name.
	CapabilitySensitiveFields = "sensitive-fields"
)

// Welcome opens a session.
type Welcome struct {
	Epoch                Epoch
	IncarnationSignature []byte
	HubID                string
	HubVersion           string
	Heartbeat            time.Duration
	ReconnectSpread      time.Duration
	ReconnectCap         time.Duration
	Protocol             uint32
}

// OperationUpdate is what an agent says about an operation.
type OperationUpdate struct {
	ID         OperationID
	Seq        int64
	App        AppUID
	Kind       OperationKind
	Phase      OperationPhase
	Message    string
	StartedAt  *time.Time
	FinishedAt *time.Time
	Result     *OperationResult
}

// Command is an operation as an agent receives it.
type Command struct {
	ID          OperationID
	Seq         int64
	App         AppUID
	Kind        OperationKind
	Spec        OperationSpec
	Generation  Generation
	InitiatedBy string
	// Terminate asks the agent to end the operation instead.
	Terminate bool
}

// AppReport is one observation of one application.
type AppReport struct {
	App        AppUID
	Seq        uint64
	Generation Generation
	ObservedAt time.Time
	Status     AppStatus
	Tree       *ResourceTree // nil: unchanged in this session
	// TraceParent is the place in the trace of the change whose success this report
	// is the first to show; "" for most.
	TraceParent string
}

// ClusterReport is one observation of the cluster itself.
type ClusterReport struct {
	KubeVersion     string
	Platform        string
	Nodes           int
	Namespaces      int
	APIResources    []string // "group/version/Kind"
	NamespacedKinds []string // "group/Kind"
	Conditions      []string
	ObservedAt      time.Time
	// SettingsVersion and SettingsDigest are of the fleet-wide settings that
	// the agent has stored.
	SettingsVersion int64
	SettingsDigest  Digest
}

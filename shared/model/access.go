package model

import "time"

// This file holds what the hub asks an agent while somebody looks, and the
// answers. Nothing of it is stored.

// AccessRequest asks one thing about the live objects of an application. One of
// the queries is set.
type AccessRequest struct {
	// ID of the request, for the logs of both ends.
	ID string
	// By is on whose behalf it is asked, for the agent's log.
	By string
	// App is the application whose objects alone can be reached.
	App AppUID
	// Timeout of the whole answer; 0 for none.
	Timeout time.Duration

	Object  *ObjectQuery
	Events  *EventQuery
	Logs    *LogQuery
	Exec    *ExecQuery
	Actions *ObjectSelector
	// Kube is of no application: App is empty.
	Kube *KubeRequest
}

// KubeRequest is a request to the cluster's API server, made as the user whom the
// hub vouches for. Its body follows as input, if it has one.
type KubeRequest struct {
	Method, Path, Query string
	Headers             []KubeHeader
	// Upgrade is the protocol that the connection is to become, "" for none.
	Upgrade  string
	Body     bool
	Identity KubeIdentity
}

// KubeHeader is one header with all its values.
type KubeHeader struct {
	Name   string
	Values []string
}

// KubeIdentity is a statement of the hub whose request it is; package kubecall
// makes and reads it.
type KubeIdentity struct {
	Statement, Signature []byte
}

// KubeAnswer is the beginning of the API server's answer. Its body follows.
type KubeAnswer struct {
	Status  int
	Headers []KubeHeader
}

// ObjectSelector says which objects of the application are meant; what is not
// set matches all.
type ObjectSelector struct {
	// Group is nil for any; "" is the core group.
	Group *string
	// Kind is singular, plural or a usual short name, in any case.
	Kind      string
	Namespace string
	Name      string
}

// Everything reports whether the selector leaves nothing out.
func (s ObjectSelector) Everything() bool {
	return s.Group == nil && s.Kind == "" && s.Namespace == "" && s.Name == ""
}

// ObjectQuery asks for one live object.
type ObjectQuery struct {
	ObjectSelector
	ManagedFields bool
}

// EventQuery asks for the events of the selected objects: the newest first, or
// with Follow the oldest first and then what comes.
type EventQuery struct {
	ObjectSelector
	Follow bool
	// Limit of those that there are already; 0 is DefaultEvents.
	Limit int
}

// How many events are answered.
const (
	DefaultEvents = 500
	MaxEvents     = 5000
)

// LogQuery asks for the logs of the pods that the selected objects are or own.
type LogQuery struct {
	ObjectSelector
	// Container is "" for the pod's default one.
	Container     string
	AllContainers bool
	Follow        bool
	// Previous is the container's life before its last restart.
	Previous  bool
	Since     time.Duration
	SinceTime *time.Time
	// Tail is the number of last lines of each container; nil for all.
	Tail *int64
	// Grep is an RE2 expression that a line must match; "" for none.
	Grep string
}

// ExecQuery runs a command in a container of the one pod that is selected.
type ExecQuery struct {
	ObjectSelector
	Container string
	Command   []string
	TTY       bool
	Stdin     bool
	Size      TerminalSize
}

// TerminalSize in characters; zero is unknown.
type TerminalSize struct {
	Columns uint16 `json:"columns"`
	Rows    uint16 `json:"rows"`
}

// AccessInput is one piece of what is said after the request: input of a command,
// or the body of a request to the API server.
type AccessInput struct {
	Stdin    []byte
	StdinEnd bool
	Size     *TerminalSize
}

// AccessAnswer is one piece of an answer. One of the fields is set; the last
// piece is an End.
type AccessAnswer struct {
	// Object is a piece of the object's JSON.
	Object  []byte
	Events  []ObjectEvent
	Sources []LogSource
	Lines   []LogLine
	Notice  *LogNotice
	Started *ExecStarted
	Output  *ExecOutput
	Actions []ResourceAction
	Kube    *KubeAnswer
	// Data is a piece of the body after Kube.
	Data []byte
	End  *AccessEnd
}

// AccessEnd says how an answer ended.
type AccessEnd struct {
	// Err is a fault, nil when all went well.
	Err error
	// ExitCode of a command that ended.
	ExitCode int
}

// ObjectEvent is an event of the cluster about an object.
type ObjectEvent struct {
	UID       string    `json:"uid"`
	Type      string    `json:"type"` // Normal or Warning
	Reason    string    `json:"reason,omitempty"`
	Message   string    `json:"message,omitempty"`
	Source    string    `json:"source,omitempty"`
	Count     int       `json:"count"`
	FirstSeen time.Time `json:"firstSeen,omitzero"`
	LastSeen  time.Time `json:"lastSeen,omitzero"`
	Object    ObjectKey `json:"object"`
	ObjectUID string    `json:"objectUID,omitempty"`
	// Field is the part of the object that it is about, such as
	// "spec.containers{web}".
	Field string `json:"field,omitempty"`
}

// LogSource is a container whose lines an answer has.
type LogSource struct {
	// Number rises by one from 1 within an answer.
	Number    int    `json:"source"`
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod"`
	Container string `json:"container"`
}

// LogLine is a line of a log without its end, or a piece of a long one.
type LogLine struct {
	Source int
	// At is when the container wrote it, as the kubelet says; zero if unknown.
	At   time.Time
	Text []byte // any bytes
	// Partial: the next line of the source goes on with it.
	Partial bool
}

// LogNotice says something about a source that is no line of it.
type LogNotice struct {
	Source  int    `json:"source"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ExecStarted says where a command runs.
type ExecStarted struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Container string `json:"container"`
}

// ExecOutput is what a command wrote.
type ExecOutput struct {
	Stdout []byte
	Stderr []byte
}

// ResourceAction is something that can be done with an object, see ActionSpec.
type ResourceAction struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
	// Disabled in the object's present state.
	Disabled bool     `json:"disabled,omitempty"`
	Params   []string `json:"params,omitempty"`
}

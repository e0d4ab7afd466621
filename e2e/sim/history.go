package sim

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// Kind of a recorded event.
type Kind string

// The kinds of events, by who witnesses them.
const (
	// Git and people.
	GitCommit Kind = "git.commit" // Path, Revision, Objects
	UserWrite Kind = "user.write" // Cluster, Key, Content, UID: somebody else changed an object
	UserErase Kind = "user.erase" // Cluster, Key, UID

	// The database. Snapshot and Restore carry Number.
	Decide         Kind = "db.desired"  // App, Name, Cluster, Generation, Path, Revision, Objects, Automated, Prune, Hold
	DecideWithdraw Kind = "db.withdraw" // App, Cluster, Generation, Op, Cascade
	OpPhase        Kind = "db.op"       // App, Cluster, Op, OpKind, From, Phase, Prune, Confirm, Message, Request
	SessionOpened  Kind = "db.session"  // Cluster, Epoch
	HubAccepted    Kind = "db.accept"   // Cluster, Epoch, Detail
	Snapshot       Kind = "db.snapshot"
	Restore        Kind = "db.restore"
	Acknowledged   Kind = "db.acknowledged"

	// Clients.
	Answered Kind = "api.2xx"  // Op, Request
	View     Kind = "api.view" // Cluster, App, Generation, Sync, Freshness, AsOf

	// Agents.
	LeaseTaken   Kind = "agent.lease"    // Cluster, Agent, Until
	Welcomed     Kind = "agent.welcome"  // Cluster, Agent, Epoch: durable
	Accepted     Kind = "agent.desired"  // Cluster, Agent, Epoch, App, Generation, Objects, Hold: durable
	OpAccepted   Kind = "agent.op"       // Cluster, Agent, Epoch, App, Op
	OpFinished   Kind = "agent.finished" // Cluster, App, Op, Phase: durable
	Withdrawn    Kind = "agent.gone"     // Cluster, App, Op, Generation: durable
	Received     Kind = "agent.received" // Cluster, App, Origin: data reached an agent
	PrunePlanned Kind = "agent.plan"     // Cluster, Agent, App, Generation, Op, Run, Keys, Number: total
	Effect       Kind = "effect"         // see Reason

	FaultsEnd Kind = "faults.end"
)

// Reason of an effect on an object.
type Reason string

// The reasons.
const (
	ReasonApply   Reason = "apply"
	ReasonPrune   Reason = "prune"
	ReasonCascade Reason = "cascade"
	ReasonOrphan  Reason = "orphan"
)

// Objects are contents by key.
type Objects map[model.ObjectKey]string

// Event is one thing that happened. Which fields are set depends on the Kind.
type Event struct {
	At         time.Duration
	Kind       Kind
	Cluster    model.ClusterID
	Origin     model.ClusterID
	App        model.AppUID
	Name       string
	Agent      string
	Epoch      model.Epoch
	Generation model.Generation
	Op         model.OperationID
	OpKind     model.OperationKind
	Request    string
	From       model.OperationPhase
	Phase      model.OperationPhase
	Path       string
	Revision   string
	Objects    Objects
	Keys       []model.ObjectKey
	Key        model.ObjectKey
	UID        string
	Before     string // content
	Content    string
	Owner      string // application name in the live object's tracking id
	Reason     Reason
	Run        int
	Number     int
	Automated  bool
	Prune      bool
	Cascade    bool
	Hold       bool
	Confirm    int // 0: none
	Sync       model.SyncStatus
	Freshness  model.Freshness
	AsOf       time.Duration
	Until      time.Duration
	Detail     string
}

func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%9.3fs %-15s", e.At.Seconds(), e.Kind)
	add := func(name string, v any) {
		if s := fmt.Sprint(v); s != "" && s != "0" && s != "false" && s != "0.0" && s != "0s" {
			fmt.Fprintf(&b, " %s=%s", name, s)
		}
	}
	add("cluster", e.Cluster)
	add("origin", e.Origin)
	add("agent", e.Agent)
	add("app", e.App)
	add("name", e.Name)
	add("epoch", e.Epoch)
	add("gen", e.Generation)
	add("op", e.Op)
	add("opkind", e.OpKind)
	add("request", e.Request)
	add("from", e.From)
	add("phase", e.Phase)
	add("path", e.Path)
	add("revision", e.Revision)
	if e.Objects != nil {
		keys := make([]string, 0, len(e.Objects))
		for k, v := range e.Objects {
			keys = append(keys, k.Name+"="+v)
		}
		sort.Strings(keys)
		add("objects", fmt.Sprint(keys))
	}
	if e.Key.Name != "" {
		add("key", e.Key)
	}
	if len(e.Keys) > 0 {
		add("keys", e.Keys)
	}
	add("uid", e.UID)
	add("reason", e.Reason)
	add("before", e.Before)
	add("content", e.Content)
	add("owner", e.Owner)
	add("run", e.Run)
	add("n", e.Number)
	add("automated", e.Automated)
	add("prune", e.Prune)
	add("cascade", e.Cascade)
	add("hold", e.Hold)
	add("confirm", e.Confirm)
	add("sync", e.Sync)
	add("freshness", e.Freshness)
	add("asOf", e.AsOf)
	add("until", e.Until)
	add("detail", e.Detail)
	return b.String()
}

// FinalApp is an application in the database at rest.
type FinalApp struct {
	UID     model.AppUID
	Name    string
	Cluster model.ClusterID
	Path    string

	Automated, SelfHeal, Prune bool
	// Guarded: the agent shows that the prune guard waits for a confirmation.
	Guarded   bool
	Sync      model.SyncStatus
	Freshness model.Freshness
}

// FinalObject is an object at rest.
type FinalObject struct {
	Content string
	Owner   string // application name in its tracking id
}

// Final is the state at rest.
type Final struct {
	Apps []FinalApp
	// Ops are the phases of all operations in the database.
	Ops map[model.OperationID]model.OperationPhase
	// Head is what Git says, by path.
	Head map[string]Objects
	Live map[model.ClusterID]map[model.ObjectKey]FinalObject
	// Held are the applications in the agents' journals, Unknown those that the
	// hub shows as unknown to it.
	Held    map[model.ClusterID]map[model.AppUID]bool
	Unknown map[model.ClusterID]map[model.AppUID]bool
}

// History is everything that Check looks at.
type History struct {
	Events []Event
	Final  Final
}

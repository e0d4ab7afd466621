package kill

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// History is what happened to one application, as others than its agent have
// recorded it. All times are of one machine's clock.
type History struct {
	App       string
	UID       model.AppUID
	Namespace string
	// Agent is the user that the application's agent has in the audit log.
	Agent string
	// Revisions are what was in Git, in the order of the commits.
	Revisions []Revision
	// Asked are the operations that the hub's API has accepted.
	Asked []Asked
	// Said are the hub's statements on operations, in the order in which they
	// were made.
	Said []Statement
	// Requests are the writes in the application's namespace, by anybody, in the
	// order in which the API server has received them.
	Requests []Request
	// Journal is the application's record in each state that was stored.
	Journal []Entry
	Marks   []Mark
	// Views are looks at the namespace.
	Views []View
}

// Revision is one commit.
type Revision struct {
	At      time.Time
	Commit  string
	Objects []Object
}

// Object is an object in Git.
type Object struct {
	// Key has the namespace that the object goes to. The name of an object with
	// a generateName is that, with a "*" after it.
	Key model.ObjectKey
	// Phase is PreSync, Sync or PostSync; an object that is no hook has Sync.
	Phase string
	Wave  int
	Hook  bool
	// Keep is false for a hook that is deleted when it has succeeded; what is
	// no hook is kept.
	Keep    bool
	Content string // see ContentOf
}

// Asked is an operation that was asked for and answered with 2xx.
type Asked struct {
	At   time.Time
	ID   model.OperationID
	Kind model.OperationKind
	Spec model.OperationSpec
}

// Statement is what the hub says about one operation.
type Statement struct {
	At time.Time
	// Asked: it answers a question, and is not of the event stream. Each of the two
	// is in order; which of them was first between the two, nobody knows.
	Asked   bool
	ID      model.OperationID
	Phase   model.OperationPhase
	Message string
}

// Request is a write that the API server was asked for.
type Request struct {
	At   time.Time
	User string
	// Operation that the user agent names after "op/", "" for none.
	Operation string
	Verb      string // create, update, patch, delete, deletecollection
	Key       model.ObjectKey
	// Subresource, as in "status".
	Subresource string
	Code        int
	// Created: the answer was 201.
	Created bool
	// RV is the resourceVersion that the answer has, 0 for none. They rise over
	// the whole cluster.
	RV  int64
	UID string // of the object in the answer
	// Precondition is the uid that a delete asks for.
	Precondition string
	// Run is the hook's run, as the answer's annotation says, without the phase.
	Run string
	// TrackedBy is the application in the answer's tracking id.
	TrackedBy string
	// Content of the answer, "" for a delete.
	Content string
	// Generation of the answer, 0 when the kind has none.
	Generation int64
	// Settled: the object in the answer has come to rest: a Job has succeeded, a
	// Deployment is rolled out. It is true for kinds that need not.
	Settled bool
}

// OK reports whether the request was carried out.
func (r Request) OK() bool { return r.Code/100 == 2 }

// lost reports whether nobody knows from the answer whether it was carried out.
func (r Request) lost() bool { return r.Code == 0 || r.Code >= 500 }

// Entry is the application's record in a stored state of the agent's journal.
type Entry struct {
	At time.Time
	// Commit and Generation of the desired state; "" and 0 for none.
	Commit     string
	Generation int64
	// Operation is the one that is under way, Withdraw the withdrawal's.
	Operation, Withdraw model.OperationID
	// Ended are the ends that are kept.
	Ended []End
	// Inventory are the uids of the objects that the application owns, "" for
	// those that are only intended.
	Inventory map[model.ObjectKey]string
	// Hooks are the uids of hooks that are known to have been started.
	Hooks []string
	// Gone: the record says only that the application was removed.
	Gone bool
}

// End is how an operation ended, as the agent remembers it.
type End struct {
	ID      model.OperationID
	Phase   model.OperationPhase
	Message string
}

// What the test did to the agent and around it.
const (
	// Killed: the process was found dead. Point says where.
	Killed = "killed"
	// Started: a process was started.
	Started = "started"
	// Cut and Joined: the line to the hub.
	Cut    = "cut"
	Joined = "joined"
	// Drifted: while the line is cut, somebody has changed an object that the
	// agent has to put right by itself before Joined.
	Drifted = "drifted"
)

// Mark is something that the test did or found.
type Mark struct {
	At    time.Time
	What  string
	Point string          // of Killed
	Key   model.ObjectKey // of Drifted
}

// When a View was taken.
const (
	// Converged: the hub shows the newest revision as synced and healthy.
	Converged = "converged"
	// Deleted: the hub shows the application no more.
	Deleted = "deleted"
)

// View is the content of the namespace at a time.
type View struct {
	At      time.Time
	When    string
	Objects []Live
}

// Live is an object in the cluster.
type Live struct {
	Key       model.ObjectKey
	UID       string
	TrackedBy string
	Run       string
	Content   string
}

// named reports whether a live object is the one in Git.
func (o Object) named(k model.ObjectKey) bool {
	if k.Group != o.Key.Group || k.Kind != o.Key.Kind || k.Namespace != o.Key.Namespace {
		return false
	}
	prefix, generated := o.generate()
	if !generated {
		return k.Name == o.Key.Name
	}
	return len(k.Name) > len(prefix) && k.Name[:len(prefix)] == prefix
}

// generate returns the generateName.
func (o Object) generate() (prefix string, ok bool) {
	n := len(o.Key.Name)
	if n == 0 || o.Key.Name[n-1] != '*' {
		return "", false
	}
	return o.Key.Name[:n-1], true
}

// find is the object of the revision that a live object is.
func (r Revision) find(k model.ObjectKey) (Object, bool) {
	i := slices.IndexFunc(r.Objects, func(o Object) bool { return o.named(k) })
	if i < 0 {
		return Object{}, false
	}
	return r.Objects[i], true
}

// String lists everything in the order of time, a line each.
func (h History) String() string {
	type line struct {
		at   time.Time
		text string
	}
	var lines []line
	add := func(at time.Time, format string, args ...any) {
		lines = append(lines, line{at, fmt.Sprintf(format, args...)})
	}
	for _, r := range h.Revisions {
		add(r.At, "git      commit %.8s of %d objects", r.Commit, len(r.Objects))
	}
	for _, a := range h.Asked {
		add(a.At, "hub      accepts %s %s", a.Kind, a.ID)
	}
	for _, s := range h.Said {
		add(s.At, "hub      says %s %s %s", s.ID, s.Phase, s.Message)
	}
	for _, r := range h.Requests {
		add(r.At, "cluster  %s %s %s/%s %d by %s op=%s uid=%s pre=%s run=%s content=%q generation=%d settled=%t", r.Verb, r.Key, r.Key.Kind, r.Subresource, r.Code, r.User, r.Operation, r.UID, r.Precondition, r.Run, r.Content, r.Generation, r.Settled)
	}
	for _, e := range h.Journal {
		add(e.At, "journal  commit %.8s generation %d op=%s withdraw=%s gone=%t ended=%v, owns %d", e.Commit, e.Generation, e.Operation, e.Withdraw, e.Gone, e.Ended, len(e.Inventory))
	}
	for _, m := range h.Marks {
		add(m.At, "test     %s %s %s", m.What, m.Point, m.Key)
	}
	for _, v := range h.Views {
		add(v.At, "test     looks, %s: %d objects", v.When, len(v.Objects))
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s), agent %s\n", h.App, h.UID, h.Agent)
	for _, l := range lines {
		fmt.Fprintf(&b, "%s %s\n", l.at.UTC().Format("15:04:05.000000"), l.text)
	}
	return b.String()
}

package journal

import (
	"slices"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// Record is everything the agent remembers of one application. It is written
// as one value, so what it says is consistent in itself after any crash.
type Record struct {
	App     model.AppUID `json:"app"`
	Name    string       `json:"name,omitempty"`
	Project string       `json:"project,omitempty"`

	// Desired is the accepted desired state; nil when only an operation or a
	// withdrawal has arrived yet.
	Desired *model.Desired `json:"desired,omitempty"`
	// Withdraw is accepted and not carried out yet.
	Withdraw *model.Withdraw `json:"withdraw,omitempty"`
	// Joined are withdrawals by other operations that arrived while Withdraw
	// was under way; they end with it.
	Joined []model.Withdraw `json:"joined,omitempty"`
	// Gone is set when a withdrawal was carried out: the record is a tombstone.
	Gone *Tombstone `json:"gone,omitempty"`

	// Inventory is what the application owns, or may own because a sync that
	// intended it was not confirmed.
	Inventory []Owned `json:"inventory,omitempty"`

	// Op is the operation that is under way.
	Op *Operation `json:"op,omitempty"`
	// Ended are ends that the hub has not acknowledged.
	Ended []model.OperationUpdate `json:"ended,omitempty"`
	// LastOp is the newest ended sync operation, without its object results.
	LastOp *model.OperationUpdate `json:"lastOp,omitempty"`
	// Recent are the newest ended sync operations, at most maxRecent, newest
	// last and without their object results: what a repeated command is
	// answered with.
	Recent []model.OperationUpdate `json:"recent,omitempty"`
	// LastOpSeq is the highest number of an accepted sync operation.
	LastOpSeq int64 `json:"lastOpSeq,omitempty"`

	// Run is what is known of the hooks of the newest run that has any.
	Run *Run `json:"run,omitempty"`
	// Hooks are objects of hooks that were created and are not known to be gone.
	// They are not pruned; they go when the application does.
	Hooks []Owned `json:"hooks,omitempty"`

	// Synced is the newest complete and successful sync.
	Synced *Synced `json:"synced,omitempty"`
	// Attempt is the newest automated sync: there is one for each generation.
	Attempt *Attempt             `json:"attempt,omitempty"`
	History []model.HistoryEntry `json:"history,omitempty"`
}

// Owned is an object of the inventory.
type Owned struct {
	Key     model.ObjectKey `json:"key"`
	Version string          `json:"version,omitempty"` // API version without the group
	// UID is empty until the object was seen after it was applied.
	UID string `json:"uid,omitempty"`
	// Confirmed: a sync has applied or found the object and knows its UID. An
	// unconfirmed entry is an intention: the object may not exist, and it is
	// ours only if it carries our tracking id.
	Confirmed bool `json:"confirmed,omitempty"`
}

// Operation is a sync operation that the agent has taken on.
type Operation struct {
	model.Command
	AcceptedAt time.Time `json:"acceptedAt"`
	// StartedAt is set when its effects begin.
	StartedAt *time.Time `json:"startedAt,omitempty"`
	// Terminating: somebody asked to end it.
	Terminating bool `json:"terminating,omitempty"`
	// Tries counts the runs that have failed; the next is not before RetryAt.
	// LastError is how the newest of them failed.
	Tries     int        `json:"tries,omitempty"`
	RetryAt   *time.Time `json:"retryAt,omitempty"`
	LastError string     `json:"lastError,omitempty"`
	// Agreed is set when its prune has passed the guard by confirmation, before
	// the first delete: after an interruption fewer objects are left.
	Agreed *Agreement `json:"agreed,omitempty"`
}

// Agreement is a number of deletes that was confirmed, and of which generation.
// It is never changed once it is made.
type Agreement struct {
	Generation model.Generation `json:"generation"`
	Count      int              `json:"count"`
}

// Run is one run of a sync or of a deletion, as far as its hooks go.
type Run struct {
	// ID is the operation's, or one that the agent made for an automated sync,
	// with the number of the try. Hooks carry it.
	ID string `json:"id"`
	// Hooks are those that have ended, Started those that were started and are not
	// known to have ended: they are not started again.
	Hooks   []HookEnd   `json:"hooks,omitempty"`
	Started []HookStart `json:"started,omitempty"`
	// Over: the run has come to its end; another try is another run. One that was
	// interrupted goes on instead.
	Over bool `json:"over,omitempty"`
}

// Failed reports whether a hook of the run has failed.
func (r *Run) Failed() bool {
	return r != nil && slices.ContainsFunc(r.Hooks, func(h HookEnd) bool { return !h.Succeeded })
}

// HookStart is a hook that a run has started.
type HookStart struct {
	Phase string          `json:"phase"`
	Key   model.ObjectKey `json:"key"`
	UID   string          `json:"uid"`
}

// HookEnd is how one hook of a run ended.
type HookEnd struct {
	Phase     string          `json:"phase"`
	Key       model.ObjectKey `json:"key"`
	UID       string          `json:"uid,omitempty"`
	Succeeded bool            `json:"succeeded,omitempty"`
	Message   string          `json:"message,omitempty"`
	At        time.Time       `json:"at"`
}

// Tombstone says that an application was withdrawn. It refuses what comes late
// and is dropped in the next epoch.
type Tombstone struct {
	// Generation of the withdrawal: desired states up to it are of the past.
	Generation model.Generation `json:"generation"`
	Epoch      model.Epoch      `json:"epoch"`
	// OpSeq is the highest operation number of the application.
	OpSeq int64 `json:"opSeq,omitempty"`
	// Operation that withdrew it; empty when another application of the same
	// name took its place.
	Operation model.OperationID `json:"operation,omitempty"`
}

// Synced is what a complete sync has brought about.
type Synced struct {
	Generation model.Generation `json:"generation"`
	Bundle     model.Digest     `json:"bundle"`
	Revision   string           `json:"revision,omitempty"`
	At         time.Time        `json:"at"`
}

// Attempt is an automated sync of a generation and how it ended.
type Attempt struct {
	Generation model.Generation `json:"generation"`
	Failed     bool             `json:"failed,omitempty"`
	Message    string           `json:"message,omitempty"`
	Count      int              `json:"count,omitempty"` // tries of this generation
	// Again: it ended well and had to leave deletes that were held then and may be
	// done now.
	Again bool      `json:"again,omitempty"`
	At    time.Time `json:"at"`
}

const maxRecent = 8

// reborn is what a record keeps when its application comes back after a
// withdrawal.
func (r *Record) reborn() *Record {
	return &Record{App: r.App, Name: r.Name, Project: r.Project, Ended: r.Ended, LastOp: r.LastOp, Recent: r.Recent, LastOpSeq: max(r.LastOpSeq, r.Gone.OpSeq)}
}

// maxOpSeq is the highest operation number that the record has seen.
func (r *Record) maxOpSeq() int64 {
	n := r.LastOpSeq
	if r.Withdraw != nil {
		n = max(n, r.Withdraw.OperationSeq)
	}
	for _, w := range r.Joined {
		n = max(n, w.OperationSeq)
	}
	if r.Gone != nil {
		n = max(n, r.Gone.OpSeq)
	}
	return n
}

// Confirmed reports whether the present desired state was synced completely.
// While it is false, objects of its bundle may exist that the inventory does
// not name.
func (r *Record) Confirmed() bool {
	return r.Desired == nil || (r.Synced != nil && r.Synced.Generation == r.Desired.Generation && r.Synced.Bundle == r.Desired.Bundle)
}

// MayOwn is the inventory, and while the desired state is not confirmed also
// the objects of its bundle, unconfirmed: what a cascade has to look at.
func (r *Record) MayOwn(bundle []Owned) []Owned {
	out := slices.Clone(r.Inventory)
	if r.Confirmed() {
		return out
	}
	return append(out, withoutUID(bundle, r)...)
}

// Owns returns the inventory's entry for a key.
func (r *Record) Owns(k model.ObjectKey) (Owned, bool) {
	if i := r.find(k); i >= 0 {
		return r.Inventory[i], true
	}
	return Owned{}, false
}

func (r *Record) find(k model.ObjectKey) int {
	return slices.IndexFunc(r.Inventory, func(o Owned) bool { return o.Key == k })
}

// intend adds keys as unconfirmed. An entry whose intention has no UID (the
// object is about to be created) loses its own.
func (r *Record) intend(keys []Owned) (changed bool) {
	index := r.index()
	for _, o := range keys {
		i, ok := index[o.Key]
		switch {
		case !ok:
			index[o.Key] = len(r.Inventory)
			r.Inventory = append(r.Inventory, Owned{Key: o.Key, Version: o.Version})
			changed = true
		case r.Inventory[i].Confirmed && o.UID == "":
			r.Inventory[i].Confirmed, r.Inventory[i].UID = false, ""
			changed = true
		}
	}
	return changed
}

func (r *Record) index() map[model.ObjectKey]int {
	index := make(map[model.ObjectKey]int, len(r.Inventory))
	for i, o := range r.Inventory {
		index[o.Key] = i
	}
	return index
}

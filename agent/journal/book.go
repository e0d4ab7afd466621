package journal

import (
	"slices"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Book is an agent's memory. It is not safe for concurrent use.
//
// A transition answers with a Change: what must be durable before the caller
// acknowledges or acts. When a flush writes both, Head goes before the records.
type Book struct {
	Head Head
	Apps map[model.AppUID]*Record

	// closed: a hello was built and no welcome has answered it. What the hello
	// does not list counts as never accepted, so nothing is accepted meanwhile.
	closed bool
}

// Head is what does not belong to one application.
type Head struct {
	// Epoch is the highest ever accepted.
	Epoch model.Epoch `json:"epoch"`
	// MaxOpSeq covers the records that were dropped; see Book.MaxOpSeq.
	MaxOpSeq int64 `json:"maxOpSeq,omitempty"`
	// Lives is nil as long as agents end in good order.
	Lives *Lives `json:"lives,omitempty"`
}

// New returns an empty book.
func New() *Book { return &Book{Apps: map[model.AppUID]*Record{}} }

// Change says what a transition altered.
type Change struct {
	Head bool
	// Apps whose records changed; a record that is no longer in the book is to
	// be deleted from the store.
	Apps []model.AppUID
}

// Any reports whether anything changed.
func (c Change) Any() bool { return c.Head || len(c.Apps) > 0 }

func changed(uid model.AppUID) Change { return Change{Apps: []model.AppUID{uid}} }

// MaxOpSeq is the highest operation number ever accepted.
func (b *Book) MaxOpSeq() int64 {
	n := b.Head.MaxOpSeq
	for _, r := range b.Apps {
		n = max(n, r.maxOpSeq())
	}
	return n
}

// AcceptWelcome begins a session. An epoch that is not above every accepted
// one is refused (Kind Conflict, code epoch_stale): it comes from a hub that
// was replaced, or from an older copy of its database. Nothing of the session
// may be processed before the change is durable.
func (b *Book) AcceptWelcome(e model.Epoch) (Change, error) {
	if !b.Head.Epoch.Less(e) {
		return Change{}, fault.New(fault.Conflict, "epoch_stale",
			"the hub opened session %s, but session %s was accepted before", e, b.Head.Epoch)
	}
	c := Change{Head: true}
	b.Head.MaxOpSeq = b.MaxOpSeq()
	for uid, r := range b.Apps {
		if len(r.Ended) == 0 && r.Gone != nil && r.Gone.Epoch.Less(e) {
			delete(b.Apps, uid)
			c.Apps = append(c.Apps, uid)
		}
	}
	slices.Sort(c.Apps)
	b.Head.Epoch, b.closed = e, false
	return c, nil
}

// CheckEpoch refuses a message that does not belong to the present session
// (Kind Conflict, code epoch_stale).
func (b *Book) CheckEpoch(e model.Epoch) error {
	if err := b.open(); err != nil {
		return err
	}
	if e != b.Head.Epoch || e.IsZero() {
		return fault.New(fault.Conflict, "epoch_stale", "the message belongs to session %s, the present one is %s", e, b.Head.Epoch)
	}
	return nil
}

// open refuses what arrives between a hello and its welcome: it belongs to an
// older session.
func (b *Book) open() error {
	if b.closed {
		return fault.New(fault.Conflict, "epoch_stale", "the message belongs to an older session than the one that is being opened")
	}
	return nil
}

// Hello is the agent's opening message, as far as the journal knows it: the
// caller adds the cluster, versions and instance. It lists what was accepted
// even when that is not durable yet, because the hub takes what is missing as
// never accepted. For the same reason it ends the session before: until the
// next AcceptWelcome desired states, withdrawals and commands are refused
// (Kind Conflict, code epoch_stale).
func (b *Book) Hello() model.Hello {
	b.closed = true
	h := model.Hello{LastEpoch: b.Head.Epoch, MaxOpSeq: b.MaxOpSeq()}
	uids := make([]model.AppUID, 0, len(b.Apps))
	for uid := range b.Apps {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	for _, uid := range uids {
		r := b.Apps[uid]
		if k, ok := r.known(); ok {
			h.Known = append(h.Known, k)
		}
		h.Operations = append(h.Operations, r.updates()...)
	}
	return h
}

func (r *Record) known() (model.KnownApp, bool) {
	k := model.KnownApp{UID: r.App, Name: r.Name, Project: r.Project}
	if r.Desired != nil {
		k.Generation, k.Content, k.HoldDeletes = r.Desired.Generation, r.Desired.Content(), r.Desired.HoldDeletes
	}
	if r.Withdraw != nil {
		k.Withdrawing = true
		k.Generation = max(k.Generation, r.Withdraw.Generation)
	}
	return k, r.Gone == nil && (r.Desired != nil || r.Withdraw != nil)
}

// updates are the operations that the hub has to hear of: the ones under way,
// and the ends that it has not acknowledged.
func (r *Record) updates() []model.OperationUpdate {
	out := slices.Clone(r.Ended)
	if r.Op != nil {
		out = append(out, r.Op.running())
	}
	if r.Withdraw != nil {
		out = append(out, withdrawUpdate(*r.Withdraw, model.PhaseRunning, "", time.Time{}))
		for _, w := range r.Joined {
			out = append(out, withdrawUpdate(w, model.PhaseRunning, "", time.Time{}))
		}
	}
	return out
}

// Verdict is what the agent does with a message of the hub.
type Verdict int

// The verdicts.
const (
	// Taken: it is new and now in the book.
	Taken Verdict = iota
	// Repeated: the book holds it already. Acknowledge again.
	Repeated
	// Stale: something newer is held. Acknowledge what is held.
	Stale
	// Answered: it will not be carried out (again); Updates says why.
	Answered
)

// DesiredResult is what AcceptDesired decided.
type DesiredResult struct {
	Change
	Verdict Verdict
	// Generation that the agent now holds, to be acknowledged.
	Generation model.Generation
}

// AcceptDesired takes a desired state whose bundle is complete and present.
// previous are the objects of the bundle that the present desired state names:
// when that state was never confirmed, a sync of it may have begun, so its
// objects stay in the inventory, unconfirmed, and can be pruned later.
//
// Refusals (Kind Conflict) keep what is held: withdrawing, withdrawn (a late
// message about an application that is gone), generation_conflict (the same
// generation with other content).
func (b *Book) AcceptDesired(d model.Desired, previous []Owned) (DesiredResult, error) {
	if err := b.open(); err != nil {
		return DesiredResult{}, err
	}
	if d.App == "" || d.Generation <= 0 {
		return DesiredResult{}, fault.New(fault.Invalid, "desired_invalid", "a desired state needs an application and a generation")
	}
	r := b.Apps[d.App]
	if r == nil {
		r = &Record{App: d.App}
	}
	if r.Withdraw != nil {
		return DesiredResult{}, fault.New(fault.Conflict, "withdrawing",
			"application %q is being withdrawn by operation %s", d.Name, r.Withdraw.Operation)
	}
	for _, other := range b.Apps {
		if other.Withdraw != nil && other.Name == d.Name && d.Name != "" {
			return DesiredResult{}, fault.New(fault.Conflict, "withdrawing",
				"an application that was also named %q is being withdrawn by operation %s", d.Name, other.Withdraw.Operation)
		}
	}
	if r.Gone != nil {
		if b.entombed(r) && d.Generation <= r.Gone.Generation {
			return DesiredResult{}, fault.New(fault.Conflict, "withdrawn",
				"application %q was withdrawn at generation %d; generation %d came late", d.Name, r.Gone.Generation, d.Generation)
		}
		// A new decision after the withdrawal, as after a restore of the hub.
		r = r.reborn()
	}
	if held := r.Desired; held != nil {
		switch {
		case d.Generation < held.Generation:
			return DesiredResult{Verdict: Stale, Generation: held.Generation}, nil
		case d.Generation == held.Generation && d.Content() != held.Content():
			return DesiredResult{}, fault.New(fault.Conflict, "generation_conflict",
				"generation %d of application %q has other content than the one that was accepted", d.Generation, d.Name)
		case d.Generation == held.Generation && d.HoldDeletes == held.HoldDeletes:
			return DesiredResult{Verdict: Repeated, Generation: held.Generation}, nil
		case d.Generation > held.Generation && !r.Confirmed():
			r.intend(withoutUID(previous, r))
		case d.Generation == held.Generation && held.HoldDeletes:
			// What was held may be deleted now: the automated sync of this
			// generation has something left to do. Hooks that have run for it do not
			// run again.
			if at := r.Attempt; at == nil || at.Failed || at.Generation != d.Generation {
				r.Attempt = nil
			} else {
				again := *at
				again.Again = true
				r.Attempt = &again
			}
		}
	}
	r.Name, r.Project, r.Desired = d.Name, d.Project, &d
	c := b.adopt(r)
	b.Apps[d.App] = r
	c.Apps = append(c.Apps, d.App)
	return DesiredResult{Change: c, Verdict: Taken, Generation: d.Generation}, nil
}

// entombed reports whether the record is a tombstone of this epoch. An older
// one may still wait for an acknowledgement, but refuses nothing: the hub has
// seen the agent's hello since.
func (b *Book) entombed(r *Record) bool {
	return r.Gone != nil && !r.Gone.Epoch.Less(b.Head.Epoch)
}

// adopt moves what another record of the same name owns to r. Names are unique
// at the hub, so that record is of an application that the hub no longer knows
// (its database was restored, and the application written again). Two records
// of one name would share tracking ids and undo each other's work. Nothing is
// deleted: the objects change owner. The old records come first in the Change.
func (b *Book) adopt(r *Record) Change {
	var c Change
	for uid, old := range b.Apps {
		if uid == r.App || old.Name != r.Name || old.Gone != nil || old.Withdraw != nil || old.Desired == nil {
			continue
		}
		for _, h := range old.Hooks {
			if !slices.ContainsFunc(r.Hooks, func(o Owned) bool { return o.Key == h.Key }) {
				r.Hooks = append(r.Hooks, h)
			}
		}
		index := r.index()
		for _, o := range old.Inventory {
			if _, ok := index[o.Key]; !ok {
				r.Inventory = append(r.Inventory, o)
			}
		}
		gone := &Record{App: uid, Name: old.Name, Project: old.Project, Ended: old.Ended, LastOp: old.LastOp, Recent: old.Recent, LastOpSeq: old.LastOpSeq,
			Gone: &Tombstone{Generation: old.Desired.Generation, Epoch: b.Head.Epoch, OpSeq: old.maxOpSeq()}}
		if old.Op != nil {
			gone.end(ended(old.Op.Command, model.PhaseSuperseded, "the application was replaced by another of the same name", old.Op.AcceptedAt))
		}
		b.Apps[uid] = gone
		c.Apps = append(c.Apps, uid)
	}
	slices.Sort(c.Apps)
	return c
}

// withoutUID keeps, of the objects of an unconfirmed bundle, those that the
// inventory does not name yet: what is confirmed stays so.
func withoutUID(keys []Owned, r *Record) []Owned {
	index := r.index()
	var out []Owned
	for _, o := range keys {
		if _, ok := index[o.Key]; !ok {
			out = append(out, Owned{Key: o.Key, Version: o.Version})
		}
	}
	return out
}

// BeginSync records what a sync is about to create or adopt, before it does.
// An entry of intended without a UID is an object that does not exist yet. No
// change, and so no write, results when all of it is recorded already.
func (b *Book) BeginSync(uid model.AppUID, intended []Owned) (Change, error) {
	r, err := b.active(uid)
	if err != nil {
		return Change{}, err
	}
	if !r.intend(intended) {
		return Change{}, nil
	}
	return changed(uid), nil
}

// SyncOutcome is what a sync has found out.
type SyncOutcome struct {
	Generation model.Generation
	Bundle     model.Digest
	Revision   string
	StartedAt  time.Time
	At         time.Time
	// Complete: every object of the bundle is applied, and all that was to be
	// pruned is gone or deliberately kept. Only this advances Synced.
	Complete bool
	// Applied are the objects that exist as desired, with their UIDs.
	Applied []Owned
	// Dropped leave the inventory: deleted and gone, known to be absent, or
	// found to belong to somebody else. What is neither Applied nor Dropped
	// stays, so a failed delete is tried again.
	Dropped     []model.ObjectKey
	InitiatedBy string
	// Operation, Reason and Rollback are those of a manual sync.
	Operation model.OperationID
	Reason    string
	Rollback  *model.RollbackSpec
}

// defaultHistory is the number of history entries when the application does not
// say; Argo CD's default.
const defaultHistory = 10

// ConfirmSync records a sync's outcome.
func (b *Book) ConfirmSync(uid model.AppUID, o SyncOutcome) (Change, error) {
	r := b.Apps[uid]
	if r == nil || r.Gone != nil || r.Desired == nil {
		return Change{}, unknown(uid)
	}
	index := r.index()
	for _, a := range o.Applied {
		a.Confirmed = a.UID != ""
		if i, ok := index[a.Key]; ok {
			r.Inventory[i] = a
		} else {
			index[a.Key] = len(r.Inventory)
			r.Inventory = append(r.Inventory, a)
		}
	}
	drop := make(map[model.ObjectKey]bool, len(o.Dropped))
	for _, k := range o.Dropped {
		drop[k] = true
	}
	r.Inventory = slices.DeleteFunc(r.Inventory, func(e Owned) bool { return drop[e.Key] })
	if !o.Complete || (r.Synced != nil && o.Generation < r.Synced.Generation) {
		return changed(uid), nil
	}
	// An automated sync that only repeats what was done is no deployment; one that
	// somebody asked for is.
	again := r.Synced != nil && r.Synced.Generation == o.Generation && r.Synced.Bundle == o.Bundle && o.Operation == ""
	r.Synced = &Synced{Generation: o.Generation, Bundle: o.Bundle, Revision: o.Revision, At: o.At}
	if !again {
		r.remember(o)
	}
	return changed(uid), nil
}

func (r *Record) remember(o SyncOutcome) {
	limit := int64(defaultHistory)
	if l := r.Desired.Spec.RevisionHistoryLimit; l != nil && *l >= 0 {
		limit = *l
	}
	id := int64(1)
	if n := len(r.History); n > 0 {
		id = r.History[n-1].ID + 1
	}
	r.History = append(r.History, model.HistoryEntry{
		ID: id, Generation: o.Generation, Revision: o.Revision,
		StartedAt: o.StartedAt, DeployedAt: o.At, InitiatedBy: o.InitiatedBy,
		Operation: o.Operation, Reason: o.Reason, Rollback: o.Rollback,
	})
	for int64(len(r.History)) > limit {
		r.History = slices.Delete(r.History, spare(r.History), spare(r.History)+1)
	}
}

// spare is the entry that is missed least: the oldest that the next one repeats, or
// else the oldest. Syncing one bad revision again and again must not push out the
// good one before it.
func spare(h []model.HistoryEntry) int {
	for i := 0; i+1 < len(h); i++ {
		if h[i].Generation == h[i+1].Generation {
			return i
		}
	}
	return 0
}

// MarkAttempt records that the automated sync of a generation was tried. It is
// recorded with failed=true before the effects begin, so that a crash counts
// as a try, and again when it has ended.
func (b *Book) MarkAttempt(uid model.AppUID, g model.Generation, failed bool, message string, at time.Time) (Change, error) {
	r, err := b.active(uid)
	if err != nil {
		return Change{}, err
	}
	if r.Attempt != nil && g < r.Attempt.Generation {
		return Change{}, nil
	}
	next := Attempt{Generation: g, Failed: failed, Message: message, At: at, Count: 1}
	if r.Attempt != nil && r.Attempt.Generation == g {
		next.Count = r.Attempt.Count + 1
	}
	r.Attempt = &next
	return changed(uid), nil
}

// ForgetFailure lets a generation whose automated syncs have failed begin anew,
// because what stood in its way is gone.
func (b *Book) ForgetFailure(uid model.AppUID) Change {
	r := b.Apps[uid]
	if r == nil || r.Attempt == nil || !r.Attempt.Failed {
		return Change{}
	}
	r.Attempt = nil
	return changed(uid)
}

// BeginRun says that a run with hooks begins, or goes on. What is known of another
// run is forgotten.
func (b *Book) BeginRun(uid model.AppUID, run string) (Change, error) {
	r := b.Apps[uid]
	if r == nil || r.Gone != nil {
		return Change{}, unknown(uid)
	}
	if r.Run != nil && r.Run.ID == run {
		return Change{}, nil
	}
	r.Run = &Run{ID: run}
	return changed(uid), nil
}

// EndRun records that a run has come to its end.
func (b *Book) EndRun(uid model.AppUID, run string) Change {
	r := b.Apps[uid]
	if r == nil || r.Gone != nil || r.Run == nil || r.Run.ID != run || r.Run.Over {
		return Change{}
	}
	r.Run.Over = true
	return changed(uid)
}

// RepeatRun begins a run in which those hooks of the one before count that have
// succeeded.
func (b *Book) RepeatRun(uid model.AppUID, run string) Change {
	r := b.Apps[uid]
	if r == nil || r.Gone != nil || r.Run == nil || r.Run.ID == run {
		return Change{}
	}
	r.Run = &Run{ID: run, Hooks: slices.DeleteFunc(slices.Clone(r.Run.Hooks), func(h HookEnd) bool { return !h.Succeeded })}
	return changed(uid)
}

// maxHooks bounds the objects of hooks that are remembered, for hooks with a
// generateName and without a policy that deletes them.
const maxHooks = 500

// MadeHook records that the object of a hook exists.
func (b *Book) MadeHook(uid model.AppUID, o Owned) Change {
	r := b.Apps[uid]
	if r == nil || r.Gone != nil {
		return Change{}
	}
	o.Confirmed = o.UID != ""
	if i := slices.IndexFunc(r.Hooks, func(h Owned) bool { return h.Key == o.Key }); i >= 0 {
		if r.Hooks[i] == o {
			return Change{}
		}
		r.Hooks[i] = o
	} else {
		r.Hooks = append(r.Hooks, o)
		if over := len(r.Hooks) - maxHooks; over > 0 {
			r.Hooks = slices.Delete(r.Hooks, 0, over)
		}
	}
	return changed(uid)
}

// IntendHook records that the object of a hook may be created. One that is known
// to exist stays as it is until the new one is made.
func (b *Book) IntendHook(uid model.AppUID, o Owned) Change {
	r := b.Apps[uid]
	if r == nil || r.Gone != nil || slices.ContainsFunc(r.Hooks, func(h Owned) bool { return h.Key == o.Key }) {
		return Change{}
	}
	o.UID = ""
	return b.MadeHook(uid, o)
}

// EndHook records how a hook of the present run ended. The first end stands.
func (b *Book) EndHook(uid model.AppUID, run string, end HookEnd) Change {
	r := b.Apps[uid]
	if r == nil || r.Gone != nil || r.Run == nil || r.Run.ID != run {
		return Change{}
	}
	if slices.ContainsFunc(r.Run.Hooks, func(h HookEnd) bool { return h.Phase == end.Phase && h.Key == end.Key }) {
		return Change{}
	}
	r.Run.Hooks = append(r.Run.Hooks, end)
	r.Run.Started = slices.DeleteFunc(r.Run.Started, func(h HookStart) bool { return h.Phase == end.Phase && h.Key == end.Key })
	return changed(uid)
}

// StartHook records that the present run has started a hook, unless its end is
// known.
func (b *Book) StartHook(uid model.AppUID, run string, start HookStart) Change {
	r := b.Apps[uid]
	if r == nil || r.Gone != nil || r.Run == nil || r.Run.ID != run || start.UID == "" || slices.Contains(r.Run.Started, start) ||
		slices.ContainsFunc(r.Run.Hooks, func(h HookEnd) bool { return h.Phase == start.Phase && h.Key == start.Key }) {
		return Change{}
	}
	r.Run.Started = append(slices.DeleteFunc(r.Run.Started, func(h HookStart) bool { return h.Phase == start.Phase && h.Key == start.Key }), start)
	return changed(uid)
}

// ForgetHooks drops objects of hooks that are known to be gone.
func (b *Book) ForgetHooks(uid model.AppUID, keys []model.ObjectKey) Change {
	r := b.Apps[uid]
	if r == nil {
		return Change{}
	}
	n := len(r.Hooks)
	r.Hooks = slices.DeleteFunc(r.Hooks, func(h Owned) bool { return slices.Contains(keys, h.Key) })
	if len(r.Hooks) == n {
		return Change{}
	}
	return changed(uid)
}

// active returns the record of an application that is to run.
func (b *Book) active(uid model.AppUID) (*Record, error) {
	r := b.Apps[uid]
	if r == nil || r.Gone != nil || r.Desired == nil {
		return nil, unknown(uid)
	}
	if r.Withdraw != nil {
		return nil, fault.New(fault.Conflict, "withdrawing", "application %q is being withdrawn by operation %s", r.Name, r.Withdraw.Operation)
	}
	return r, nil
}

func unknown(uid model.AppUID) error {
	return fault.New(fault.NotFound, "application_unknown", "the agent holds no application %s", uid)
}

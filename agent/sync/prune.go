package sync

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// LiveObject is what is known of an object that may have to be deleted.
type LiveObject struct {
	Presence   live.Presence
	UID        string
	TrackingID string
	// SyncOptions of the application and of the live object's annotation, which
	// win, as in "Prune=false".
	SyncOptions []string
	// Deleting: it has a deletionTimestamp.
	Deleting bool
	// NotApplied: its managed fields show no apply by our field manager, so it
	// was made by somebody else, even if it carries our tracking id (a copy).
	// It decides on objects whose creation was not confirmed.
	NotApplied bool
}

// PruneFacts is everything that DecidePrune decides on.
type PruneFacts struct {
	// App is the application's name, as in tracking ids.
	App string
	// Complete: Desired was decoded from a bundle whose trailer, count and
	// digest agree. Without it nothing is ever deleted.
	Complete bool
	Desired  []model.ObjectKey
	// Hooks are objects of the bundle that are hooks. They are not pruned, and are
	// no part of what remains of an application.
	Hooks     []model.ObjectKey
	Inventory []journal.Owned
	// Live holds the objects of the inventory and the desired ones. A key that
	// it lacks is Unknown.
	Live map[model.ObjectKey]LiveObject
	// Allowed: automated.prune for an automated sync, the operation's prune for
	// a manual one.
	Allowed   bool
	Automated bool
	// HoldDeletes as the hub set it in the desired state.
	HoldDeletes bool
	// ConfirmPrune of a manual operation: the number of deletes that somebody
	// agreed to. Ignored for an automated sync.
	ConfirmPrune *int
	// AgreedPrune is the number of deletes with which this very operation passed
	// the guard for this generation before it was interrupted; 0: it did not.
	// What is left of them needs no other confirmation.
	AgreedPrune int
	// AllowEmpty permits to delete all objects; the other bounds stand.
	AllowEmpty bool
	// Approved: somebody approved of deleting what says Prune=confirm.
	Approved bool
	// Selected limits a manual sync to some objects; nil: all.
	Selected func(model.ObjectKey) bool
}

// SkipReason says why an object of the inventory that is no longer desired is
// not deleted. It stays in the inventory.
type SkipReason string

// The reasons, in the order in which they are looked for.
const (
	SkipIncomplete SkipReason = "incomplete"  // the bundle is not known to be complete
	SkipUnknown    SkipReason = "unknown"     // its live state is not known
	SkipDeleting   SkipReason = "deleting"    // it is being deleted already
	SkipOption     SkipReason = "option"      // the object says Prune=false
	SkipConfirm    SkipReason = "confirm"     // the object says Prune=confirm and nobody did
	SkipSelected   SkipReason = "selected"    // a selective sync leaves it out
	SkipNotAllowed SkipReason = "not_allowed" // pruning is off
	SkipHeld       SkipReason = "held"        // the hub holds deletes after a restore
)

// Skipped is an object that is not deleted, and why.
type Skipped struct {
	journal.Owned
	Reason SkipReason
}

// GuardReason says which bound of the prune guard was crossed.
type GuardReason string

// The reasons, most important first.
const (
	GuardConfirm   GuardReason = "confirm"   // another number was confirmed
	GuardAll       GuardReason = "all"       // nothing of the application would remain
	GuardProtected GuardReason = "protected" // a Namespace, CRD, PV or PVC is among them
	GuardCount     GuardReason = "count"     // more than MaxPruned
	GuardShare     GuardReason = "share"     // at least ShareFrom and more than MaxShare percent
)

// The bounds of the prune guard.
const (
	MaxPruned = 50
	ShareFrom = 10
	MaxShare  = 20 // percent
)

// Guard says that a prune was stopped, whole.
type Guard struct {
	Reason GuardReason
	// Count is the number of deletes, and what ConfirmPrune has to equal.
	Count int
	// Counted leaves out replacements that differ only in a name hash.
	Counted int
	// Total is the number of objects, owned or desired.
	Total   int
	Objects []model.ObjectKey
}

// PruneDecision is what becomes of the inventory's objects that are no longer
// desired. An object is in one of Delete, Skip, Dropped, or in Stopped.Objects.
type PruneDecision struct {
	// Delete these, each with its live uid (Owned.UID) as precondition.
	Delete []journal.Owned
	Skip   []Skipped
	// Dropped leave the inventory without a delete: they are gone, or they are
	// not ours (another uid, no or another tracking id).
	Dropped []model.ObjectKey
	// Stopped is set when the guard wants a confirmation; Delete is empty then.
	Stopped *Guard
}

// Undecided reports whether something was left alone only because it was not
// known. Then the sync is not complete, and has to be tried again.
func (d PruneDecision) Undecided() bool {
	return slices.ContainsFunc(d.Skip, func(s Skipped) bool { return s.Reason == SkipIncomplete || s.Reason == SkipUnknown })
}

// DecidePrune decides which objects of the inventory a sync deletes. It needs
// all of: a complete bundle that does not name the object, an inventory that
// does, a live object whose uid and tracking id are ours, leave to prune, and a
// number below the guard or its confirmation. Whatever is not known deletes
// nothing.
func DecidePrune(f PruneFacts) PruneDecision {
	var d PruneDecision
	desired := make(map[model.ObjectKey]bool, len(f.Desired))
	desiredUIDs := make(map[string]bool, len(f.Desired))
	for _, k := range f.Desired {
		desired[k] = true
		if o := f.Live[k]; o.Presence == live.Present && o.UID != "" {
			desiredUIDs[o.UID] = true
		}
	}
	all := make(map[model.ObjectKey]bool, len(f.Inventory)+len(f.Desired))
	for k := range desired {
		all[k] = true
	}
	seen := make(map[model.ObjectKey]bool, len(f.Inventory)+len(f.Hooks))
	for _, k := range f.Hooks {
		seen[k] = true
	}
	for _, o := range f.Inventory {
		if desired[o.Key] || seen[o.Key] {
			continue
		}
		seen[o.Key] = true
		reason, ours := classify(f, o, desiredUIDs)
		switch {
		case !ours:
			d.Dropped = append(d.Dropped, o.Key)
			continue
		case reason != "":
			d.Skip = append(d.Skip, Skipped{Owned: o, Reason: reason})
		default:
			o.UID = f.Live[o.Key].UID
			d.Delete = append(d.Delete, o)
		}
		all[o.Key] = true
	}
	sortOwned(d.Delete)
	slices.SortFunc(d.Skip, func(a, b Skipped) int { return compareKeys(a.Key, b.Key) })
	slices.SortFunc(d.Dropped, compareKeys)
	if d.Stopped = guard(f, d.Delete, desired, len(all)); d.Stopped != nil {
		d.Delete = nil
	}
	return d
}

// classify decides on one object that is not desired. ours is false when it
// leaves the inventory; reason is empty when it may be deleted.
func classify(f PruneFacts, o journal.Owned, desiredUIDs map[string]bool) (reason SkipReason, ours bool) {
	if !f.Complete {
		return SkipIncomplete, true
	}
	reason, ours = owned(f.App, o, f.Live[o.Key])
	switch {
	case !ours || reason != "":
		return reason, ours
	case desiredUIDs[f.Live[o.Key].UID]:
		// The same object under another API group, as when a kind moved.
		return "", false
	case hasOption(f.Live[o.Key].SyncOptions, "Prune=false"):
		return SkipOption, true
	case f.Selected != nil && !f.Selected(o.Key):
		return SkipSelected, true
	case !f.Approved && hasOption(f.Live[o.Key].SyncOptions, "Prune=confirm"):
		return SkipConfirm, true
	case !f.Allowed:
		return SkipNotAllowed, true
	case f.HoldDeletes:
		return SkipHeld, true
	}
	return "", true
}

// owned asks whether the live object is the one that the inventory means.
func owned(app string, o journal.Owned, l LiveObject) (reason SkipReason, ours bool) {
	switch l.Presence {
	case live.Absent:
		return "", false
	case live.Present:
	default:
		return SkipUnknown, true
	}
	if o.Confirmed && o.UID != l.UID || l.UID == "" {
		return "", false
	}
	if l.TrackingID != model.TrackingID(app, o.Key) || (!o.Confirmed && l.NotApplied) {
		return "", false
	}
	if l.Deleting {
		return SkipDeleting, true
	}
	return "", true
}

func guard(f PruneFacts, del []journal.Owned, desired map[model.ObjectKey]bool, total int) *Guard {
	if len(del) == 0 {
		if !f.Automated && f.ConfirmPrune != nil && *f.ConfirmPrune != 0 && f.AgreedPrune == 0 && f.Complete && f.Allowed && !f.HoldDeletes {
			return &Guard{Reason: GuardConfirm, Total: total}
		}
		return nil
	}
	counted := countWithoutReplaced(del, desired)
	g := Guard{Count: len(del), Counted: counted, Total: total}
	for _, o := range del {
		g.Objects = append(g.Objects, o.Key)
	}
	if !f.Automated && f.ConfirmPrune != nil {
		if *f.ConfirmPrune == g.Count || g.Count <= f.AgreedPrune {
			return nil
		}
		g.Reason = GuardConfirm
		return &g
	}
	switch {
	case len(desired) == 0 && !f.AllowEmpty:
		g.Reason = GuardAll
	case slices.ContainsFunc(del, func(o journal.Owned) bool { return Protected(o.Key) }):
		g.Reason = GuardProtected
	case counted > MaxPruned:
		g.Reason = GuardCount
	case counted >= ShareFrom && counted*100 > total*MaxShare:
		g.Reason = GuardShare
	default:
		return nil
	}
	return &g
}

// Protected reports whether deleting one object of its kind destroys what
// cannot be applied again: Namespaces, CustomResourceDefinitions,
// PersistentVolumes and PersistentVolumeClaims.
func Protected(k model.ObjectKey) bool {
	switch k.GroupKind() {
	case model.GroupKind{Kind: "Namespace"}, model.GroupKind{Kind: "PersistentVolume"}, model.GroupKind{Kind: "PersistentVolumeClaim"},
		model.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
		return true
	}
	return false
}

func hasOption(options []string, want string) bool {
	return slices.ContainsFunc(options, func(o string) bool {
		return slices.ContainsFunc(strings.Split(o, ","), func(p string) bool { return strings.EqualFold(strings.TrimSpace(p), want) })
	})
}

func compareKeys(a, b model.ObjectKey) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

func sortOwned(o []journal.Owned) {
	slices.SortFunc(o, func(a, b journal.Owned) int { return compareKeys(a.Key, b.Key) })
}

package sync

import (
	"slices"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/model"
)

// CascadeFacts is what DecideCascade decides on.
type CascadeFacts struct {
	App string
	// Owned is journal.Record.MayOwn: the inventory, and while the desired
	// state is not confirmed the objects of its bundle.
	Owned []journal.Owned
	Live  map[model.ObjectKey]LiveObject
	// Approved: somebody approved of deleting what says Delete=confirm.
	Approved bool
}

// CascadeDecision is the next step of carrying out a cascading withdrawal.
type CascadeDecision struct {
	// Delete these now, with their live uid as precondition.
	Delete []journal.Owned
	// Wait for these: they are being deleted, or their live state is not known.
	Wait []Skipped
	// Dropped are gone, or not ours.
	Dropped []model.ObjectKey
	// Kept ask not to be deleted with their application (Delete=false). They stay
	// in the cluster.
	Kept []journal.Owned
	// Unapproved say Delete=confirm. Nothing is deleted before somebody approves.
	Unapproved []journal.Owned
}

// Done reports whether nothing is left to delete or to wait for.
func (d CascadeDecision) Done() bool {
	return len(d.Delete) == 0 && len(d.Wait) == 0 && len(d.Unapproved) == 0
}

// DecideCascade decides which objects a cascading withdrawal deletes. The
// withdrawal is an audited decision, so there is no guard; ownership is asked
// as for a prune, an object whose live state is not known is waited for, and nothing
// is deleted while an object waits for an approval.
func DecideCascade(f CascadeFacts) CascadeDecision {
	var d CascadeDecision
	seen := make(map[model.ObjectKey]bool, len(f.Owned))
	for _, o := range f.Owned {
		if seen[o.Key] {
			continue
		}
		seen[o.Key] = true
		l := f.Live[o.Key]
		reason, ours := owned(f.App, o, l)
		switch {
		case !ours:
			d.Dropped = append(d.Dropped, o.Key)
		case reason != "":
			d.Wait = append(d.Wait, Skipped{Owned: o, Reason: reason})
		case hasOption(l.SyncOptions, "Delete=false"):
			d.Kept = append(d.Kept, o)
		case !f.Approved && hasOption(l.SyncOptions, "Delete=confirm"):
			d.Unapproved = append(d.Unapproved, o)
		default:
			o.UID = l.UID
			d.Delete = append(d.Delete, o)
		}
	}
	if len(d.Unapproved) > 0 {
		d.Delete = nil
	}
	sortOwned(d.Delete)
	sortOwned(d.Kept)
	sortOwned(d.Unapproved)
	slices.SortFunc(d.Wait, func(a, b Skipped) int { return compareKeys(a.Key, b.Key) })
	slices.SortFunc(d.Dropped, compareKeys)
	return d
}

package reconcile

import (
	"context"
	"strings"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/model"
)

// decidePrune turns the decision about pruning into plan items. keys are the
// desired objects without hooks.
func (at *attempt) decidePrune(keys []model.ObjectKey, f *sync.PlanFacts) {
	e, d := at.engine, at.s.desired
	pf := sync.PruneFacts{App: d.Name, Complete: true, Desired: keys, Inventory: at.s.inventory, Live: map[model.ObjectKey]sync.LiveObject{},
		Allowed: at.prune, Automated: at.automated, HoldDeletes: d.HoldDeletes, ConfirmPrune: at.confirm, Approved: at.approved}
	if at.selection != nil {
		pf.Selected = at.selection.Matches
	}
	if agreed := at.agreed(); agreed != nil && agreed.Generation == d.Generation {
		pf.AgreedPrune = agreed.Count
	}
	if p := d.Spec.SyncPolicy; p != nil && p.Automated != nil {
		pf.AllowEmpty = p.Automated.AllowEmpty
	}
	for _, k := range keys {
		pf.Live[k] = e.liveObject(k)
	}
	for _, p := range at.prepared {
		if p.Hook != "" {
			pf.Hooks = append(pf.Hooks, p.Key)
		}
	}
	options := append(append([]string{}, syncOptions(d)...), at.options...)
	for _, o := range at.s.inventory {
		if _, ok := pf.Live[o.Key]; !ok {
			pf.Live[o.Key] = e.ownedObject(o.Key, options)
		}
	}
	at.decision = sync.DecidePrune(pf)
	at.guard = at.decision.Stopped
	item := func(o journal.Owned, skip string) {
		kind, err := e.o.Observer.Kind(o.Key.GroupKind())
		if err != nil {
			skip = "its kind is not known to the cluster now"
		}
		own := e.optionsOf(o.Key, options)
		f.Prune = append(f.Prune, sync.PruneItem{Key: o.Key, Kind: kind, UID: pf.Live[o.Key].UID, Wave: e.waveOf(o.Key), Skip: skip,
			Propagation: strings.ToLower(own["PrunePropagationPolicy"]), Last: strings.EqualFold(own["PruneLast"], "true")})
	}
	for _, o := range at.decision.Delete {
		item(o, "")
	}
	for _, s := range at.decision.Skip {
		switch s.Reason {
		case sync.SkipSelected:
			at.kept = append(at.kept, s.Key)
			continue
		case sync.SkipOption, sync.SkipNotAllowed, sync.SkipConfirm:
			at.kept = append(at.kept, s.Key)
		}
		words := skipWords[s.Reason]
		if p := d.Spec.SyncPolicy; s.Reason == sync.SkipNotAllowed && !at.automated && p.AutomatedEnabled() && p.Automated.Prune {
			words = "this operation does not prune; the automated sync does, after it"
		}
		item(s.Owned, words)
	}
	if at.guard != nil {
		for _, k := range at.guard.Objects {
			item(journal.Owned{Key: k}, "the prune guard wants a confirmation")
		}
	}
}

// waveOf is the wave of a live object.
func (e *Engine) waveOf(k model.ObjectKey) int {
	rec, _ := e.o.Observer.Get(k)
	return sync.WaveOf(annotation(rec.Body, model.AnnotationSyncWave))
}

var skipWords = map[sync.SkipReason]string{
	sync.SkipIncomplete: "the rendered manifests are not complete",
	sync.SkipUnknown:    "its live state is not known now",
	sync.SkipDeleting:   "it is being deleted already",
	sync.SkipOption:     "it asks not to be pruned",
	sync.SkipConfirm:    "it says Prune=confirm; a sync that approves of deletions prunes it",
	sync.SkipNotAllowed: "pruning is off",
	sync.SkipHeld:       "deletes are held until an administrator acknowledges that the hub was restored",
}

// agreed is what the operation's prune was confirmed for before it was
// interrupted; nil: it is not an operation, or had not come so far.
func (at *attempt) agreed() *journal.Agreement {
	if at.automated || at.dryRun || at.s.op == nil {
		return nil
	}
	return at.s.op.Agreed
}

// agree makes durable, before the first delete, that the prune was confirmed.
func (at *attempt) agree(ctx context.Context) error {
	if at.automated || at.dryRun || at.confirm == nil || len(at.decision.Delete) == 0 {
		return nil
	}
	if a := at.agreed(); a != nil && a.Generation == at.s.desired.Generation {
		return nil
	}
	var refused error
	f := at.engine.o.Journal.Update(journal.Urgent, func(b *journal.Book) journal.Change {
		c, err := b.AgreePrune(at.app.uid, at.s.op.ID, at.s.desired.Generation, len(at.decision.Delete))
		refused = err
		return c
	})
	if refused != nil {
		return refused
	}
	return f.Wait(ctx)
}

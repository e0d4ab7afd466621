package reconcile

import (
	"slices"
	"testing"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/model"
)

// blind is an Observer that has not listed one kind yet.
type blind struct {
	desert
	kind string
}

func (b blind) Synced(gk model.GroupKind) bool { return gk.Kind != b.kind }

func TestWhetherItsNamespaceIsThereIsAwaited(t *testing.T) {
	l := &locker{secrets: map[string]journal.Secret{}}
	c := l.start(t, journal.End{}, func(string) {})
	if err := c.store.Update(journal.Urgent, func(b *journal.Book) journal.Change {
		ch, err := b.AcceptWelcome(model.Epoch{Incarnation: 1, Number: 1})
		if err != nil {
			t.Error(err)
		}
		return ch
	}).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.deliver("One", 1); err != nil {
		t.Fatal(err)
	}
	d, _ := kindOfOwn(t, "One", 1)
	c.kill()
	namespace := model.GroupKind{Kind: "Namespace"}
	for name, x := range map[string]struct {
		options []string
		waits   bool
	}{
		"no option":   {nil, false},
		"not made":    {[]string{"CreateNamespace=false"}, false},
		"made":        {[]string{"CreateNamespace=true"}, true},
		"made at all": {[]string{"Prune=false", "CreateNamespace=True"}, true},
	} {
		d.Spec.SyncPolicy = &model.SyncPolicy{SyncOptions: x.options}
		e := New(Options{Journal: c.store, Observer: blind{desert{reading: func(string) {}}, "Namespace"}, Applier: endless{}, Operations: c.ops, Reports: noReports{}})
		a := &app{uid: d.App, touched: map[model.ObjectKey]bool{}}
		e.prepare(a, snapshot{desired: &d})
		if got := slices.Contains(e.unobserved(a), namespace); got != x.waits || a.bundleErr != nil {
			t.Errorf("%s: awaited %v, want %v: %v", name, got, x.waits, a.bundleErr)
		}
	}
}

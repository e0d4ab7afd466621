package sync

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

func configMap(name string) model.ObjectKey {
	return model.ObjectKey{Kind: "ConfigMap", Namespace: "ns", Name: name}
}

func confirmed(k model.ObjectKey) journal.Owned {
	return journal.Owned{Key: k, UID: "uid-" + k.Name, Confirmed: true}
}

func ours(k model.ObjectKey) LiveObject {
	return LiveObject{Presence: live.Present, UID: "uid-" + k.Name, TrackingID: model.TrackingID("web", k)}
}

// pruneFacts: n objects are no longer desired, kept are.
func pruneFacts(n, kept int) PruneFacts {
	f := PruneFacts{App: "web", Complete: true, Allowed: true, Automated: true, Live: map[model.ObjectKey]LiveObject{}}
	for i := range n + kept {
		k := configMap(fmt.Sprintf("o%03d", i))
		f.Inventory = append(f.Inventory, confirmed(k))
		f.Live[k] = ours(k)
		if i >= n {
			f.Desired = append(f.Desired, k)
		}
	}
	return f
}

func TestWhatIsDeletedOfOneObject(t *testing.T) {
	k := configMap("o000")
	for name, c := range map[string]struct {
		change  func(*PruneFacts, *LiveObject)
		deleted bool
		skip    SkipReason
		dropped bool
	}{
		"no longer desired":             {change: func(*PruneFacts, *LiveObject) {}, deleted: true},
		"bundle not complete":           {change: func(f *PruneFacts, _ *LiveObject) { f.Complete = false }, skip: SkipIncomplete},
		"bundle not complete, absent":   {change: func(f *PruneFacts, l *LiveObject) { f.Complete = false; l.Presence = live.Absent }, skip: SkipIncomplete},
		"not known":                     {change: func(_ *PruneFacts, l *LiveObject) { l.Presence = live.Unknown }, skip: SkipUnknown},
		"never heard of":                {change: func(f *PruneFacts, _ *LiveObject) { f.Live = nil }, skip: SkipUnknown},
		"absent":                        {change: func(_ *PruneFacts, l *LiveObject) { l.Presence = live.Absent }, dropped: true},
		"another uid":                   {change: func(_ *PruneFacts, l *LiveObject) { l.UID = "other" }, dropped: true},
		"no uid":                        {change: func(_ *PruneFacts, l *LiveObject) { l.UID = "" }, dropped: true},
		"another application's":         {change: func(_ *PruneFacts, l *LiveObject) { l.TrackingID = model.TrackingID("db", k) }, dropped: true},
		"a copy of another object":      {change: func(_ *PruneFacts, l *LiveObject) { l.TrackingID = model.TrackingID("web", configMap("x")) }, dropped: true},
		"no tracking id":                {change: func(_ *PruneFacts, l *LiveObject) { l.TrackingID = "" }, dropped: true},
		"unconfirmed, with our mark":    {change: func(f *PruneFacts, _ *LiveObject) { f.Inventory[0].Confirmed, f.Inventory[0].UID = false, "" }, deleted: true},
		"unconfirmed, without our mark": {change: func(f *PruneFacts, l *LiveObject) { f.Inventory[0].Confirmed = false; l.TrackingID = "" }, dropped: true},
		"unconfirmed, a copy by hand": {change: func(f *PruneFacts, l *LiveObject) {
			f.Inventory[0].Confirmed, f.Inventory[0].UID = false, ""
			l.NotApplied = true
		}, dropped: true},
		"confirmed, fields taken over": {change: func(_ *PruneFacts, l *LiveObject) { l.NotApplied = true }, deleted: true},
		"being deleted":                {change: func(_ *PruneFacts, l *LiveObject) { l.Deleting = true }, skip: SkipDeleting},
		"Prune=false":                  {change: func(_ *PruneFacts, l *LiveObject) { l.SyncOptions = []string{"Prune=false"} }, skip: SkipOption},
		"Prune=false among others":     {change: func(_ *PruneFacts, l *LiveObject) { l.SyncOptions = []string{"Validate=false, prune=FALSE"} }, skip: SkipOption},
		"Prune=confirm":                {change: func(_ *PruneFacts, l *LiveObject) { l.SyncOptions = []string{"Prune=confirm"} }, skip: SkipConfirm},
		"Prune=confirm, approved":      {change: func(f *PruneFacts, l *LiveObject) { f.Approved = true; l.SyncOptions = []string{"Prune=confirm"} }, deleted: true},
		"Prune=false, approved":        {change: func(f *PruneFacts, l *LiveObject) { f.Approved = true; l.SyncOptions = []string{"Prune=false"} }, skip: SkipOption},
		"not selected":                 {change: func(f *PruneFacts, _ *LiveObject) { f.Selected = func(model.ObjectKey) bool { return false } }, skip: SkipSelected},
		"selected":                     {change: func(f *PruneFacts, _ *LiveObject) { f.Selected = func(model.ObjectKey) bool { return true } }, deleted: true},
		"Delete=false":                 {change: func(_ *PruneFacts, l *LiveObject) { l.SyncOptions = []string{"Delete=false"} }, deleted: true},
		"pruning off":                  {change: func(f *PruneFacts, _ *LiveObject) { f.Allowed = false }, skip: SkipNotAllowed},
		"pruning off, absent":          {change: func(f *PruneFacts, l *LiveObject) { f.Allowed = false; l.Presence = live.Absent }, dropped: true},
		"held":                         {change: func(f *PruneFacts, _ *LiveObject) { f.HoldDeletes = true }, skip: SkipHeld},
		"held and confirmed": {change: func(f *PruneFacts, _ *LiveObject) {
			n := 1
			f.HoldDeletes, f.Automated, f.ConfirmPrune = true, false, &n
		}, skip: SkipHeld},
		"desired under another group": {change: func(f *PruneFacts, l *LiveObject) {
			moved := k
			moved.Group = "new.example"
			f.Desired = append(f.Desired, moved)
			f.Live[moved] = *l
		}, dropped: true},
		"still desired": {change: func(f *PruneFacts, _ *LiveObject) { f.Desired = append(f.Desired, k) }},
		"listed twice":  {change: func(f *PruneFacts, _ *LiveObject) { f.Inventory = append(f.Inventory, f.Inventory[0]) }, deleted: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := pruneFacts(1, 3)
			l := f.Live[k]
			c.change(&f, &l)
			if f.Live != nil {
				f.Live[k] = l
			}
			d := DecidePrune(f)
			if d.Stopped != nil {
				t.Fatalf("stopped: %+v", d.Stopped)
			}
			if c.deleted != (len(d.Delete) == 1) || (c.deleted && (d.Delete[0].Key != k || d.Delete[0].UID != l.UID)) {
				t.Errorf("deletes %+v", d.Delete)
			}
			if (c.skip != "") != (len(d.Skip) == 1) || (c.skip != "" && d.Skip[0].Reason != c.skip) {
				t.Errorf("skips %+v, want %s", d.Skip, c.skip)
			}
			if c.dropped != (len(d.Dropped) == 1) {
				t.Errorf("drops %v", d.Dropped)
			}
			if d.Undecided() != (c.skip == SkipUnknown || c.skip == SkipIncomplete) {
				t.Errorf("undecided %v", d.Undecided())
			}
		})
	}
}

func TestPruneGuard(t *testing.T) {
	num := func(n int) *int { return &n }
	agreed := func(confirm, agreed int) func(*PruneFacts) {
		return func(f *PruneFacts) { f.Automated, f.ConfirmPrune, f.AgreedPrune = false, &confirm, agreed }
	}
	manual := func(confirm *int) func(*PruneFacts) {
		return func(f *PruneFacts) { f.Automated, f.ConfirmPrune = false, confirm }
	}
	replace := func(k model.ObjectKey) func(*PruneFacts) {
		return func(f *PruneFacts) {
			f.Inventory[0] = confirmed(k)
			f.Live[k] = ours(k)
		}
	}
	for name, c := range map[string]struct {
		n, kept int
		change  func(*PruneFacts)
		reason  GuardReason // empty: not stopped
	}{
		"one of two":   {n: 1, kept: 1},
		"nothing":      {n: 0, kept: 4},
		"all":          {n: 3, kept: 0, reason: GuardAll},
		"the only one": {n: 1, kept: 0, reason: GuardAll},
		"all but hooks": {n: 3, kept: 0, change: func(f *PruneFacts) {
			for i := range 20 {
				f.Hooks = append(f.Hooks, configMap(fmt.Sprintf("hook%d", i)))
			}
		}, reason: GuardAll},
		"10 of 49, and hooks":                  {n: 10, kept: 39, change: func(f *PruneFacts) { f.Hooks = []model.ObjectKey{configMap("hook")} }, reason: GuardShare},
		"all, allowed to be empty":             {n: 3, kept: 0, change: func(f *PruneFacts) { f.AllowEmpty = true }},
		"all of many, allowed to be empty":     {n: 30, kept: 0, change: func(f *PruneFacts) { f.AllowEmpty = true }, reason: GuardShare},
		"9 of 10":                              {n: 9, kept: 1},
		"10 of 50":                             {n: 10, kept: 40},
		"10 of 49":                             {n: 10, kept: 39, reason: GuardShare},
		"50 of 250":                            {n: 50, kept: 200},
		"51 of 1000":                           {n: 51, kept: 949, reason: GuardCount},
		"51 of 1000, another number confirmed": {n: 51, kept: 949, change: manual(num(50)), reason: GuardConfirm},
		"51 of 1000, confirmed":                {n: 51, kept: 949, change: manual(num(51))},
		"all, confirmed":                       {n: 3, kept: 0, change: manual(num(3))},
		"all, by hand":                         {n: 3, kept: 0, change: manual(nil), reason: GuardAll},
		"one, by hand":                         {n: 1, kept: 3, change: manual(nil)},
		"one, zero confirmed":                  {n: 1, kept: 3, change: manual(num(0)), reason: GuardConfirm},
		"the rest of an agreed prune":          {n: 20, kept: 3, change: agreed(51, 51)},
		"an agreed prune that is over":         {n: 0, kept: 3, change: agreed(51, 51)},
		"more than was agreed":                 {n: 52, kept: 300, change: agreed(51, 51), reason: GuardConfirm},
		"none, one confirmed":                  {n: 0, kept: 3, change: manual(num(1)), reason: GuardConfirm},
		"none, zero confirmed":                 {n: 0, kept: 3, change: manual(num(0))},
		"automated takes no confirmation":      {n: 51, kept: 949, change: func(f *PruneFacts) { f.ConfirmPrune = num(51) }, reason: GuardCount},
		"a Namespace":                          {n: 1, kept: 9, change: replace(model.ObjectKey{Kind: "Namespace", Name: "x"}), reason: GuardProtected},
		"a PersistentVolume":                   {n: 1, kept: 9, change: replace(model.ObjectKey{Kind: "PersistentVolume", Name: "x"}), reason: GuardProtected},
		"a PersistentVolumeClaim":              {n: 1, kept: 9, change: replace(model.ObjectKey{Kind: "PersistentVolumeClaim", Namespace: "ns", Name: "x"}), reason: GuardProtected},
		"a CustomResourceDefinition":           {n: 1, kept: 9, change: replace(model.ObjectKey{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: "x"}), reason: GuardProtected},
		"a kind of the same name":              {n: 1, kept: 9, change: replace(model.ObjectKey{Group: "acme.example", Kind: "Namespace", Name: "x"})},
		"a Namespace, confirmed": {n: 1, kept: 9, change: func(f *PruneFacts) {
			replace(model.ObjectKey{Kind: "Namespace", Name: "x"})(f)
			manual(num(1))(f)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := pruneFacts(c.n, c.kept)
			if c.change != nil {
				c.change(&f)
			}
			d := DecidePrune(f)
			if (d.Stopped != nil) != (c.reason != "") || (d.Stopped != nil && d.Stopped.Reason != c.reason) {
				t.Fatalf("stopped %+v, want %q", d.Stopped, c.reason)
			}
			if d.Stopped != nil {
				if len(d.Delete) != 0 || d.Stopped.Count != c.n || len(d.Stopped.Objects) != c.n || d.Stopped.Total != c.n+c.kept {
					t.Errorf("%+v, deletes %d", d.Stopped, len(d.Delete))
				}
			} else if len(d.Delete) != c.n {
				t.Errorf("deletes %d of %d", len(d.Delete), c.n)
			}
		})
	}
}

// The guard says the same before and after the new objects were applied.
func TestPruneGuardDoesNotWearOff(t *testing.T) {
	f := pruneFacts(40, 0)
	for i := range 40 {
		f.Desired = append(f.Desired, configMap(fmt.Sprintf("new%02d", i)))
	}
	before := DecidePrune(f)
	for _, k := range f.Desired {
		f.Inventory = append(f.Inventory, confirmed(k))
		f.Live[k] = ours(k)
	}
	after := DecidePrune(f)
	if before.Stopped == nil || !reflect.DeepEqual(before.Stopped, after.Stopped) {
		t.Errorf("before %+v, after %+v", before.Stopped, after.Stopped)
	}
}

func TestReplacementsByNameHashDoNotCount(t *testing.T) {
	for name, c := range map[string]struct {
		old, fresh []string
		counted    int
	}{
		"a generator's hash":           {[]string{"settings-7b9f2c4d5h"}, []string{"settings-2g4h6k8m9t"}, 0},
		"a hexadecimal hash":           {[]string{"settings-0a1b2c3d"}, []string{"settings-9f8e7d6c"}, 0},
		"another base":                 {[]string{"settings-0a1b2c3d"}, []string{"options-9f8e7d6c"}, 1},
		"words":                        {[]string{"web-frontend"}, []string{"web-backends"}, 1},
		"words of hexadecimal letters": {[]string{"web-facade"}, []string{"web-decade"}, 1},
		"too short":                    {[]string{"web-a1b2"}, []string{"web-c3d4"}, 1},
		"too long":                     {[]string{"web-a1b2c3d4e5f"}, []string{"web-f5e4d3c2b1a"}, 1},
		"of different length":          {[]string{"web-a1b2c3"}, []string{"web-a1b2c3d4"}, 1},
		"no base":                      {[]string{"-a1b2c3"}, []string{"-d4e5f6"}, 1},
		"no hash":                      {[]string{"web"}, []string{"web-d4e5f6"}, 1},
		"two old ones, one heir":       {[]string{"web-a1b2c3", "web-b2c3d4"}, []string{"web-c3d4e5"}, 1},
		"a set of hashed names":        {[]string{"job-a1b2c3", "job-b2c3d4"}, []string{"job-c3d4e5", "job-d4e5f6"}, 2},
		"two pairs":                    {[]string{"x-a1b2c3", "y-a1b2c3"}, []string{"x-b2c3d4", "y-b2c3d4"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var del []journal.Owned
			desired := map[model.ObjectKey]bool{}
			for _, n := range c.old {
				del = append(del, confirmed(configMap(n)))
			}
			for _, n := range c.fresh {
				desired[configMap(n)] = true
			}
			if got := countWithoutReplaced(del, desired); got != c.counted {
				t.Errorf("counted %d, want %d", got, c.counted)
			}
			other := map[model.ObjectKey]bool{}
			for k := range desired {
				k.Namespace = "elsewhere"
				other[k] = true
			}
			if got := countWithoutReplaced(del, other); got != len(del) {
				t.Errorf("counted %d over namespaces", got)
			}
		})
	}
	// 51 replacements are deleted, and one claim with a hashed name is not.
	f := pruneFacts(0, 200)
	for i := range 51 {
		old, fresh := configMap(fmt.Sprintf("s%02d-a1b2c3", i)), configMap(fmt.Sprintf("s%02d-b2c3d4", i))
		f.Inventory, f.Live[old] = append(f.Inventory, confirmed(old)), ours(old)
		f.Desired = append(f.Desired, fresh)
	}
	if d := DecidePrune(f); d.Stopped != nil || len(d.Delete) != 51 {
		t.Errorf("%d deletes, stopped %+v", len(d.Delete), d.Stopped)
	}
	claim := model.ObjectKey{Kind: "PersistentVolumeClaim", Namespace: "ns", Name: "data-a1b2c3"}
	heir := claim
	heir.Name = "data-b2c3d4"
	f.Inventory, f.Live[claim] = append(f.Inventory, confirmed(claim)), ours(claim)
	f.Desired = append(f.Desired, heir)
	if d := DecidePrune(f); d.Stopped == nil || d.Stopped.Reason != GuardProtected || d.Stopped.Count != 52 {
		t.Errorf("%+v", d.Stopped)
	}
}

func TestDecideCascade(t *testing.T) {
	k := configMap("x")
	for name, c := range map[string]struct {
		own     journal.Owned
		live    func(*LiveObject)
		deleted bool
		wait    SkipReason
		dropped bool
		kept    bool
		held    bool
		agreed  bool
	}{
		"ours":                   {own: confirmed(k), live: func(*LiveObject) {}, deleted: true},
		"absent":                 {own: confirmed(k), live: func(l *LiveObject) { l.Presence = live.Absent }, dropped: true},
		"not known":              {own: confirmed(k), live: func(l *LiveObject) { l.Presence = live.Unknown }, wait: SkipUnknown},
		"being deleted":          {own: confirmed(k), live: func(l *LiveObject) { l.Deleting = true }, wait: SkipDeleting},
		"another uid":            {own: confirmed(k), live: func(l *LiveObject) { l.UID = "other" }, dropped: true},
		"another application's":  {own: confirmed(k), live: func(l *LiveObject) { l.TrackingID = model.TrackingID("db", k) }, dropped: true},
		"Delete=false":           {own: confirmed(k), live: func(l *LiveObject) { l.SyncOptions = []string{"Delete=false"} }, kept: true},
		"Delete=confirm":         {own: confirmed(k), live: func(l *LiveObject) { l.SyncOptions = []string{"Delete=confirm"} }, held: true},
		"Delete=confirm, agreed": {own: confirmed(k), live: func(l *LiveObject) { l.SyncOptions = []string{"Delete=confirm"} }, agreed: true, deleted: true},
		"Prune=false":            {own: confirmed(k), live: func(l *LiveObject) { l.SyncOptions = []string{"Prune=false"} }, deleted: true},
		"unconfirmed":            {own: journal.Owned{Key: k}, live: func(*LiveObject) {}, deleted: true},
		"unconfirmed, a copy":    {own: journal.Owned{Key: k}, live: func(l *LiveObject) { l.NotApplied = true }, dropped: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := ours(k)
			c.live(&l)
			d := DecideCascade(CascadeFacts{App: "web", Owned: []journal.Owned{c.own, c.own}, Live: map[model.ObjectKey]LiveObject{k: l}, Approved: c.agreed})
			if (len(d.Unapproved) == 1) != c.held || (len(d.Delete) == 1) != c.deleted || (c.deleted && d.Delete[0].UID != l.UID) || (len(d.Kept) == 1) != c.kept || (len(d.Dropped) == 1) != c.dropped {
				t.Errorf("%+v", d)
			}
			if (len(d.Wait) == 1) != (c.wait != "") || (c.wait != "" && d.Wait[0].Reason != c.wait) {
				t.Errorf("waits %+v", d.Wait)
			}
			if d.Done() != (!c.deleted && !c.held && c.wait == "") {
				t.Errorf("done %v", d.Done())
			}
		})
	}
}

// An object that has become a hook is the business of the hook.
func TestAnObjectThatBecomesAHookIsNotPruned(t *testing.T) {
	f := pruneFacts(2, 3)
	f.Hooks = []model.ObjectKey{configMap("o000")}
	d := DecidePrune(f)
	if len(d.Delete) != 1 || d.Delete[0].Key != configMap("o001") || len(d.Skip)+len(d.Dropped) != 0 || d.Stopped != nil {
		t.Errorf("%+v", d)
	}
}

package store

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestSessionsGetRisingEpochs(t *testing.T) {
	b := setup(t)
	one := b.cluster("one")
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		epochs = map[model.Epoch]bool{}
	)
	for range 8 {
		wg.Go(func() {
			o, err := b.OpenSession(t.Context(), one, model.Hello{Cluster: one}, signature)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if epochs[o.Epoch] {
				t.Errorf("epoch %s was issued twice", o.Epoch)
			}
			epochs[o.Epoch] = true
		})
	}
	wg.Wait()
	newest := model.Epoch{}
	for e := range epochs {
		if newest.Less(e) {
			newest = e
		}
	}
	// The newest is the one that is not fenced off.
	for e := range epochs {
		err := b.AckDesired(t.Context(), one, e, []fleet.Ack{{App: "x"}})
		if e == newest {
			must(t, err)
		} else {
			wantCode(t, err, fault.Conflict, "epoch_stale")
		}
	}
	_, err := b.OpenSession(t.Context(), "none", model.Hello{Cluster: "none"}, signature)
	wantCode(t, err, fault.NotFound, "cluster_unknown")
	_, err = b.OpenSession(t.Context(), one, model.Hello{Cluster: "other"}, signature)
	wantCode(t, err, fault.Denied, "cluster_mismatch")
	if n := b.count(`SELECT number FROM sessions WHERE cluster_id = $1`, one); int64(n) != newest.Number {
		t.Error("a refused hello changed the session")
	}
}

func TestSessionSendsWhatTheAgentLacks(t *testing.T) {
	b := setup(t)
	one := b.cluster("one")
	has, old, lacks := b.app("has", one), b.app("old", one), b.app("lacks", one)
	b.app("empty", one)
	b.desire(b.app("foreign", b.cluster("two")), "aaa")
	b.desire(has, "aaa")
	b.desire(old, "aaa")
	old2 := b.desire(old, "bbb")
	lacks1 := b.desire(lacks, "aaa")
	op := b.sync(has)
	o := b.session(one,
		model.KnownApp{UID: has.UID, Name: "has", Generation: 1, Content: b.content(has)},
		model.KnownApp{UID: old.UID, Name: "old", Generation: 1, Content: "older"})
	if o.Regressed {
		t.Fatalf("regressed: %s", o.Reason)
	}
	want := map[model.AppUID]model.Generation{old.UID: old2.Generation, lacks.UID: lacks1.Generation}
	for _, d := range o.Desired {
		if want[d.App] != d.Generation {
			t.Errorf("sent %s generation %d", d.Name, d.Generation)
		}
		delete(want, d.App)
	}
	if len(want) != 0 {
		t.Errorf("not sent: %v", want)
	}
	if len(o.Send) != 1 || o.Send[0].ID != op.ID {
		t.Errorf("operations %+v", o.Send)
	}
	// The hello of the next session brings the end of the operation.
	finished := b.now()
	next, err := b.OpenSession(t.Context(), one, model.Hello{Cluster: one, LastEpoch: o.Epoch, MaxOpSeq: op.Seq, AgentVersion: "v2",
		Known: []model.KnownApp{{UID: has.UID, Name: "has", Generation: 1, Content: b.content(has)}},
		Operations: []model.OperationUpdate{
			{ID: op.ID, App: has.UID, Kind: model.OperationSync, Phase: model.PhaseSucceeded, FinishedAt: &finished},
			{ID: "unknown", Phase: model.PhaseFailed},
		}}, signature)
	must(t, err)
	if len(next.Send) != 0 || len(next.Acknowledge) != 2 {
		t.Errorf("%+v", next)
	}
	if got, err := b.Operation(t.Context(), op.ID); err != nil || got.Phase != model.PhaseSucceeded {
		t.Errorf("%+v %v", got, err)
	}
	if c, err := b.Cluster(t.Context(), "one"); err != nil || c.AgentVersion != "v2" {
		t.Errorf("%+v %v", c, err)
	}
}

// TestRestoredDatabase lets agents come that know more than the database.
func TestRestoredDatabase(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one, two := b.cluster("one"), b.cluster("two")
	app := b.app("shop", one)
	b.desire(app, "aaa")
	other := b.app("other", two)
	b.desire(other, "aaa")
	del, _, err := b.CreateOperation(ctx, fleet.NewOperation{App: other.UID, Kind: model.OperationDelete, Spec: model.OperationSpec{Cascade: true}})
	must(t, err)

	last := model.Epoch{Incarnation: 1, Number: 1000}
	hello := model.Hello{Cluster: one, LastEpoch: last, MaxOpSeq: 500, Known: []model.KnownApp{
		{UID: app.UID, Name: "shop", Generation: 7, Content: "newer"},
		{UID: "created-later", Name: "lost", Project: "default", Generation: 1},
	}}
	refused := errors.New("no key")
	_, err = b.OpenSession(ctx, one, hello, func(string, int64) ([]byte, error) { return nil, refused })
	if !errors.Is(err, refused) {
		t.Errorf("the signature failed: %v", err)
	}
	if h, err := b.HubState(ctx); err != nil || h.Incarnation != 1 || h.HoldDeletes {
		t.Errorf("half done: %+v %v", h, err)
	}

	o, err := b.OpenSession(ctx, one, hello, signature)
	must(t, err)
	hub, err := b.HubState(ctx)
	must(t, err)
	if !o.Regressed || o.RaiseIncarnationTo != 2 || hub.Incarnation != 2 || !hub.HoldDeletes || string(hub.IncarnationSignature) != "signed 2" {
		t.Fatalf("%+v\n%+v", o, hub)
	}
	if o.Epoch.Incarnation != 2 || !last.Less(o.Epoch) || string(o.Hub.IncarnationSignature) != "signed 2" {
		t.Errorf("epoch %s", o.Epoch)
	}
	must(t, b.AckDesired(ctx, one, o.Epoch, []fleet.Ack{{App: app.UID}}))
	c, err := b.Cluster(ctx, "one")
	must(t, err)
	if len(c.UnknownApps) != 1 || c.UnknownApps[0].Name != "lost" {
		t.Errorf("unknown applications %+v", c.UnknownApps)
	}

	// The older content is not sent; sources are read anew, and what is written
	// then lies above what the agent holds.
	desired, _, err := b.DesiredFor(ctx, one, nil)
	must(t, err)
	if len(o.Desired) != 0 || len(desired) != 0 {
		t.Errorf("older content travels: %+v %+v", o.Desired, desired)
	}
	stored, err := b.Application(ctx, "shop")
	must(t, err)
	if stored.Source.RenderKey != "" {
		t.Error("the render key is left, nothing will be rendered")
	}
	d := b.desire(stored, "aaa")
	if d.Generation != 8 || !d.HoldDeletes {
		t.Errorf("reissued as %+v", d)
	}
	desired, _, err = b.DesiredFor(ctx, one, nil)
	must(t, err)
	if len(desired) != 1 || !desired[0].HoldDeletes {
		t.Errorf("%+v", desired)
	}
	if op := b.sync(stored); op.Seq <= 500 {
		t.Errorf("operation number %d, the agent has seen 500", op.Seq)
	}

	// The second agent of the same restore raises nothing more, and its
	// withdrawal waits until the restore is acknowledged.
	known := model.KnownApp{UID: other.UID, Name: "other", Generation: 9, Content: "newer"}
	o2, err := b.OpenSession(ctx, two, model.Hello{Cluster: two, LastEpoch: model.Epoch{Incarnation: 1, Number: 999}, Known: []model.KnownApp{known}}, signature)
	must(t, err)
	if o2.RaiseIncarnationTo != 0 || len(o2.Withdraws) != 0 || len(o2.Desired) != 0 {
		t.Errorf("%+v", o2)
	}
	must(t, b.AcknowledgeRestore(ctx))
	if h, err := b.HubState(ctx); err != nil || h.HoldDeletes || h.Incarnation != 2 {
		t.Errorf("%+v %v", h, err)
	}
	o2, err = b.OpenSession(ctx, two, model.Hello{Cluster: two, LastEpoch: o2.Epoch, Known: []model.KnownApp{known}}, signature)
	must(t, err)
	if len(o2.Withdraws) != 1 || o2.Withdraws[0].Generation <= 9 || o2.Withdraws[0].Operation != del.ID {
		t.Errorf("%+v", o2.Withdraws)
	}
	_, withdraws, err := b.DesiredFor(ctx, two, nil)
	must(t, err)
	if len(withdraws) != 1 || withdraws[0].Generation != o2.Withdraws[0].Generation {
		t.Errorf("stored %+v, sent %+v", withdraws, o2.Withdraws)
	}
	desired, _, err = b.DesiredFor(ctx, one, nil)
	must(t, err)
	if len(desired) != 1 || desired[0].HoldDeletes {
		t.Errorf("after the acknowledgement: %+v", desired)
	}
}

// TestRegressionSeenByManyAgentsAtOnce raises the incarnation from several
// sessions at the same time, without a deadlock.
func TestRegressionSeenByManyAgentsAtOnce(t *testing.T) {
	b := setup(t)
	var wg sync.WaitGroup
	names := []string{"one", "two", "three", "four", "five", "six"}
	ids := make([]model.ClusterID, len(names))
	for i, n := range names {
		ids[i] = b.cluster(n)
	}
	openings := make([]fleet.Opening, len(names))
	start := time.Now()
	for i := range names {
		wg.Go(func() {
			var err error
			openings[i], err = b.OpenSession(t.Context(), ids[i], model.Hello{Cluster: ids[i], LastEpoch: model.Epoch{Incarnation: 4, Number: 9}}, signature)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("in %s", time.Since(start))
	hub, err := b.HubState(t.Context())
	must(t, err)
	if hub.Incarnation != 5 || !hub.HoldDeletes {
		t.Errorf("%+v", hub)
	}
	raised := 0
	for _, o := range openings {
		if o.RaiseIncarnationTo != 0 {
			raised++
		}
		if o.Epoch.Incarnation != 5 {
			t.Errorf("epoch %s", o.Epoch)
		}
	}
	if raised != 1 {
		t.Errorf("%d sessions raised the incarnation", raised)
	}
	if n := b.count(`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// The epoch is the only evidence, and it is the very next number of the
// sequence: the transaction that raises the incarnation starts again and draws
// another number, which must not hide what the first attempt saw.
func TestRestoreSeenByTheEpochAlone(t *testing.T) {
	b := setup(t)
	one := b.cluster("one")
	o, err := b.OpenSession(t.Context(), one, model.Hello{Cluster: one}, signature)
	if err != nil {
		t.Fatal(err)
	}
	last := model.Epoch{Incarnation: o.Epoch.Incarnation, Number: o.Epoch.Number + 1}
	o, err = b.OpenSession(t.Context(), one, model.Hello{Cluster: one, LastEpoch: last}, signature)
	if err != nil {
		t.Fatal(err)
	}
	if !o.Regressed || !o.Hub.HoldDeletes || o.Epoch.Incarnation != last.Incarnation+1 {
		t.Errorf("regressed %v, holds deletes %v, epoch %s", o.Regressed, o.Hub.HoldDeletes, o.Epoch)
	}
}

package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestOperationsAreAdmittedInOrder(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	app := b.app("shop", b.cluster("one"))
	confirm := 3
	spec := model.OperationSpec{Prune: true, ConfirmPrune: &confirm, SyncOptions: []string{"Replace=true"}}
	first, existed, err := b.CreateOperation(ctx, fleet.NewOperation{App: app.UID, Kind: model.OperationSync, Spec: spec, InitiatedBy: "ann", Deadline: b.now().Add(time.Hour)})
	must(t, err)
	if existed || first.Phase != model.PhaseQueued || first.Seq == 0 || first.AppName != "shop" || first.Cluster != app.Cluster {
		t.Errorf("%+v", first)
	}
	got, err := b.Operation(ctx, first.ID)
	must(t, err)
	if *got.Spec.ConfirmPrune != 3 || got.Spec.SyncOptions[0] != "Replace=true" || !got.Deadline.Equal(b.now().Add(time.Hour)) || got.InitiatedBy != "ann" {
		t.Errorf("%+v", got)
	}
	second := b.sync(app)
	if second.Seq <= first.Seq {
		t.Errorf("numbers %d, %d", first.Seq, second.Seq)
	}
	got, err = b.Operation(ctx, first.ID)
	must(t, err)
	if got.Phase != model.PhaseSuperseded || !strings.Contains(got.Message, string(second.ID)) || got.FinishedAt == nil {
		t.Errorf("the older is %+v", got)
	}
	pending, err := b.PendingOperations(ctx, app.Cluster)
	must(t, err)
	if len(pending) != 1 || pending[0].ID != second.ID {
		t.Errorf("pending %+v", pending)
	}

	b.desire(app, "aaa")
	o := b.session(app.Cluster)
	if len(o.Send) != 1 || o.Send[0].ID != second.ID {
		t.Errorf("sent %+v", o.Send)
	}
	_, _, err = b.CreateOperation(ctx, fleet.NewOperation{App: app.UID, Kind: model.OperationSync})
	wantCode(t, err, fault.Precondition, "operation_running")
	_, _, err = b.CreateOperation(ctx, fleet.NewOperation{App: app.UID, Kind: "dance"})
	wantCode(t, err, fault.Invalid, "operation_kind")
	_, _, err = b.CreateOperation(ctx, fleet.NewOperation{App: "gone", Kind: model.OperationSync})
	wantCode(t, err, fault.NotFound, "application_not_found")
	_, err = b.Operation(ctx, "gone")
	wantCode(t, err, fault.NotFound, "operation_not_found")

	for _, test := range []struct {
		filter fleet.OperationFilter
		want   []model.OperationID
	}{
		{fleet.OperationFilter{}, []model.OperationID{second.ID, first.ID}},
		{fleet.OperationFilter{Limit: 1}, []model.OperationID{second.ID}},
		{fleet.OperationFilter{OpenOnly: true, App: app.UID}, []model.OperationID{second.ID}},
		{fleet.OperationFilter{Cluster: app.Cluster}, []model.OperationID{second.ID, first.ID}},
		{fleet.OperationFilter{Cluster: "two"}, nil},
		{fleet.OperationFilter{App: "gone"}, nil},
	} {
		ops, err := b.Operations(ctx, test.filter)
		must(t, err)
		var ids []model.OperationID
		for _, op := range ops {
			ids = append(ids, op.ID)
		}
		if !slices.Equal(ids, test.want) {
			t.Errorf("%+v: %v, want %v", test.filter, ids, test.want)
		}
	}
}

func TestIdempotencyKeys(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one := b.cluster("one")
	app, other := b.app("shop", one), b.app("other", one)
	n := fleet.NewOperation{App: app.UID, Kind: model.OperationSync, IdempotencyKey: "key-1"}
	var (
		wg      sync.WaitGroup
		ids     [8]model.OperationID
		created atomic.Int64
	)
	for i := range ids {
		wg.Go(func() {
			op, existed, err := b.CreateOperation(ctx, n)
			if err != nil {
				t.Error(err)
			}
			if !existed {
				created.Add(1)
			}
			ids[i] = op.ID
		})
	}
	wg.Wait()
	if created.Load() != 1 || b.count(`SELECT count(*) FROM operations`) != 1 {
		t.Errorf("%d were created", created.Load())
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("answers differ: %v", ids)
		}
	}
	n.Spec.Prune = true
	_, _, err := b.CreateOperation(ctx, n)
	wantCode(t, err, fault.Conflict, "idempotency_key_reused")
	_, _, err = b.CreateOperation(ctx, fleet.NewOperation{App: other.UID, Kind: model.OperationSync, IdempotencyKey: "key-1"})
	wantCode(t, err, fault.Conflict, "idempotency_key_reused")

	// The key of a delete stands for it after the application is gone.
	del := fleet.NewOperation{App: app.UID, Kind: model.OperationDelete, IdempotencyKey: "key-2"}
	op, _, err := b.CreateOperation(ctx, del)
	must(t, err)
	o := b.session(one)
	_, err = b.ApplyOperationUpdates(ctx, one, o.Epoch, []model.OperationUpdate{{ID: op.ID, App: app.UID, Kind: model.OperationDelete, Phase: model.PhaseSucceeded}})
	must(t, err)
	again, existed, err := b.CreateOperation(ctx, del)
	must(t, err)
	if !existed || again.ID != op.ID || again.Phase != model.PhaseSucceeded {
		t.Errorf("%+v %v", again, existed)
	}
}

func TestOperationLifeOverAnAgent(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one := b.cluster("one")
	app := b.app("shop", one)
	op := b.sync(app)
	foreignApp := b.app("foreign", b.cluster("two"))
	foreign := b.sync(foreignApp)

	b.desire(app, "aaa")
	o := b.session(one)
	if got, err := b.Operation(ctx, op.ID); err != nil || got.Phase != model.PhaseSent {
		t.Errorf("after the session opened: %+v %v", got, err)
	}
	started, finished := b.now().Add(time.Second), b.now().Add(2*time.Second)
	update := func(phase model.OperationPhase, message string) []model.OperationInfo {
		t.Helper()
		out, err := b.ApplyOperationUpdates(ctx, one, o.Epoch, []model.OperationUpdate{
			{ID: foreign.ID, App: foreignApp.UID, Phase: model.PhaseFailed},
			{ID: "unknown", Phase: model.PhaseFailed},
			{ID: op.ID, App: app.UID, Phase: phase, Message: message, StartedAt: &started, FinishedAt: &finished,
				Result: &model.OperationResult{Revision: "aaa", Resources: []model.ResourceResult{{Status: "Created", Message: "\x00"}}}},
		})
		must(t, err)
		return out
	}
	if out := update(model.PhaseRunning, "applying"); len(out) != 1 || out[0].Phase != model.PhaseRunning {
		t.Errorf("%+v", out)
	}
	if out := update("Dreaming", ""); len(out) != 1 || out[0].Phase != model.PhaseRunning {
		t.Errorf("an impossible phase: %+v", out)
	}
	if out := update(model.PhaseSucceeded, "done \x00"); len(out) != 1 || out[0].Phase != model.PhaseSucceeded {
		t.Errorf("%+v", out)
	}
	if out := update(model.PhaseFailed, "late"); len(out) != 1 || out[0].Phase != model.PhaseSucceeded {
		t.Errorf("an ended operation changed: %+v", out)
	}
	got, err := b.Operation(ctx, op.ID)
	must(t, err)
	if got.Phase != model.PhaseSucceeded || got.Message != "done " || !got.FinishedAt.Equal(finished) || !got.StartedAt.Equal(started) || got.Result.Revision != "aaa" {
		t.Errorf("%+v", got)
	}
	if got, err := b.Operation(ctx, foreign.ID); err != nil || got.Phase != model.PhaseQueued {
		t.Errorf("an agent changed another cluster's operation: %+v %v", got, err)
	}
	b.session(one)
	_, err = b.ApplyOperationUpdates(ctx, one, o.Epoch, []model.OperationUpdate{{ID: op.ID, Phase: model.PhaseFailed}})
	wantCode(t, err, fault.Conflict, "epoch_stale")
	wantCode(t, b.MarkSent(ctx, one, o.Epoch, []model.OperationID{op.ID}), fault.Conflict, "epoch_stale")
}

func TestMarkSentTouchesOnlyOwnQueuedOnes(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one, two := b.cluster("one"), b.cluster("two")
	o := b.session(one)
	mine, foreign := b.sync(b.app("shop", one)), b.sync(b.app("foreign", two))
	must(t, b.MarkSent(ctx, one, o.Epoch, []model.OperationID{mine.ID, foreign.ID, "gone"}))
	must(t, b.MarkSent(ctx, one, o.Epoch, nil))
	for id, want := range map[model.OperationID]model.OperationPhase{mine.ID: model.PhaseSent, foreign.ID: model.PhaseQueued} {
		if got, err := b.Operation(ctx, id); err != nil || got.Phase != want {
			t.Errorf("%+v %v, want %s", got, err, want)
		}
	}
}

func TestDeleteIsCarriedOutOnce(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one := b.cluster("one")
	app := b.app("shop", one)
	b.desire(app, "aaa")
	b.desire(app, "bbb") // generation 2
	queued := b.sync(app)
	o := b.session(one, model.KnownApp{UID: app.UID, Name: "shop", Generation: 2, Content: b.content(app)})
	must(t, b.SaveReports(ctx, []fleet.Report{b.report(app, o, 1)}))
	// The sync is with the agent, and the delete does not wait for it here.
	del, existed, err := b.CreateOperation(ctx, fleet.NewOperation{App: app.UID, Kind: model.OperationDelete, Spec: model.OperationSpec{Cascade: true}, Deadline: b.now()})
	must(t, err)
	if existed || del.Deadline != nil {
		t.Errorf("%+v %v", del, existed)
	}
	again, existed, err := b.CreateOperation(ctx, fleet.NewOperation{App: app.UID, Kind: model.OperationDelete})
	must(t, err)
	if !existed || again.ID != del.ID {
		t.Errorf("a second delete: %+v %v", again, existed)
	}
	_, _, err = b.CreateOperation(ctx, fleet.NewOperation{App: app.UID, Kind: model.OperationSync})
	wantCode(t, err, fault.Precondition, "application_deleting")
	_, _, err = b.UpsertApplication(ctx, fleet.App{Name: "shop", Cluster: one, Application: application("shop")})
	wantCode(t, err, fault.Conflict, "application_deleting")

	desired, withdraws, err := b.DesiredFor(ctx, one, []model.AppUID{app.UID})
	must(t, err)
	if len(desired) != 0 || len(withdraws) != 1 {
		t.Fatalf("%+v %+v", desired, withdraws)
	}
	if w := withdraws[0]; w.Generation != 3 || w.Mode != model.WithdrawCascade || w.Operation != del.ID || w.OperationSeq != del.Seq || w.Name != "shop" {
		t.Errorf("%+v", w)
	}
	if pending, err := b.PendingOperations(ctx, one); err != nil || len(pending) != 1 || pending[0].ID != queued.ID {
		t.Errorf("pending %+v %v", pending, err)
	}
	if v, err := b.AppView(ctx, "shop"); err != nil || !v.Deleting || v.Operation.ID != del.ID {
		t.Errorf("%+v %v", v, err)
	}

	must(t, b.MarkSent(ctx, one, o.Epoch, []model.OperationID{del.ID}))
	_, err = b.TerminateOperation(ctx, del.ID, "ann")
	wantCode(t, err, fault.Precondition, "delete_started")
	out, err := b.ApplyOperationUpdates(ctx, one, o.Epoch, []model.OperationUpdate{{ID: del.ID, App: app.UID, Kind: model.OperationDelete, Phase: model.PhaseSucceeded}})
	must(t, err)
	if len(out) != 1 || out[0].Phase != model.PhaseSucceeded {
		t.Errorf("%+v", out)
	}
	for _, table := range []string{"apps", "desired", "observed", "observed_detail", "app_sources", "withdrawals"} {
		if n := b.count(`SELECT count(*) FROM ` + table); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	if n := b.count(`SELECT count(*) FROM tombstones WHERE app_uid = $1 AND generation = 3`, app.UID); n != 1 {
		t.Error("no tombstone")
	}
	// Late words of the agent change and break nothing.
	must(t, b.SaveReports(ctx, []fleet.Report{b.report(app, o, 2)}))
	must(t, b.AckDesired(ctx, one, o.Epoch, []fleet.Ack{{App: app.UID, Generation: 2}}))
	opening := b.session(one, model.KnownApp{UID: app.UID, Name: "shop", Generation: 2})
	if opening.Regressed {
		t.Errorf("a tombstoned application counts as a restored database: %s", opening.Reason)
	}
	// The same name again is another life.
	if reborn := b.app("shop", one); reborn.UID == app.UID {
		t.Error("the new application has the old one's uid")
	}
}

func TestDeleteThatIsGivenUpKeepsTheApplication(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	app := b.app("shop", b.cluster("one"))
	b.desire(app, "aaa")
	del, _, err := b.CreateOperation(ctx, fleet.NewOperation{App: app.UID, Kind: model.OperationDelete})
	must(t, err)
	ended, err := b.TerminateOperation(ctx, del.ID, "ann")
	must(t, err)
	if ended.Phase != model.PhaseTerminated || !strings.Contains(ended.Message, "ann") {
		t.Errorf("%+v", ended)
	}
	desired, withdraws, err := b.DesiredFor(ctx, app.Cluster, nil)
	must(t, err)
	if len(desired) != 1 || len(withdraws) != 0 {
		t.Errorf("%+v %+v", desired, withdraws)
	}
	stored, err := b.Application(ctx, "shop")
	must(t, err)
	if stored.Deleting {
		t.Error("it is still being deleted")
	}
	// The withdrawal's generation is used up.
	if d := b.desire(stored, "bbb"); d.Generation != 3 {
		t.Errorf("generation %d after 1 and a withdrawal", d.Generation)
	}
	again, existed, err := b.CreateOperation(ctx, fleet.NewOperation{App: app.UID, Kind: model.OperationDelete})
	must(t, err)
	if existed || again.ID == del.ID {
		t.Error("the ended delete stands for a new one")
	}
	_, withdraws, err = b.DesiredFor(ctx, app.Cluster, nil)
	must(t, err)
	if len(withdraws) != 1 || withdraws[0].Generation != 4 || withdraws[0].Mode != model.WithdrawOrphan {
		t.Errorf("%+v", withdraws)
	}
}

func TestTerminateAndExpire(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one := b.cluster("one")
	app, sentApp := b.app("shop", one), b.app("sent", one)
	queued, sent := b.sync(app), b.sync(sentApp)
	b.desire(app, "aaa")
	b.desire(sentApp, "aaa")
	b.session(one) // is sent both
	got, err := b.TerminateOperation(ctx, sent.ID, "bob")
	must(t, err)
	if got.Phase != model.PhaseSent || !got.Terminating || !strings.HasPrefix(got.Message, "bob has asked to end it") {
		t.Errorf("%+v", got)
	}
	if pending, err := b.PendingOperations(ctx, one); err != nil || len(pending) != 2 || !pending[1].Terminating {
		t.Errorf("%+v %v", pending, err)
	}
	_, _, err = b.CreateOperation(ctx, fleet.NewOperation{App: app.UID, Kind: model.OperationDelete, Version: 99})
	wantCode(t, err, fault.Conflict, "version_conflict")
	_, err = b.TerminateOperation(ctx, "gone", "bob")
	wantCode(t, err, fault.NotFound, "operation_not_found")
	if ended, err := b.ExpireOperations(ctx, b.now().Add(2*time.Hour)); err != nil || len(ended) != 0 {
		t.Errorf("what an agent was given expired: %+v %v", ended, err)
	}
	late := b.sync(b.app("late", one))
	if ended, err := b.ExpireOperations(ctx, b.now()); err != nil || len(ended) != 0 {
		t.Errorf("too early: %+v %v", ended, err)
	}
	ended, err := b.ExpireOperations(ctx, b.now().Add(2*time.Hour))
	must(t, err)
	if len(ended) != 1 || ended[0].ID != late.ID || ended[0].Phase != model.PhaseExpired {
		t.Errorf("%+v", ended)
	}
	if got, err := b.Operation(ctx, late.ID); err != nil || got.Phase != model.PhaseExpired || got.Message == "" {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := b.Operation(ctx, queued.ID); err != nil || got.Phase != model.PhaseSent {
		t.Errorf("%+v %v", got, err)
	}
}

// TestConcurrentIntentsDoNotDeadlock runs everything that locks applications
// and operations against each other.
func TestConcurrentIntentsDoNotDeadlock(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one := b.cluster("one")
	var apps []fleet.App
	for i := range 6 {
		apps = append(apps, b.app(fmt.Sprintf("a%d", i), one))
	}
	var changes []fleet.DesiredChange
	for _, a := range apps {
		changes = append(changes, b.change(a, "aaa"))
	}
	var wg sync.WaitGroup
	check := func(err error) {
		if err != nil && !fault.HasCode(err, "operation_running") && !fault.HasCode(err, "epoch_stale") {
			t.Error(err)
		}
	}
	for w := range 3 {
		wg.Go(func() {
			for i := range 15 {
				_, _, err := b.CreateOperation(ctx, fleet.NewOperation{App: apps[(i+w)%6].UID, Kind: model.OperationSync})
				check(err)
			}
		})
		wg.Go(func() {
			for i := range 10 {
				cs := slices.Clone(changes)
				for j := range cs {
					cs[j].Desired.Revision.Commit = fmt.Sprint(w, i)
				}
				slices.Reverse(cs)
				_, err := b.WriteDesired(ctx, cs)
				check(err)
			}
		})
		wg.Go(func() {
			for range 8 {
				o, err := b.OpenSession(ctx, one, model.Hello{Cluster: one}, signature)
				if err != nil {
					t.Error(err)
					return
				}
				var updates []model.OperationUpdate
				for _, op := range o.Send {
					updates = append(updates, model.OperationUpdate{ID: op.ID, App: op.App, Kind: op.Kind, Phase: model.PhaseSucceeded})
				}
				slices.Reverse(updates)
				_, err = b.ApplyOperationUpdates(ctx, one, o.Epoch, updates)
				check(err)
				var reports []fleet.Report
				for _, a := range apps {
					reports = append(reports, b.report(a, o, 1))
				}
				check(b.SaveReports(ctx, reports))
			}
		})
	}
	wg.Wait()
	if n := b.count(`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// TestCommitOfUnknownOutcome loses the connection while an operation is
// committed, before and after the database has the message.
func TestCommitOfUnknownOutcome(t *testing.T) {
	for name, v := range map[string]verdict{"it was not done": cutBefore, "it was done": cutAfter} {
		for _, key := range []string{"", "key-1"} {
			t.Run(name+" "+key, func(t *testing.T) {
				b, wire := setupProxied(t)
				app := b.app("shop", b.cluster("one"))
				var cut atomic.Int64
				wire.intercept(func(m []byte) verdict {
					if isCommit(m) && cut.CompareAndSwap(0, 1) {
						return v
					}
					return pass
				})
				op, existed, err := b.CreateOperation(t.Context(), fleet.NewOperation{App: app.UID, Kind: model.OperationSync, IdempotencyKey: key})
				must(t, err)
				if cut.Load() != 1 {
					t.Fatal("no commit was cut")
				}
				if n := b.count(`SELECT count(*) FROM operations WHERE id = $1`, op.ID); n != 1 {
					t.Errorf("%d operations have the id that was answered", n)
				}
				if n := b.count(`SELECT count(*) FROM operations`); n != 1 {
					t.Errorf("%d operations are stored", n)
				}
				if existed && key == "" {
					t.Error("a new operation counts as existing")
				}
			})
		}
	}
	t.Run("and the database stays away", func(t *testing.T) {
		b, wire := setupProxied(t)
		app := b.app("shop", b.cluster("one"))
		wire.intercept(func(m []byte) verdict {
			if isCommit(m) {
				return refuseMore
			}
			return pass
		})
		_, _, err := b.CreateOperation(t.Context(), fleet.NewOperation{App: app.UID, Kind: model.OperationSync})
		wantCode(t, err, fault.Unavailable, "commit_unknown")
		var f *fault.Error
		if !errors.As(err, &f) || !strings.Contains(f.Message, "operation 0") || f.Fix == "" {
			t.Errorf("it does not name the operation: %+v", f)
		}
	})
}

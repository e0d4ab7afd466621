package fleet

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

var phases = []model.OperationPhase{model.PhaseQueued, model.PhaseSent, model.PhaseRunning, model.PhaseSucceeded,
	model.PhaseFailed, model.PhaseSuperseded, model.PhaseExpired, model.PhaseTerminated}

func TestAdvance(t *testing.T) {
	running := Update(model.OperationUpdate{ID: "op", Phase: model.PhaseRunning}, now)
	failed := Update(model.OperationUpdate{ID: "op", Phase: model.PhaseFailed}, now)
	events := map[string]OperationEvent{
		"sent": {Type: EventSent, At: now}, "not accepted": {Type: EventNotAccepted, At: now}, "running": running, "failed": failed,
		"terminate": {Type: EventTerminate, Reason: "r", At: now}, "supersede": Supersede("r", now), "expire": {Type: EventExpire, At: now},
	}
	const q, s, r, f, x, e, term = model.PhaseQueued, model.PhaseSent, model.PhaseRunning, model.PhaseFailed, model.PhaseSuperseded, model.PhaseExpired, model.PhaseTerminated
	want := map[model.OperationKind]map[string][3]model.OperationPhase{ // from Queued, Sent, Running; "" is an error
		model.OperationSync: {
			"sent": {s, s, r}, "not accepted": {q, q, r}, "running": {r, r, r}, "failed": {f, f, f},
			"terminate": {term, s, r}, "supersede": {x, "", ""}, "expire": {e, s, r},
		},
		model.OperationDelete: {
			"sent": {s, s, r}, "not accepted": {q, q, r}, "running": {r, r, r}, "failed": {f, f, f},
			"terminate": {term, "", ""}, "supersede": {x, "", ""}, "expire": {q, s, r},
		},
	}
	want[model.OperationAction] = want[model.OperationSync]
	for kind, table := range want {
		for name, ev := range events {
			for i, from := range phases {
				op := operation("op", "a", kind, from)
				next, changed, err := Advance(op, ev)
				expect := from
				if i < 3 {
					expect = table[name][i]
				}
				if expect == "" {
					if !fault.Is(err, fault.Precondition) || changed || next.Phase != from {
						t.Errorf("%s %s on %s: %s, %v, %v", kind, name, from, next.Phase, changed, err)
					}
					continue
				}
				if err != nil || next.Phase != expect {
					t.Errorf("%s %s on %s: %s, %v; want %s", kind, name, from, next.Phase, err, expect)
				}
				if from.Terminal() && changed {
					t.Errorf("%s %s changed an ended operation", kind, name)
				}
				if next.Phase.Terminal() && !from.Terminal() && (next.FinishedAt == nil || next.Message == "") {
					t.Errorf("%s %s on %s ends without a time or a reason: %+v", kind, name, from, next)
				}
				if name == "terminate" && kind != model.OperationDelete && (from == s || from == r) && (!next.Terminating || !changed) {
					t.Errorf("terminate on %s does not tell the agent", from)
				}
			}
		}
	}
}

func TestAdvanceRefusesWhatCannotBe(t *testing.T) {
	op := operation("op", "a", model.OperationSync, model.PhaseSent)
	for name, ev := range map[string]OperationEvent{
		"another operation":   Update(model.OperationUpdate{ID: "other", Phase: model.PhaseRunning}, now),
		"another application": Update(model.OperationUpdate{ID: "op", App: "b", Phase: model.PhaseRunning}, now),
		"a phase of the hub":  Update(model.OperationUpdate{ID: "op", Phase: model.PhaseQueued}, now),
		"no phase":            Update(model.OperationUpdate{ID: "op"}, now),
	} {
		if next, changed, err := Advance(op, ev); !fault.Is(err, fault.Invalid) || changed || next.Phase != op.Phase {
			t.Errorf("%s: %+v, %v, %v", name, next, changed, err)
		}
	}
	if _, _, err := Advance(op, OperationEvent{Type: 99}); err == nil {
		t.Error("an unknown event is taken")
	}
}

func TestUpdatesKeepResultsAndTimes(t *testing.T) {
	start, end := now.Add(-time.Minute), now.Add(-time.Second)
	op := operation("op", "a", model.OperationSync, model.PhaseSent)
	op, changed, _ := Advance(op, Update(model.OperationUpdate{ID: "op", Phase: model.PhaseRunning, StartedAt: &start, Message: "3 of 4"}, now))
	if !changed || !op.StartedAt.Equal(start) || op.Message != "3 of 4" {
		t.Fatalf("%+v", op)
	}
	if _, changed, _ = Advance(op, Update(model.OperationUpdate{ID: "op", Phase: model.PhaseRunning, StartedAt: &start, Message: "3 of 4"}, now)); changed {
		t.Error("a repeated update changes something")
	}
	op, _, _ = Advance(op, Update(model.OperationUpdate{ID: "op", Phase: model.PhaseSucceeded, FinishedAt: &end, Result: &model.OperationResult{Revision: "r"}}, now))
	if op.Phase != model.PhaseSucceeded || !op.FinishedAt.Equal(end) || op.Result.Revision != "r" || !op.StartedAt.Equal(start) {
		t.Errorf("%+v", op)
	}
}

func TestExpire(t *testing.T) {
	past, future := now.Add(-time.Second), now.Add(time.Second)
	for _, phase := range phases {
		for _, kind := range []model.OperationKind{model.OperationSync, model.OperationDelete} {
			for name, deadline := range map[string]*time.Time{"none": nil, "past": &past, "now": &now, "future": &future} {
				op := operation("op", "a", kind, phase)
				op.Deadline = deadline
				next, changed := Expire(op, now)
				want := phase == model.PhaseQueued && kind == model.OperationSync && name == "past"
				if changed != want || (next.Phase == model.PhaseExpired) != (want || phase == model.PhaseExpired) {
					t.Errorf("%s %s deadline %s: %s, %v", kind, phase, name, next.Phase, changed)
				}
			}
		}
	}
}

func TestAdmit(t *testing.T) {
	op := func(id model.OperationID, kind model.OperationKind, phase model.OperationPhase) model.OperationInfo {
		return operation(id, "a", kind, phase)
	}
	sync, del, act := model.OperationSync, model.OperationDelete, model.OperationAction
	for name, c := range map[string]struct {
		open      []model.OperationInfo
		kind      model.OperationKind
		code      string
		existing  model.OperationID
		supersede int
	}{
		"sync, nothing open":           {kind: sync},
		"sync over queued sync":        {open: []model.OperationInfo{op("1", sync, model.PhaseQueued)}, kind: sync, supersede: 1},
		"sync over sent sync":          {open: []model.OperationInfo{op("1", sync, model.PhaseSent)}, kind: sync, code: "operation_running"},
		"sync over running sync":       {open: []model.OperationInfo{op("1", sync, model.PhaseRunning)}, kind: sync, code: "operation_running"},
		"sync over running and queued": {open: []model.OperationInfo{op("1", sync, model.PhaseRunning), op("2", sync, model.PhaseQueued)}, kind: sync, code: "operation_running"},
		"sync over ended sync":         {open: []model.OperationInfo{op("1", sync, model.PhaseFailed)}, kind: sync},
		"sync over queued delete":      {open: []model.OperationInfo{op("1", del, model.PhaseQueued)}, kind: sync, code: "application_deleting"},
		"sync over running delete":     {open: []model.OperationInfo{op("1", del, model.PhaseRunning)}, kind: sync, code: "application_deleting"},
		"delete, nothing open":         {kind: del},
		"delete over queued sync":      {open: []model.OperationInfo{op("1", sync, model.PhaseQueued)}, kind: del, supersede: 1},
		"delete over running sync":     {open: []model.OperationInfo{op("1", sync, model.PhaseRunning)}, kind: del},
		"delete over queued delete":    {open: []model.OperationInfo{op("1", del, model.PhaseQueued)}, kind: del, existing: "1"},
		"delete over running delete":   {open: []model.OperationInfo{op("0", sync, model.PhaseQueued), op("1", del, model.PhaseRunning)}, kind: del, existing: "1"},
		"delete over ended delete":     {open: []model.OperationInfo{op("1", del, model.PhaseTerminated)}, kind: del},
		"another application":          {open: []model.OperationInfo{operation("1", "b", sync, model.PhaseRunning)}, kind: sync},
		"another kind":                 {kind: "rollback", code: "operation_kind"},
		"action, nothing open":         {kind: act},
		"action over queued sync":      {open: []model.OperationInfo{op("1", sync, model.PhaseQueued)}, kind: act, code: "operation_running"},
		"action over running sync":     {open: []model.OperationInfo{op("1", sync, model.PhaseRunning)}, kind: act, code: "operation_running"},
		"action over queued action":    {open: []model.OperationInfo{op("1", act, model.PhaseQueued)}, kind: act, code: "operation_running"},
		"action over ended action":     {open: []model.OperationInfo{op("1", act, model.PhaseFailed)}, kind: act},
		"action over queued delete":    {open: []model.OperationInfo{op("1", del, model.PhaseQueued)}, kind: act, code: "application_deleting"},
		"sync over queued action":      {open: []model.OperationInfo{op("1", act, model.PhaseQueued)}, kind: sync, code: "operation_running"},
		"sync over running action":     {open: []model.OperationInfo{op("1", act, model.PhaseRunning)}, kind: sync, code: "operation_running"},
		"delete over queued action":    {open: []model.OperationInfo{op("1", act, model.PhaseQueued)}, kind: del, supersede: 1},
		"delete over running action":   {open: []model.OperationInfo{op("1", act, model.PhaseRunning)}, kind: del},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Admit(c.open, NewOperation{App: "a", Kind: c.kind})
			if (c.code != "") != (err != nil) || (c.code != "" && !fault.HasCode(err, c.code)) {
				t.Fatalf("error %v, want code %q", err, c.code)
			}
			if (a.Existing != nil) != (c.existing != "") || (a.Existing != nil && a.Existing.ID != c.existing) {
				t.Errorf("existing %+v", a.Existing)
			}
			if len(a.Supersede) != c.supersede {
				t.Errorf("supersedes %v", a.Supersede)
			}
		})
	}
}

func TestRepeats(t *testing.T) {
	three, four := 3, 4
	existing := model.OperationInfo{ID: "1", App: "a", Kind: model.OperationSync, Spec: model.OperationSpec{Prune: true, ConfirmPrune: &three}}
	same := NewOperation{App: "a", Kind: model.OperationSync, Spec: model.OperationSpec{Prune: true, ConfirmPrune: new(int)}}
	*same.Spec.ConfirmPrune = 3
	if err := Repeats(existing, same); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*NewOperation){
		"application": func(n *NewOperation) { n.App = "b" },
		"kind":        func(n *NewOperation) { n.Kind = model.OperationDelete },
		"spec":        func(n *NewOperation) { n.Spec.ConfirmPrune = &four },
	} {
		n := same
		change(&n)
		if err := Repeats(existing, n); !fault.HasCode(err, "idempotency_key_reused") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnAppRemovedEndsOnlyWhatNoAgentHas(t *testing.T) {
	var open []model.OperationInfo
	for _, p := range phases {
		open = append(open, operation(model.OperationID(p), "a", model.OperationSync, p))
	}
	open = append(open, operation("delete", "a", model.OperationDelete, model.PhaseQueued))
	got := OnAppRemoved(open, "delete", now)
	if len(got) != 1 || got[0].Operation.ID != "Queued" || got[0].Operation.Phase != model.PhaseSuperseded || got[0].From != model.PhaseQueued {
		t.Errorf("%+v", got)
	}
}

func TestTransition(t *testing.T) {
	for _, phase := range phases {
		before := operation("op", "a", model.OperationDelete, model.PhaseRunning)
		after := before
		after.Phase = phase
		tr := Transition(before, after)
		if tr.AppRemoved != (phase == model.PhaseSucceeded) || tr.AppKept != (phase.Terminal() && phase != model.PhaseSucceeded) {
			t.Errorf("%s: %+v", phase, tr)
		}
		after.Kind = model.OperationSync
		if tr := Transition(before, after); tr.AppRemoved || tr.AppKept {
			t.Errorf("a sync removes or keeps: %+v", tr)
		}
	}
}

func TestAmend(t *testing.T) {
	cascade := model.OperationSpec{Cascade: true, Propagation: "Background"}
	approved := cascade
	approved.ApproveDeletions = true
	for name, c := range map[string]struct {
		spec  model.OperationSpec
		phase model.OperationPhase
		what  model.AmendmentKind
		want  model.OperationSpec
	}{
		"approve a queued delete":       {cascade, model.PhaseQueued, model.AmendApprove, approved},
		"approve a running delete":      {cascade, model.PhaseRunning, model.AmendApprove, approved},
		"approve what is approved":      {approved, model.PhaseRunning, model.AmendApprove, approved},
		"give up a queued cascade":      {cascade, model.PhaseQueued, model.AmendOrphan, model.OperationSpec{}},
		"give up a sent cascade":        {cascade, model.PhaseSent, model.AmendOrphan, model.OperationSpec{}},
		"give up a running cascade":     {cascade, model.PhaseRunning, model.AmendOrphan, model.OperationSpec{}},
		"give up an approved cascade":   {approved, model.PhaseRunning, model.AmendOrphan, model.OperationSpec{ApproveDeletions: true}},
		"give up what leaves them":      {model.OperationSpec{}, model.PhaseRunning, model.AmendOrphan, model.OperationSpec{}},
		"give up a cascade that ended":  {cascade, model.PhaseSucceeded, model.AmendOrphan, cascade},
		"approve of one that was ended": {cascade, model.PhaseTerminated, model.AmendApprove, cascade},
	} {
		earlier := model.Amendment{What: model.AmendTerminate, By: "eve", At: now}
		op := operation("1", "a", model.OperationDelete, c.phase)
		op.Spec, op.Amendments = c.spec, append(make([]model.Amendment, 0, 4), earlier)
		a := model.Amendment{What: c.what, By: "ann", At: now}
		next, changed, err := Amend(op, a)
		if err != nil || !reflect.DeepEqual(next.Spec, c.want) || changed == reflect.DeepEqual(c.spec, c.want) || next.Phase != c.phase {
			t.Errorf("%s: %+v, %v, %v", name, next, changed, err)
			continue
		}
		want := []model.Amendment{earlier}
		if changed {
			want = append(want, a)
		}
		if !reflect.DeepEqual(next.Amendments, want) || len(op.Amendments) != 1 || op.Amendments[:2][1] != (model.Amendment{}) {
			t.Errorf("%s: amendments %+v, of the operation before %+v", name, next.Amendments, op.Amendments[:2])
		}
	}
	if _, changed, err := Amend(operation("1", "a", model.OperationSync, model.PhaseRunning), model.Amendment{What: model.AmendOrphan}); changed || !fault.HasCode(err, "operation_amendment") {
		t.Errorf("a sync: %v", err)
	}
	if _, changed, err := Amend(operation("1", "a", model.OperationDelete, model.PhaseRunning), model.Amendment{What: "cascade"}); changed || !fault.HasCode(err, "operation_amendment") {
		t.Errorf("another amendment: %v", err)
	}
}

func TestWhoAsksForTheEndIsRemembered(t *testing.T) {
	for _, phase := range []model.OperationPhase{model.PhaseQueued, model.PhaseSent, model.PhaseRunning} {
		op := operation("1", "a", model.OperationSync, phase)
		for _, who := range []string{"ann", "bob"} {
			next, _, err := Advance(op, OperationEvent{Type: EventTerminate, By: who, At: now})
			if err != nil {
				t.Fatal(err)
			}
			op = next
		}
		if phase != model.PhaseQueued {
			op, _, _ = Advance(op, Update(model.OperationUpdate{ID: "1", Phase: model.PhaseTerminated, Message: "ended on request"}, now))
		}
		if want := []model.Amendment{{What: model.AmendTerminate, By: "ann", At: now}}; !reflect.DeepEqual(op.Amendments, want) {
			t.Errorf("%s: %+v", phase, op.Amendments)
		}
	}
	op, _, _ := Advance(operation("1", "a", model.OperationSync, model.PhaseSent), OperationEvent{Type: EventTerminate, Reason: "its deadline has passed", At: now})
	if !op.Terminating || op.Amendments != nil {
		t.Errorf("the hub's own decision: %+v", op)
	}
}

// An agent that was given an operation may have it done before it hears of the
// request to end it: until it says so, nobody is told that it has ended.
func TestWhatAnAgentHasIsAskedToEndAndEndsAsTheAgentSays(t *testing.T) {
	for _, c := range []struct {
		from    model.OperationPhase
		by      string
		update  *model.OperationUpdate
		phase   model.OperationPhase
		message string
		asked   bool
	}{
		{model.PhaseQueued, "ann", nil, model.PhaseTerminated, "ended on request of ann before an agent was given it", false},
		{model.PhaseSent, "ann", nil, model.PhaseSent, "ann has asked to end it; the agent may still carry it out, and it has ended only when the agent says so", true},
		{model.PhaseRunning, "ann", nil, model.PhaseRunning, "ann has asked to end it; the agent may still carry it out, and it has ended only when the agent says so", true},
		{model.PhaseSent, "", nil, model.PhaseSent, "late; the agent is asked to end it; the agent may still carry it out, and it has ended only when the agent says so", true},
		{model.PhaseSent, "ann", &model.OperationUpdate{ID: "1", Phase: model.PhaseRunning}, model.PhaseRunning, "ann has asked to end it; the agent may still carry it out, and it has ended only when the agent says so", true},
		{model.PhaseSent, "ann", &model.OperationUpdate{ID: "1", Phase: model.PhaseRunning, Message: "waits for a hook"}, model.PhaseRunning, "waits for a hook", true},
		{model.PhaseRunning, "ann", &model.OperationUpdate{ID: "1", Phase: model.PhaseSucceeded}, model.PhaseSucceeded, "", false},
		{model.PhaseRunning, "ann", &model.OperationUpdate{ID: "1", Phase: model.PhaseTerminated, Message: "ended on request"}, model.PhaseTerminated, "ended on request", false},
	} {
		op, _, err := Advance(operation("1", "a", model.OperationSync, c.from), OperationEvent{Type: EventTerminate, By: c.by, Reason: "late", At: now})
		if err == nil && c.update != nil {
			op, _, err = Advance(op, Update(*c.update, now))
		}
		if err != nil || op.Phase != c.phase || op.Message != c.message || op.Terminating != c.asked || op.Phase.Terminal() != (op.FinishedAt != nil) {
			t.Errorf("%s, %s, %+v: got %s %q, asked to end %v, %v", c.from, c.by, c.update, op.Phase, op.Message, op.Terminating, err)
		}
	}
}

// To end the operation of a rollback ends that, not the pin.
func TestTheEndOfARollbackThatWasQueuedSaysWhatStays(t *testing.T) {
	for what, ev := range map[string]OperationEvent{
		"terminated": {Type: EventTerminate, By: "ann", At: now}, "expired": {Type: EventExpire, At: now},
	} {
		op := operation("1", "a", model.OperationSync, model.PhaseQueued)
		op.AppName, op.Spec.Rollback = "shop", &model.RollbackSpec{HistoryID: 7, SetAside: "bad"}
		next, _, err := Advance(op, ev)
		if err != nil || !strings.Contains(next.Message, "ended on request of ann before an agent was given it; the application stays pinned to deployment 7") && what == "terminated" ||
			!strings.Contains(next.Message, "hawser app unpin shop") {
			t.Errorf("%s: %q, %v", what, next.Message, err)
		}
		op.Spec.Rollback.SetAside = "" // then there is no pin
		if next, _, _ := Advance(op, ev); strings.Contains(next.Message, "pin") {
			t.Errorf("%s without a pin: %q", what, next.Message)
		}
	}
}

func TestARequestIsKnownByItsKeyAfterAnAmendment(t *testing.T) {
	asked := NewOperation{App: "a", Kind: model.OperationDelete, Spec: model.OperationSpec{Cascade: true, Propagation: "Foreground"}}
	op := operation("1", "a", model.OperationDelete, model.PhaseRunning)
	op.Spec = asked.Spec
	for _, what := range []model.AmendmentKind{model.AmendApprove, model.AmendOrphan} {
		op, _, _ = Amend(op, model.Amendment{What: what, By: "ann", At: now})
		if err := Repeats(op, asked); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	other := asked
	other.Spec.Reason = "another"
	if err := Repeats(op, other); !fault.HasCode(err, "idempotency_key_reused") {
		t.Errorf("%v", err)
	}
}

package fleet

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func session(hold bool, known ...model.KnownApp) *Session {
	return NewSession(Opening{Epoch: model.Epoch{Incarnation: 1, Number: 10}, Hub: HubState{HoldDeletes: hold}}, model.Hello{Cluster: "eu", Known: known})
}

func generations(d []model.Desired) []model.Generation {
	var out []model.Generation
	for _, x := range d {
		out = append(out, x.Generation)
	}
	return out
}

func TestSessionRefusesOtherEpochs(t *testing.T) {
	s := session(false)
	if err := s.Check(model.Epoch{Incarnation: 1, Number: 10}); err != nil {
		t.Error(err)
	}
	for _, e := range []model.Epoch{{}, {Incarnation: 1, Number: 9}, {Incarnation: 1, Number: 11}, {Incarnation: 2, Number: 10}} {
		if err := s.Check(e); !fault.HasCode(err, "epoch_stale") {
			t.Errorf("%s: %v", e, err)
		}
	}
}

func TestSessionSendsEachGenerationOnce(t *testing.T) {
	s := session(false, known("a", 2, "b"))
	steps := []struct {
		row  model.Generation
		want []model.Generation
	}{{2, nil}, {1, nil}, {3, []model.Generation{3}}, {3, nil}, {2, nil}, {5, []model.Generation{5}}}
	for i, step := range steps {
		if got := generations(s.Desired([]model.Desired{*desired("a", step.row, "b")})); !reflect.DeepEqual(got, step.want) {
			t.Errorf("step %d: sent %v, want %v", i, got, step.want)
		}
	}
}

func TestSessionSendsAChangeOfTheHold(t *testing.T) {
	held := known("a", 2, "b")
	held.HoldDeletes = true
	s := session(false, held)
	got := s.Desired([]model.Desired{*desired("a", 2, "b")})
	if len(got) != 1 || got[0].HoldDeletes {
		t.Errorf("the release does not travel: %+v", got)
	}
	if s.Desired([]model.Desired{*desired("a", 2, "b")}) != nil {
		t.Error("it travels twice")
	}
	s = session(true, known("a", 2, "b"))
	if got := s.Desired([]model.Desired{*desired("a", 2, "b")}); len(got) != 1 || !got[0].HoldDeletes {
		t.Errorf("the hold does not travel: %+v", got)
	}
}

func TestSessionWithdraws(t *testing.T) {
	w := model.Withdraw{App: "a", Operation: "op", Generation: 3}
	s := session(false, known("a", 2, "b"))
	if len(s.Withdraws([]model.Withdraw{w})) != 1 || len(s.Withdraws([]model.Withdraw{w})) != 0 {
		t.Error("a withdrawal travels once")
	}
	if s.Desired([]model.Desired{*desired("a", 9, "b")}) != nil {
		t.Error("a withdrawing application gets a desired state")
	}
	s.Updated(model.OperationUpdate{ID: "op", App: "a", Kind: model.OperationDelete, Phase: model.PhaseRunning})
	if s.Desired([]model.Desired{*desired("a", 9, "b")}) != nil {
		t.Error("a withdrawing application gets a desired state")
	}
	again := s.Updated(model.OperationUpdate{ID: "op", App: "a", Kind: model.OperationDelete, Phase: model.PhaseSucceeded})
	if !reflect.DeepEqual(again, []model.AppUID{"a"}) {
		t.Errorf("re-read %v", again)
	}
	if got := s.Desired([]model.Desired{*desired("a", 9, "b")}); len(got) != 1 {
		t.Error("after its end a new decision does not travel")
	}
	if session(true).Withdraws([]model.Withdraw{w}) != nil {
		t.Error("a withdrawal travels while deletes are held")
	}
}

func TestSessionSendsAgainWhatWasRefusedForAWithdrawal(t *testing.T) {
	s := session(false)
	if len(s.Desired([]model.Desired{*desired("b", 1, "x")})) != 1 {
		t.Fatal("not sent")
	}
	s.Ack(Ack{App: "b", Generation: 1, ErrorCode: "withdrawing"})
	if s.Desired([]model.Desired{*desired("b", 1, "x")}) != nil {
		t.Error("sent again before the withdrawal ended")
	}
	if got := s.Updated(model.OperationUpdate{App: "other", Kind: model.OperationDelete, Phase: model.PhaseSucceeded}); !reflect.DeepEqual(got, []model.AppUID{"b", "other"}) {
		t.Errorf("re-read %v", got)
	}
	if len(s.Desired([]model.Desired{*desired("b", 1, "x")})) != 1 {
		t.Error("not sent again")
	}
	s.Ack(Ack{App: "b", Generation: 1, ErrorCode: "generation_conflict"})
	if s.Desired([]model.Desired{*desired("b", 1, "x")}) != nil {
		t.Error("what was refused for good is sent again")
	}
}

func TestSessionCommands(t *testing.T) {
	op := operation("op", "a", model.OperationSync, model.PhaseSent)
	s := session(false, known("a", 2, "b"))
	s.Desired([]model.Desired{*desired("a", 4, "c")})
	got := s.Commands([]model.OperationInfo{op, operation("d", "a", model.OperationDelete, model.PhaseSent), operation("x", "a", model.OperationSync, model.PhaseFailed),
		operation("q", "a", model.OperationSync, model.PhaseQueued)})
	if len(got) != 1 || got[0].ID != "op" || got[0].Generation != 4 || got[0].Terminate {
		t.Fatalf("%+v", got)
	}
	if s.Commands([]model.OperationInfo{op}) != nil {
		t.Error("a command travels twice")
	}
	op.Terminating = true
	if got := s.Commands([]model.OperationInfo{op}); len(got) != 1 || !got[0].Terminate {
		t.Errorf("the end does not travel: %+v", got)
	}
	if s.Commands([]model.OperationInfo{op}) != nil {
		t.Error("the end travels twice")
	}
}

func TestANewSessionKnowsWhatTheAgentRuns(t *testing.T) {
	running := operation("run", "a", model.OperationSync, model.PhaseRunning)
	resend := operation("again", "a", model.OperationSync, model.PhaseSent)
	o := Opening{Send: []model.OperationInfo{resend}}
	h := model.Hello{Operations: []model.OperationUpdate{{ID: "run", Phase: model.PhaseRunning}, {ID: "again", Phase: model.PhaseRunning}}}
	got := NewSession(o, h).Commands([]model.OperationInfo{running, resend})
	if len(got) != 1 || got[0].ID != "again" {
		t.Errorf("%+v", got)
	}
}

func TestRefusalCondition(t *testing.T) {
	if RefusalCondition(Ack{App: "a"}, now) != nil {
		t.Error("an acknowledgement is no condition")
	}
	c := RefusalCondition(Ack{App: "a", ErrorCode: "generation_conflict", Error: "why"}, now)
	if c == nil || c.Code != "generation_conflict" || c.Message != "why" || !c.Since.Equal(now) {
		t.Errorf("%+v", c)
	}
}

func TestASyncWaitsAtTheHubForADesiredState(t *testing.T) {
	s := session(false, known("held", 2, "b"))
	sync := func(app model.AppUID) model.OperationInfo {
		return operation("op", app, model.OperationSync, model.PhaseQueued)
	}
	if !s.Sendable(sync("held")) || s.Sendable(sync("new")) {
		t.Error("what the agent holds decides")
	}
	if !s.Sendable(operation("d", "new", model.OperationDelete, model.PhaseQueued)) {
		t.Error("a delete needs no desired state")
	}
	s.Desired([]model.Desired{*desired("new", 1, "b")})
	if !s.Sendable(sync("new")) {
		t.Error("the desired state was sent")
	}
	s.Ack(Ack{App: "new", Generation: 1, ErrorCode: "withdrawing"})
	if s.Sendable(sync("new")) {
		t.Error("it was refused for the time being")
	}
}

func TestSessionKeepsBackAnOperationOfALaterGeneration(t *testing.T) {
	s := session(false, known("a", 2, "b"))
	op := operation("op", "a", model.OperationSync, model.PhaseQueued)
	for _, step := range []struct {
		about, sent model.Generation
		want        bool
	}{{0, 2, true}, {2, 2, true}, {3, 2, false}, {3, 3, true}, {3, 5, true}, {6, 5, false}} {
		s.Desired([]model.Desired{*desired("a", step.sent, "c")})
		op.Generation = step.about
		if got := s.Sendable(op); got != step.want {
			t.Errorf("about %d, sent %d: %v", step.about, step.sent, got)
		}
	}
	op.Kind = model.OperationDelete
	if !s.Sendable(op) {
		t.Error("a delete waits")
	}
}

func TestSessionSendsAnApprovalOfDeletions(t *testing.T) {
	w := model.Withdraw{App: "a", Operation: "op", Generation: 3}
	approved := w
	approved.ApproveDeletions = true
	s := session(false, known("a", 2, "b"))
	for i, step := range []struct {
		row  model.Withdraw
		sent int
	}{{w, 1}, {w, 0}, {approved, 1}, {approved, 0}, {w, 0}} {
		if got := s.Withdraws([]model.Withdraw{step.row}); len(got) != step.sent {
			t.Errorf("step %d: sent %+v", i, got)
		}
	}
	s = session(false, known("a", 2, "b"))
	if len(s.Withdraws([]model.Withdraw{approved})) != 1 || len(s.Withdraws([]model.Withdraw{approved})) != 0 {
		t.Error("approved from the beginning: it travels once")
	}
}

func TestSessionSendsThatADeleteIsGivenUp(t *testing.T) {
	w := model.Withdraw{App: "a", Operation: "op", Generation: 3, Mode: model.WithdrawCascade}
	orphan, approved, both := w, w, w
	orphan.Mode = model.WithdrawOrphan
	approved.ApproveDeletions = true
	both.Mode, both.ApproveDeletions = model.WithdrawOrphan, true
	s := session(false, known("a", 2, "b"))
	for i, step := range []struct {
		row  model.Withdraw
		sent int
	}{{w, 1}, {w, 0}, {orphan, 1}, {orphan, 0}, {w, 0}, {both, 1}, {both, 0}, {approved, 0}, {orphan, 0}} {
		if got := s.Withdraws([]model.Withdraw{step.row}); len(got) != step.sent {
			t.Errorf("step %d: sent %+v", i, got)
		}
	}
	// Another delete of the application begins anew.
	s.Updated(model.OperationUpdate{ID: "op", App: "a", Kind: model.OperationDelete, Phase: model.PhaseFailed})
	next := w
	next.Operation = "op2"
	if len(s.Withdraws([]model.Withdraw{next})) != 1 {
		t.Error("a new delete does not travel")
	}
	next.Mode = model.WithdrawOrphan
	if len(s.Withdraws([]model.Withdraw{next})) != 1 {
		t.Error("the new delete is not given up")
	}
	if session(true).Withdraws([]model.Withdraw{orphan}) != nil {
		t.Error("it travels while deletes are held")
	}
}

func TestAnAgentThatDoesNotKnowActionsIsSentNone(t *testing.T) {
	action := func(id model.OperationID, phase model.OperationPhase) model.OperationInfo {
		return operation(id, "a", model.OperationAction, phase)
	}
	ops := []model.OperationInfo{action("queued", model.PhaseQueued), action("sent", model.PhaseSent), action("ended", model.PhaseFailed),
		operation("sync", "a", model.OperationSync, model.PhaseSent), action("listed", model.PhaseRunning)}
	for name, c := range map[string]struct {
		capabilities []string
		refused      []model.OperationID
		sent         []model.OperationID
	}{
		"too old": {[]string{model.CapabilitySettings}, []model.OperationID{"queued", "sent"}, []model.OperationID{"sync"}},
		"able":    {[]string{model.CapabilitySettings, model.CapabilityActions}, nil, []model.OperationID{"sent", "sync"}},
	} {
		hello := model.Hello{Cluster: "eu", AgentVersion: "0.1.0", Capabilities: c.capabilities, Known: []model.KnownApp{known("a", 2, "b")},
			Operations: []model.OperationUpdate{{ID: "listed", App: "a", Kind: model.OperationAction, Phase: model.PhaseRunning}}}
		s := NewSession(Opening{}, hello)
		var refused, sent []model.OperationID
		for _, u := range s.Refused(ops, now) {
			refused = append(refused, u.ID)
			if u.Phase != model.PhaseFailed || !strings.HasPrefix(u.Message, "agent_too_old: ") || !strings.Contains(u.Message, `(0.1.0)`) ||
				!strings.Contains(u.Message, `"actions"`) || u.FinishedAt == nil {
				t.Errorf("%s: %+v", name, u)
			}
			if _, changed, err := Advance(ops[0], Update(model.OperationUpdate{ID: "queued", App: u.App, Kind: u.Kind, Phase: u.Phase}, now)); err != nil || !changed {
				t.Errorf("%s: the end is not taken: %v", name, err)
			}
		}
		for _, cmd := range s.Commands(ops) {
			sent = append(sent, cmd.ID)
		}
		if !slices.Equal(refused, c.refused) || !slices.Equal(sent, c.sent) {
			t.Errorf("%s: refused %v, sent %v", name, refused, sent)
		}
	}
}

// An agent that knows actions and not the deletion of one object would take it for an
// action of that name: it is not sent, and says so of itself.
func TestAnAgentThatCannotDeleteSingleObjectsIsSentNoDeletion(t *testing.T) {
	remove := operation("delete", "a", model.OperationAction, model.PhaseSent)
	remove.Spec.Action = &model.ActionSpec{Name: model.ActionDelete, Resource: model.ObjectKey{Kind: "Pod", Name: "p"}, Delete: &model.DeleteSpec{UID: "u"}}
	scale := operation("scale", "a", model.OperationAction, model.PhaseSent)
	scale.Spec.Action = &model.ActionSpec{Name: "scale", Resource: model.ObjectKey{Kind: "Pod", Name: "p"}}
	ops := []model.OperationInfo{remove, scale}
	for name, c := range map[string]struct {
		capabilities, refused, sent string
	}{
		"knows neither": {"", "delete scale", ""},
		"knows actions": {model.CapabilityActions, "delete", "scale"},
		"knows both":    {model.CapabilityActions + " " + model.CapabilityDeleteObject, "", "delete scale"},
	} {
		h := hello(known("a", 2, "b"))
		h.AgentVersion, h.Capabilities = "0.1.0", strings.Fields(c.capabilities)
		s := NewSession(Opening{}, h)
		var refused, sent []string
		for _, u := range s.Refused(ops, now) {
			refused = append(refused, string(u.ID))
			if u.ID == "delete" && u.Message != `agent_too_old: the cluster's agent (0.1.0) cannot delete single objects (it lacks the capability "`+
				model.CapabilityDeleteObject+`"); upgrade it, then delete it again` {
				t.Errorf("%s: %s", name, u.Message)
			}
		}
		for _, cmd := range s.Commands(ops) {
			sent = append(sent, string(cmd.ID))
		}
		if got := strings.Join(refused, " "); got != c.refused {
			t.Errorf("%s: refused %q", name, got)
		}
		if got := strings.Join(sent, " "); got != c.sent {
			t.Errorf("%s: sent %q", name, got)
		}
		// The same of those that a session finds when it opens.
		f := facts(AppFacts{UID: "a", Counter: 2, Desired: desired("a", 2, "b")})
		f.Operations = ops
		o, err := Open(f, h, now)
		if err != nil {
			t.Fatal(err)
		}
		var failed, opened []string
		for _, op := range o.Send {
			opened = append(opened, string(op.ID))
		}
		for _, x := range o.Operations {
			if strings.HasPrefix(x.Operation.Message, "agent_too_old: ") {
				failed = append(failed, string(x.Operation.ID))
			}
		}
		if got := strings.Join(failed, " "); got != c.refused || strings.Join(opened, " ") != c.sent {
			t.Errorf("%s: at its opening refused %q, sent %q", name, failed, opened)
		}
	}
}

func TestOpenRefusesActionsForAnAgentThatDoesNotKnowThem(t *testing.T) {
	for _, able := range []bool{false, true} {
		for _, stale := range []bool{false, true} { // of what was sent nothing is known
			f := facts(AppFacts{UID: "a", Counter: 2, Desired: desired("a", 2, "b")})
			f.Operations = []model.OperationInfo{operation("q", "a", model.OperationAction, model.PhaseQueued), operation("s", "a", model.OperationAction, model.PhaseSent),
				operation("r", "a", model.OperationAction, model.PhaseRunning)}
			h := hello(known("a", 2, "b"))
			h.Operations = []model.OperationUpdate{{ID: "r", App: "a", Kind: model.OperationAction, Phase: model.PhaseRunning}}
			if able {
				h.Capabilities = []string{model.CapabilityActions}
			}
			if stale {
				h.LastEpoch.Number--
			}
			o, err := Open(f, h, now)
			if err != nil {
				t.Fatal(err)
			}
			var sent, failed []model.OperationID
			for _, op := range o.Send {
				sent = append(sent, op.ID)
			}
			for _, ot := range o.Operations {
				if ot.Operation.Phase == model.PhaseFailed && strings.HasPrefix(ot.Operation.Message, "agent_too_old: ") {
					failed = append(failed, ot.Operation.ID)
				}
			}
			both := []model.OperationID{"q", "s"}
			if able && (!slices.Equal(sent, both) || failed != nil) || !able && (!slices.Equal(failed, both) || sent != nil) {
				t.Errorf("able %v, stale %v: sends %v, refuses %v", able, stale, sent, failed)
			}
		}
	}
}

func TestWhatAnAgentIsTooOldFor(t *testing.T) {
	observed := model.Desired{Observe: true}
	account := model.Desired{ProjectSpec: model.AppProjectSpec{DestinationServiceAccounts: []model.DestinationServiceAccount{{Server: "*"}}}}
	fields := model.Desired{ProjectSpec: model.AppProjectSpec{SensitiveFields: []model.SensitiveFields{{Kind: "ConfigMap", JSONPointers: []string{"/data/a"}}}}}
	for name, c := range map[string]struct {
		capabilities []string
		desired      model.Desired
		old          bool
	}{
		"an ordinary application":         {nil, model.Desired{}, false},
		"observed, old agent":             {[]string{model.CapabilityActions}, observed, true},
		"observed, new agent":             {[]string{model.CapabilityObserve}, observed, false},
		"service accounts, old agent":     {[]string{model.CapabilityObserve}, account, true},
		"service accounts, new agent":     {[]string{model.CapabilityAccounts}, account, false},
		"sensitive fields, old agent":     {[]string{model.CapabilityAccounts}, fields, true},
		"sensitive fields, new agent":     {[]string{model.CapabilitySensitiveFields}, fields, false},
		"an agent that announces nothing": {nil, observed, true},
	} {
		if err := TooOld(c.capabilities, c.desired); (err != nil) != c.old || err != nil && err.Code != "agent_too_old" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

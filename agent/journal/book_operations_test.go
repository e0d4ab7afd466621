package journal

import (
	"reflect"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func accept(t *testing.T, b *Book, c model.Command) OperationVerdict {
	t.Helper()
	v, err := b.AcceptOperation(c, now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func finish(t *testing.T, b *Book, id model.OperationID, phase model.OperationPhase) {
	t.Helper()
	if _, _, err := b.FinishOperation("a", id, phase, "m", &model.OperationResult{Revision: "r"}, now); err != nil {
		t.Fatal(err)
	}
}

func TestAcceptOperation(t *testing.T) {
	ran := func(t *testing.T) *Book { // op 5 has ended and is acknowledged
		b := holding(t, 3)
		accept(t, b, command("op5", 5))
		finish(t, b, "op5", model.PhaseSucceeded)
		b.AckOperations([]model.OperationID{"op5"})
		return b
	}
	runs := func(t *testing.T) *Book {
		b := holding(t, 3)
		accept(t, b, command("op5", 5))
		return b
	}
	end := func(c model.Command) model.Command { c.Terminate = true; return c }
	for name, c := range map[string]struct {
		book    func(*testing.T) *Book
		command model.Command
		verdict Verdict
		phase   model.OperationPhase // of the update; empty: none
		changed bool
	}{
		"new":                        {ran, command("op6", 6), Taken, model.PhaseRunning, true},
		"the first":                  {func(t *testing.T) *Book { return holding(t, 3) }, command("op1", 1), Taken, model.PhaseRunning, true},
		"before its desired state":   {opened, command("op1", 1), Taken, model.PhaseRunning, true},
		"repeated while it runs":     {runs, command("op5", 5), Repeated, model.PhaseRunning, false},
		"repeated after its end":     {ran, command("op5", 5), Answered, model.PhaseSucceeded, false},
		"an older number":            {ran, command("op4", 4), Answered, model.PhaseSuperseded, false},
		"the number of another":      {ran, command("other", 5), Answered, model.PhaseSuperseded, false},
		"while another runs":         {runs, command("op6", 6), Answered, model.PhaseFailed, false},
		"of what is gone":            {withdrawn, command("op9", 9), Answered, model.PhaseSuperseded, false},
		"an end for what runs":       {runs, end(command("op5", 5)), Taken, "", true},
		"an end for what ended":      {ran, end(command("op5", 5)), Answered, model.PhaseSucceeded, false},
		"an end for what is to come": {ran, end(command("op6", 6)), Answered, model.PhaseTerminated, true},
		"an end for an unknown one":  {opened, end(command("op6", 6)), Answered, model.PhaseTerminated, true},
		"of what is being removed": {func(t *testing.T) *Book {
			b := holding(t, 3)
			_, _ = b.AcceptWithdraw(withdrawal(4), now)
			return b
		}, command("op9", 9), Answered, model.PhaseSuperseded, false},
		"of what was gone an epoch ago": {func(t *testing.T) *Book {
			b := withdrawn(t)
			_, _ = b.AcceptWelcome(epoch(2))
			return b
		}, command("op9", 9), Taken, model.PhaseRunning, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := c.book(t)
			before := clone(t, b)
			v := accept(t, b, c.command)
			if v.Verdict != c.verdict || v.Any() != c.changed {
				t.Errorf("verdict %v, changed %v", v.Verdict, v.Change)
			}
			if (c.phase == "") != (len(v.Updates) == 0) || (c.phase != "" && (v.Updates[0].Phase != c.phase || v.Updates[0].ID != c.command.ID)) {
				t.Errorf("updates %+v, want %s", v.Updates, c.phase)
			}
			for _, u := range v.Updates {
				if u.Phase.Terminal() && u.Phase != model.PhaseSucceeded && u.Message == "" {
					t.Error("an end without a reason")
				}
			}
			if !c.changed && !reflect.DeepEqual(clone(t, b).Apps, before.Apps) {
				t.Error("the book changed")
			}
		})
	}
	for _, bad := range []model.Command{{}, {ID: "x", App: "a", Kind: model.OperationSync}, {ID: "x", Seq: 1, Kind: model.OperationSync}, {ID: "x", Seq: 1, App: "a", Kind: model.OperationDelete}} {
		if _, err := opened(t).AcceptOperation(bad, now); !fault.HasCode(err, "operation_invalid") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestAnEndedOperationNeverRunsAgain(t *testing.T) {
	b := holding(t, 3)
	accept(t, b, command("op1", 1))
	if v := accept(t, b, func() model.Command { c := command("op2", 2); c.Terminate = true; return c }()); v.Updates[0].Phase != model.PhaseFailed {
		t.Errorf("%+v", v)
	}
	finish(t, b, "op1", model.PhaseFailed)
	accept(t, b, model.Command{ID: "op2", Seq: 2, App: "a", Kind: model.OperationSync, Terminate: true})
	for range 3 {
		for _, id := range []model.OperationID{"op1", "op2"} {
			v := accept(t, b, command(id, map[model.OperationID]int64{"op1": 1, "op2": 2}[id]))
			if v.Verdict != Answered || b.Apps["a"].Op != nil {
				t.Errorf("%s runs again: %+v", id, v)
			}
		}
	}
	for i := range int64(20) {
		accept(t, b, command(model.OperationID(rune('A'+i)), 10+i))
		finish(t, b, model.OperationID(rune('A'+i)), model.PhaseSucceeded)
	}
	b.AckOperations([]model.OperationID{"op1", "op2"})
	if n := len(b.Apps["a"].Recent); n != maxRecent {
		t.Errorf("%d recent operations are kept", n)
	}
	if v := accept(t, b, command("op1", 1)); v.Verdict != Answered || v.Updates[0].Phase != model.PhaseSuperseded {
		t.Errorf("forgotten, but its number is not: %+v", v)
	}
}

func TestReady(t *testing.T) {
	b := opened(t)
	c := command("op", 1)
	c.Generation = 4
	accept(t, b, c)
	for g, want := range map[model.Generation]bool{0: false, 3: false, 4: true, 9: true} {
		b := clone(t, b)
		if g > 0 {
			_, _ = b.AcceptWelcome(epoch(2))
			_, _ = b.AcceptDesired(desired(g, "b"), nil)
		}
		if _, ok := b.Apps["a"].Ready(); ok != want {
			t.Errorf("generation %d: ready %v", g, ok)
		}
	}
}

func TestFinishAndStartOperation(t *testing.T) {
	b := holding(t, 3)
	accept(t, b, command("op", 1))
	if c, err := b.StartOperation("a", "op", now); err != nil || !c.Any() {
		t.Fatal(err)
	}
	if c, _ := b.StartOperation("a", "op", now); c.Any() {
		t.Error("it starts twice")
	}
	if _, err := b.StartOperation("a", "other", now); !fault.HasCode(err, "operation_unknown") {
		t.Errorf("got %v", err)
	}
	if _, _, err := b.FinishOperation("a", "op", model.PhaseRunning, "", nil, now); err == nil {
		t.Error("Running is no end")
	}
	if _, _, err := b.FinishOperation("a", "other", model.PhaseFailed, "", nil, now); !fault.HasCode(err, "operation_unknown") {
		t.Errorf("got %v", err)
	}
	_, u, err := b.FinishOperation("a", "op", model.PhaseSucceeded, "", &model.OperationResult{Revision: "r"}, now)
	if err != nil || u.Phase != model.PhaseSucceeded || u.Result.Revision != "r" || u.StartedAt == nil || u.FinishedAt == nil {
		t.Errorf("%+v %v", u, err)
	}
	r := clone(t, b).Apps["a"]
	if r.Op != nil || len(r.Ended) != 1 || r.Ended[0].Result == nil || r.LastOp.ID != "op" || r.LastOp.Result != nil {
		t.Errorf("%+v", r)
	}
	if _, _, err := b.FinishOperation("a", "op", model.PhaseFailed, "", nil, now); err == nil {
		t.Error("it ends twice")
	}
}

func TestAcceptWithdraw(t *testing.T) {
	other := withdrawal(5)
	other.Operation, other.OperationSeq = "del2", 8
	bad := withdrawal(4)
	bad.Mode = ""
	leaving := func(t *testing.T) *Book {
		b := holding(t, 3)
		_, _ = b.AcceptWithdraw(withdrawal(4), now)
		return b
	}
	for name, c := range map[string]struct {
		book    func(*testing.T) *Book
		w       model.Withdraw
		code    string
		verdict Verdict
		phase   model.OperationPhase
		changed bool
	}{
		"of what is held":             {func(t *testing.T) *Book { return holding(t, 3) }, withdrawal(4), "", Taken, model.PhaseRunning, true},
		"not above what is held":      {func(t *testing.T) *Book { return holding(t, 4) }, withdrawal(4), "generation_stale", 0, "", false},
		"below what is held":          {func(t *testing.T) *Book { return holding(t, 9) }, withdrawal(4), "generation_stale", 0, "", false},
		"of what is not held":         {opened, withdrawal(4), "", Answered, model.PhaseSucceeded, true},
		"repeated":                    {leaving, withdrawal(4), "", Repeated, model.PhaseRunning, false},
		"by another operation":        {leaving, other, "", Taken, model.PhaseRunning, true},
		"repeated after its end":      {withdrawn, withdrawal(4), "", Answered, model.PhaseSucceeded, false},
		"of what is gone, by another": {withdrawn, other, "", Answered, model.PhaseSucceeded, true},
		"without a mode":              {leaving, bad, "withdraw_invalid", 0, "", false},
		"of what only has a command":  {func(t *testing.T) *Book { b := opened(t); accept(t, b, command("op", 1)); return b }, withdrawal(4), "", Taken, model.PhaseRunning, true},
		"repeated, acknowledged before": {func(t *testing.T) *Book {
			b := withdrawn(t)
			b.AckOperations([]model.OperationID{"del"})
			return b
		}, withdrawal(4), "", Answered, model.PhaseSucceeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := c.book(t)
			before := clone(t, b)
			v, err := b.AcceptWithdraw(c.w, now)
			if c.code != "" {
				if !fault.HasCode(err, c.code) {
					t.Errorf("error %v", err)
				}
			} else if err != nil || v.Verdict != c.verdict || len(v.Updates) != 1 || v.Updates[0].Phase != c.phase || v.Updates[0].ID != c.w.Operation {
				t.Errorf("%+v, %v", v, err)
			}
			if v.Any() != c.changed {
				t.Errorf("changed %v", v.Change)
			}
			if !c.changed && !reflect.DeepEqual(clone(t, b).Apps, before.Apps) {
				t.Error("the book changed")
			}
		})
	}
}

func TestCompleteWithdraw(t *testing.T) {
	b := holding(t, 3)
	_, _ = b.ConfirmSync("a", SyncOutcome{Generation: 3, Applied: []Owned{{Key: object("x"), UID: "u"}}})
	accept(t, b, command("op", 5))
	_, _ = b.AcceptWithdraw(withdrawal(4), now)
	joined := withdrawal(6)
	joined.Operation, joined.OperationSeq = "del2", 9
	_, _ = b.AcceptWithdraw(joined, now)
	if _, err := b.CompleteWithdraw("a", "del2", "", nil, now); !fault.HasCode(err, "operation_unknown") {
		t.Errorf("only the first completes: %v", err)
	}
	v, err := b.CompleteWithdraw("a", "del", "", nil, now)
	if err != nil {
		t.Fatal(err)
	}
	ends := map[model.OperationID]model.OperationPhase{}
	for _, u := range v.Updates {
		ends[u.ID] = u.Phase
	}
	want := map[model.OperationID]model.OperationPhase{"op": model.PhaseSuperseded, "del": model.PhaseSucceeded, "del2": model.PhaseSucceeded}
	if !reflect.DeepEqual(ends, want) {
		t.Errorf("ends %v", ends)
	}
	r := b.Apps["a"]
	if r.Gone == nil || r.Gone.Generation != 6 || r.Gone.OpSeq != 9 || r.Gone.Epoch != epoch(1) || r.Desired != nil || len(r.Inventory) != 0 || len(r.Ended) != 3 {
		t.Errorf("%+v", r)
	}
	if _, err := b.CompleteWithdraw("a", "del", "", nil, now); err == nil {
		t.Error("it completes twice")
	}
	if _, err := b.ConfirmSync("a", SyncOutcome{Generation: 3, Applied: []Owned{{Key: object("x"), UID: "u"}}}); err == nil {
		t.Error("a sync that ends late brings it back")
	}
}

func TestAgreePrune(t *testing.T) {
	b := holding(t, 3)
	accept(t, b, command("op5", 5))
	if _, err := b.AgreePrune("a", "other", 3, 7); !fault.HasCode(err, "operation_unknown") {
		t.Errorf("another operation agrees: %v", err)
	}
	c, err := b.AgreePrune("a", "op5", 3, 7)
	if err != nil || !c.Any() {
		t.Fatalf("change %v, %v", c, err)
	}
	// What is left after an interruption is not a new agreement.
	if c, err = b.AgreePrune("a", "op5", 3, 2); err != nil || c.Any() {
		t.Errorf("change %v, %v", c, err)
	}
	if got := b.Apps["a"].Op.Agreed; got == nil || *got != (Agreement{Generation: 3, Count: 7}) {
		t.Errorf("agreed %+v", got)
	}
	if _, err = b.AgreePrune("a", "op5", 4, 2); err != nil || *b.Apps["a"].Op.Agreed != (Agreement{Generation: 4, Count: 2}) {
		t.Errorf("of a newer generation: %+v, %v", b.Apps["a"].Op.Agreed, err)
	}
	finish(t, b, "op5", model.PhaseSucceeded)
	accept(t, b, command("op6", 6))
	if b.Apps["a"].Op.Agreed != nil {
		t.Error("the next operation inherits the agreement")
	}
}

func TestAWithdrawalThatIsApprovedLater(t *testing.T) {
	b := holding(t, 3)
	if _, err := b.AcceptWithdraw(withdrawal(4), now); err != nil {
		t.Fatal(err)
	}
	approved := withdrawal(4)
	approved.ApproveDeletions = true
	for i, step := range []struct {
		w    model.Withdraw
		want Verdict
	}{{withdrawal(4), Repeated}, {approved, Taken}, {approved, Repeated}, {withdrawal(4), Repeated}} {
		v, err := b.AcceptWithdraw(step.w, now)
		if err != nil || v.Verdict != step.want || v.Any() != (step.want == Taken) || len(v.Updates) != 1 {
			t.Errorf("step %d: %+v, %v", i, v, err)
		}
	}
	if !b.Apps["a"].Withdraw.ApproveDeletions {
		t.Error("the approval is not in the book")
	}
}

func TestADeletionThatIsGivenUpLater(t *testing.T) {
	b := holding(t, 3)
	if _, err := b.AcceptWithdraw(withdrawal(4), now); err != nil {
		t.Fatal(err)
	}
	before := b.Apps["a"].Withdraw
	orphan, background, approved := withdrawal(4), withdrawal(4), withdrawal(4)
	orphan.Mode, background.Mode = model.WithdrawOrphan, model.WithdrawCascadeBackground
	approved.ApproveDeletions = true
	for i, step := range []struct {
		w    model.Withdraw
		want Verdict
		mode model.WithdrawMode
	}{
		{background, Repeated, model.WithdrawCascade},
		{orphan, Taken, model.WithdrawOrphan},
		{orphan, Repeated, model.WithdrawOrphan},
		{withdrawal(4), Repeated, model.WithdrawOrphan}, // a late one deletes nothing
		{background, Repeated, model.WithdrawOrphan},
		{approved, Taken, model.WithdrawOrphan},
	} {
		v, err := b.AcceptWithdraw(step.w, now)
		if err != nil || v.Verdict != step.want || v.Any() != (step.want == Taken) || len(v.Updates) != 1 || v.Updates[0].Phase != model.PhaseRunning {
			t.Errorf("step %d: %+v, %v", i, v, err)
		}
		if got := b.Apps["a"].Withdraw; got.Mode != step.mode || got.Operation != "del" {
			t.Errorf("step %d: %+v", i, got)
		}
	}
	if *before != withdrawal(4) {
		t.Error("what readers hold was written to")
	}
	if v, err := b.CompleteWithdraw("a", "del", "", nil, now); err != nil || v.Updates[0].Phase != model.PhaseSucceeded {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err := b.AcceptWithdraw(orphan, now); err != nil || v.Verdict != Answered || v.Updates[0].Phase != model.PhaseSucceeded {
		t.Errorf("after its end: %+v, %v", v, err)
	}
}

func TestAJoinedDeletionThatIsGivenUpLater(t *testing.T) {
	b := holding(t, 3)
	joined := withdrawal(5)
	joined.Operation, joined.OperationSeq = "del2", 8
	for _, w := range []model.Withdraw{withdrawal(4), joined} {
		if v, err := b.AcceptWithdraw(w, now); err != nil || v.Verdict != Taken {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	joined.Mode = model.WithdrawOrphan
	for _, want := range []Verdict{Taken, Repeated} {
		if v, err := b.AcceptWithdraw(joined, now); err != nil || v.Verdict != want || v.Updates[0].ID != "del2" {
			t.Errorf("%+v, %v", v, err)
		}
	}
	if r := b.Apps["a"]; r.Withdraw.Operation != "del" || r.Withdraw.Mode != model.WithdrawOrphan || len(r.Joined) != 1 {
		t.Errorf("%+v, joined %+v", r.Withdraw, r.Joined)
	}
}

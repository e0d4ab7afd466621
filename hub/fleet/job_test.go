package fleet

import (
	"errors"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestCheckJob(t *testing.T) {
	many := make([]string, model.MaxJobItems+1)
	for i := range many {
		many[i] = string(rune('a'+i%26)) + time.Duration(i).String()
	}
	for name, c := range map[string]struct {
		in   model.JobRequest
		code string
	}{
		"named":              {model.JobRequest{Kind: model.JobSync, Applications: []string{"a", "b"}}, ""},
		"chosen":             {model.JobRequest{Kind: model.JobDelete, Selector: "a=b"}, ""},
		"chosen by cluster":  {model.JobRequest{Kind: model.JobAction, Cluster: "eu", Project: "p"}, ""},
		"the most":           {model.JobRequest{Kind: model.JobRefresh, Applications: many[1:]}, ""},
		"too many":           {model.JobRequest{Kind: model.JobRefresh, Applications: many}, "job_too_large"},
		"nothing":            {model.JobRequest{Kind: model.JobDelete}, "job_empty"},
		"both":               {model.JobRequest{Kind: model.JobSync, Applications: []string{"a"}, Project: "p"}, "job_ambiguous"},
		"twice":              {model.JobRequest{Kind: model.JobSync, Applications: []string{"a", "b", "a"}}, "duplicate_object"},
		"an unknown kind":    {model.JobRequest{Kind: "explode", Applications: []string{"a"}}, "value_unknown"},
		"no kind":            {model.JobRequest{Applications: []string{"a"}}, "value_unknown"},
		"all at once, first": {model.JobRequest{}, "value_unknown"},
	} {
		err := CheckJob(c.in)
		if c.code == "" && err != nil || c.code != "" && !fault.HasCode(err, c.code) {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
	}
	var list fault.List
	if err := CheckJob(model.JobRequest{}); !errors.As(err, &list) || len(list) != 2 {
		t.Errorf("not all problems at once: %v", err)
	}
}

func TestDecideItem(t *testing.T) {
	for _, c := range []struct {
		err   error
		phase model.JobItemPhase
		again bool
	}{
		{nil, model.ItemAccepted, false},
		{fault.New(fault.Unavailable, "db_unavailable", "x"), "", true},
		{fault.New(fault.RateLimited, "x", "x"), "", true},
		{fault.New(fault.Denied, "permission_denied", "x"), model.ItemFailed, false},
		{fault.New(fault.NotFound, "application_not_found", "x"), model.ItemFailed, false},
		{fault.New(fault.Precondition, "nothing_rendered", "x"), model.ItemFailed, false},
		{errors.New("a bug"), model.ItemFailed, false},
	} {
		r, again := DecideItem("op", c.err)
		if r.Phase != c.phase || again != c.again || (r.Operation == "op") != (c.err == nil) || (r.Code != "") != (c.phase == model.ItemFailed) {
			t.Errorf("%v: %+v %v", c.err, r, again)
		}
	}
}

func TestJobEnd(t *testing.T) {
	for _, c := range []struct {
		job   model.Job
		phase model.JobPhase
		ends  bool
	}{
		{model.Job{Phase: model.JobRunning, Total: 2, Pending: 1, Accepted: 1}, model.JobRunning, false},
		{model.Job{Phase: model.JobRunning, Total: 2, Accepted: 1, Failed: 1}, model.JobFinished, true},
		{model.Job{Phase: model.JobRunning, Total: 2, Accepted: 1, Cancelled: 1, CancelledBy: "ana"}, model.JobCancelled, true},
		{model.Job{Phase: model.JobRunning, Total: 2, Pending: 1, CancelledBy: "ana"}, model.JobRunning, false},
		{model.Job{Phase: model.JobFinished, Total: 2, Accepted: 2}, model.JobFinished, false},
		{model.Job{Phase: model.JobRunning}, model.JobFinished, true},
	} {
		if phase, ends := JobEnd(c.job); phase != c.phase || ends != c.ends {
			t.Errorf("%+v: %s %v", c.job, phase, ends)
		}
	}
	for n, last := 0, time.Duration(0); n < 100; n++ {
		if p := JobPause(n); p < last || p > 30*time.Second || p <= 0 {
			t.Errorf("pause %d is %s", n, p)
		} else {
			last = p
		}
	}
}

func TestDecideRequest(t *testing.T) {
	old := RequestRecord{Digest: []byte("a"), Status: 202}
	if err := DecideRequest(old, []byte("a")); err != nil {
		t.Error(err)
	}
	if err := DecideRequest(old, []byte("b")); !fault.HasCode(err, "idempotency_key_reused") {
		t.Error(err)
	}
	old.Status = 0
	if err := DecideRequest(old, []byte("a")); !fault.HasCode(err, "request_in_flight") {
		t.Error(err)
	}
	if err := DecideRequest(old, []byte("b")); !fault.HasCode(err, "idempotency_key_reused") {
		t.Error(err)
	}
}

func TestTokensTakeTurnsAndTheirOldestJobIsFirst(t *testing.T) {
	running := []RunningJob{{"1", "b"}, {"2", "a"}, {"3", "c"}, {"4", "a"}}
	for after, want := range map[string]string{"": "2", "a": "1", "b": "3", "c": "2", "ab": "1", "z": "2"} {
		if got, ok := NextJob(running, after); !ok || got.ID != want {
			t.Errorf("after %q: %v %v, want %s", after, got, ok, want)
		}
	}
	if got, ok := NextJob([]RunningJob{{"9", "a"}}, "a"); !ok || got.ID != "9" {
		t.Errorf("alone: %v %v", got, ok)
	}
	if _, ok := NextJob(nil, "a"); ok {
		t.Error("nobody has a turn")
	}
}

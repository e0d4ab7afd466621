package store

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestIdempotencyKeysAreOfOneRequest(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	r := fleet.RequestRecord{Caller: "ann", Key: "k", Digest: []byte("one")}
	claim := func(r fleet.RequestRecord) (fleet.RequestRecord, bool) {
		t.Helper()
		old, claimed, err := b.ClaimRequest(ctx, r)
		must(t, err)
		return old, claimed
	}
	if _, ok := claim(r); !ok {
		t.Fatal("a new key is taken")
	}
	if old, ok := claim(r); ok || old.Status != 0 || string(old.Digest) != "one" {
		t.Errorf("under way: %+v %v", old, ok)
	}
	other := r
	other.Caller = "bob"
	if _, ok := claim(other); !ok {
		t.Error("keys of several callers are one")
	}
	r.Status, r.Answer = 202, []byte(`{}`)
	must(t, b.AnswerRequest(ctx, r))
	if old, ok := claim(r); ok || old.Status != 202 || string(old.Answer) != "{}" {
		t.Errorf("answered: %+v %v", old, ok)
	}
	must(t, b.ReleaseRequest(ctx, "ann", "k")) // answered ones stay
	if _, ok := claim(r); ok {
		t.Error("an answer was lost")
	}
	must(t, b.ReleaseRequest(ctx, "bob", "k"))
	if _, ok := claim(other); !ok {
		t.Error("a key that was given back is taken")
	}
	// The hub was killed before it answered bob: the same request may come again,
	// another one may not.
	b.clock.advance(3 * time.Minute)
	different := other
	different.Digest = []byte("two")
	if _, ok := claim(different); ok {
		t.Error("another request got the key of one that was never answered")
	}
	if _, ok := claim(other); !ok {
		t.Error("an abandoned request cannot be made again")
	}
	b.clock.advance(fleet.KeptRequests + time.Minute)
	different.Caller = "ann"
	if _, ok := claim(different); !ok {
		t.Error("a key is kept for longer than a day")
	}
	b.clock.advance(fleet.KeptRequests + time.Minute)
	must(t, b.ForgetRequests(ctx, b.now()))
	if n := b.count(`SELECT count(*) FROM requests`); n != 0 {
		t.Errorf("%d requests are kept", n)
	}
}

func TestJobs(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	app := b.app("one", b.cluster("c"))
	op := b.sync(app)
	job, existed, err := b.CreateJob(ctx, fleet.NewJob{
		Request: "ann k", Digest: []byte("d"),
		ID: "0001", Kind: model.JobSync, Spec: []byte(`{"prune":true}`), InitiatedBy: "ann", Token: "t1", Applications: []string{"one", "two", "three", "four"},
	})
	must(t, err)
	same, again, err := b.CreateJob(ctx, fleet.NewJob{ID: "0009", Kind: model.JobSync, Request: "ann k", Digest: []byte("d"), Applications: []string{"one"}})
	must(t, err)
	if existed || !again || same.ID != "0001" {
		t.Errorf("submitted again: %+v", same)
	}
	_, _, err = b.CreateJob(ctx, fleet.NewJob{ID: "0009", Kind: model.JobSync, Request: "ann k", Digest: []byte("e"), Applications: []string{"one"}})
	wantCode(t, err, fault.Conflict, "idempotency_key_reused")
	if job.Total != 4 || job.Pending != 4 || job.Phase != model.JobRunning || job.Token != "t1" || string(job.Spec) == "" {
		t.Errorf("%+v", job)
	}
	running, err := b.RunningJobs(ctx)
	must(t, err)
	if len(running) != 1 || running[0] != (fleet.RunningJob{ID: "0001", Token: "t1"}) {
		t.Errorf("running %v", running)
	}
	must(t, b.FinishJobItem(ctx, "0001", 1, fleet.ItemResult{Phase: model.ItemAccepted, Operation: op.ID}))
	must(t, b.FinishJobItem(ctx, "0001", 1, fleet.ItemResult{Phase: model.ItemFailed, Code: "late"})) // once
	must(t, b.FinishJobItem(ctx, "0001", 2, fleet.ItemResult{Phase: model.ItemFailed, Code: "permission_denied", Message: "no \x00"}))
	pending, err := b.PendingJobItems(ctx, "0001", 0, 10)
	must(t, err)
	if len(pending) != 2 || pending[0].Application != "three" || pending[0].Number != 3 {
		t.Errorf("pending %+v", pending)
	}
	if _, ended, err := b.EndJob(ctx, "0001"); err != nil || ended {
		t.Errorf("a job with pending items ended: %v %v", ended, err)
	}
	job, err = b.CancelJob(ctx, "0001", "bob")
	must(t, err)
	if job.Cancelled != 2 || job.CancelledBy != "bob" || job.Phase != model.JobRunning {
		t.Errorf("cancelled %+v", job)
	}
	// The command to the third was given when the job was cancelled.
	must(t, b.FinishJobItem(ctx, "0001", 3, fleet.ItemResult{Phase: model.ItemAccepted}))
	job, ended, err := b.EndJob(ctx, "0001")
	must(t, err)
	if !ended || job.Phase != model.JobCancelled || job.Accepted != 2 || job.Failed != 1 || job.Cancelled != 1 || job.FinishedAt == nil {
		t.Errorf("%+v %v", job, ended)
	}
	_, _, err = b.CreateJob(ctx, fleet.NewJob{ID: "0003", Kind: model.JobSync, Spec: []byte(`{"dryRun":true}`), Token: "t3", Applications: []string{"one"}})
	must(t, err)
	must(t, b.FinishJobItem(ctx, "0003", 1, fleet.ItemResult{Phase: model.ItemAccepted, Operation: op.ID}))
	b.exec(`UPDATE operations SET spec = '{"dryRun":true}', result = '{"resources":[{"status":"Created"},{"status":"Created"},{"status":"Unchanged"}]}' WHERE id = '` + string(op.ID) + `'`)
	dry, err := b.Job(ctx, "0003")
	must(t, err)
	would, err := b.JobItems(ctx, "0003", 0, 10)
	must(t, err)
	if !dry.DryRun || job.DryRun || len(would) != 1 || !would[0].DryRun || !maps.Equal(would[0].Changes, map[string]int{"Created": 2, "Unchanged": 1}) {
		t.Errorf("a dry run: %+v, %+v", dry, would)
	}
	b.exec(`DELETE FROM jobs WHERE id = '0003'`)
	b.exec(`UPDATE operations SET spec = '{}', result = '{"resources":null}'`)
	if _, again, err := b.EndJob(ctx, "0001"); err != nil || again {
		t.Errorf("it ended twice: %v %v", again, err)
	}
	items, err := b.JobItems(ctx, "0001", 0, 10)
	must(t, err)
	if len(items) != 4 || items[0].OperationPhase != model.PhaseQueued || items[1].Code != "permission_denied" || items[3].Phase != model.ItemCancelled {
		t.Errorf("%+v", items)
	}
	if page, err := b.JobItems(ctx, "0001", 2, 1); err != nil || len(page) != 1 || page[0].Number != 3 {
		t.Errorf("%+v %v", page, err)
	}
	_, _, err = b.CreateJob(ctx, fleet.NewJob{ID: "0002", Kind: model.JobRefresh, InitiatedBy: "bob", Token: "t2", Applications: []string{"x"}})
	must(t, err)
	for token, want := range map[string]int{"": 2, "t1": 1, "ann": 0} {
		if got, err := b.Jobs(ctx, fleet.JobFilter{Token: token, Limit: 10}); err != nil || len(got) != want {
			t.Errorf("jobs of %q: %d, %v", token, len(got), err)
		}
	}
	if got, err := b.Jobs(ctx, fleet.JobFilter{Limit: 10, Before: "0002"}); err != nil || len(got) != 1 || got[0].ID != "0001" {
		t.Errorf("the second page: %+v %v", got, err)
	}
	_, err = b.Job(ctx, "none")
	wantCode(t, err, fault.NotFound, "job_not_found")
	_, err = b.CancelJob(ctx, "none", "bob")
	wantCode(t, err, fault.NotFound, "job_not_found")
	b.clock.advance(fleet.KeptJobs + time.Hour)
	must(t, b.ForgetRequests(ctx, b.now()))
	if n := b.count(`SELECT count(*) FROM jobs`); n != 1 { // the running one is kept
		t.Errorf("%d jobs are kept", n)
	}
}

// A token has so many jobs running and no more, however many are submitted at once.
func TestRunningJobsOfATokenAreBounded(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	submit := func(token string, n int, key string) error {
		_, _, err := b.CreateJob(ctx, fleet.NewJob{ID: fmt.Sprintf("%s-%02d", token, n), Kind: model.JobRefresh, Token: token, Applications: []string{"x"}, Request: key, Digest: []byte(key)})
		return err
	}
	var wg sync.WaitGroup
	for i := range fleet.MaxRunningJobs + 5 {
		wg.Go(func() {
			if err := submit("a", i, ""); err != nil && !fault.HasCode(err, "too_many_jobs") {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := b.count(`SELECT count(*) FROM jobs`); n != fleet.MaxRunningJobs {
		t.Errorf("%d jobs run", n)
	}
	wantCode(t, submit("a", 99, ""), fault.RateLimited, "too_many_jobs")
	must(t, submit("b", 0, "b k"))
	for i := range fleet.MaxRunningJobs - 1 {
		must(t, submit("b", i+1, ""))
	}
	must(t, submit("b", 98, "b k")) // the same request again
	b.exec(`UPDATE jobs SET phase = 'Finished' WHERE id = 'b-01'`)
	must(t, submit("b", 97, ""))
}

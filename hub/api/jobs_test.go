package api

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// fakeJobs keeps jobs and answers in memory.
type fakeJobs struct {
	mu       sync.Mutex
	jobs     []fleet.StoredJob
	requests map[string]fleet.NewJob
	apps     map[string][]string
	answers  map[string]fleet.RequestRecord
	woken    int
}

func (f *fakeJobs) CreateJob(_ context.Context, n fleet.NewJob) (fleet.StoredJob, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old, ok := f.requests[n.Request]; ok && n.Request != "" {
		err := fleet.DecideRequest(fleet.RequestRecord{Status: 202, Digest: old.Digest}, n.Digest)
		i := slices.IndexFunc(f.jobs, func(j fleet.StoredJob) bool { return j.ID == old.ID })
		return f.jobs[i], true, err
	}
	if f.requests == nil {
		f.requests, f.apps = map[string]fleet.NewJob{}, map[string][]string{}
	}
	f.requests[n.Request], f.apps[n.ID] = n, n.Applications
	j := fleet.StoredJob{Job: model.Job{Token: n.Token,
		ID: n.ID, Kind: n.Kind, Spec: n.Spec, DryRun: fleet.JobDryRun(n.Kind, n.Spec), Phase: model.JobRunning, InitiatedBy: n.InitiatedBy, Total: len(n.Applications), Pending: len(n.Applications),
	}}
	f.jobs = append(f.jobs, j)
	return j, false, nil
}

func (f *fakeJobs) Job(_ context.Context, id string) (fleet.StoredJob, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, j := range f.jobs {
		if j.ID == id {
			return j, nil
		}
	}
	return fleet.StoredJob{}, fault.New(fault.NotFound, "job_not_found", "there is no job %q", id)
}

func (f *fakeJobs) Jobs(_ context.Context, filter fleet.JobFilter) (out []fleet.StoredJob, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, j := range slices.Backward(f.jobs) {
		if (filter.Token == "" || filter.Token == j.Token) && (filter.Before == "" || j.ID < filter.Before) && len(out) < filter.Limit {
			out = append(out, j)
		}
	}
	return out, nil
}

func (f *fakeJobs) JobItems(_ context.Context, job string, after, limit int) (out []model.JobItem, _ error) {
	for i, name := range f.apps[job] {
		if i+1 > after && len(out) < limit {
			out = append(out, model.JobItem{Number: i + 1, Application: name, Phase: model.ItemFailed, Code: "permission_denied"})
		}
	}
	return out, nil
}

func (f *fakeJobs) CancelJob(ctx context.Context, id, by string) (fleet.StoredJob, error) {
	j, err := f.Job(ctx, id)
	j.CancelledBy = by
	return j, err
}

func (f *fakeJobs) Wake() { f.woken++ }

func (f *fakeJobs) ClaimRequest(_ context.Context, r fleet.RequestRecord) (fleet.RequestRecord, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answers == nil {
		f.answers = map[string]fleet.RequestRecord{}
	}
	if old, ok := f.answers[r.Caller+" "+r.Key]; ok {
		return old, false, nil
	}
	f.answers[r.Caller+" "+r.Key] = r
	return fleet.RequestRecord{}, true, nil
}

func (f *fakeJobs) AnswerRequest(_ context.Context, r fleet.RequestRecord) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[r.Caller+" "+r.Key] = r
	return nil
}

func (f *fakeJobs) ReleaseRequest(_ context.Context, caller, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.answers, caller+" "+key)
	return nil
}

func withJobs(t *testing.T) (*world, *fakeJobs) {
	f := &fakeJobs{}
	return newWorld(t, func(o *Options) { o.Jobs, o.Requests = f, f }), f
}

func TestAJobIsSubmittedOnce(t *testing.T) {
	w, f := withJobs(t)
	const body = `{"kind":"sync","applications":["a","b","c"],"spec":{"prune":true}}`
	var first, again model.Job
	w.call("POST", "/api/v1/jobs", body, "Idempotency-Key: k1").ok(202).into(&first)
	w.call("POST", "/api/v1/jobs", body, "Idempotency-Key: k1").ok(202).into(&again)
	if first.ID == "" || first.ID != again.ID || first.Total != 3 || f.woken != 1 || len(f.jobs) != 1 {
		t.Errorf("%+v and %+v, woken %d times", first, again, f.woken)
	}
	w.call("POST", "/api/v1/jobs", strings.Replace(body, `"c"`, `"d"`, 1), "Idempotency-Key: k1").problem(409, "idempotency_key_reused")
	w.call("POST", "/api/v1/jobs", body).ok(202)
	if len(f.jobs) != 2 {
		t.Errorf("%d jobs", len(f.jobs))
	}
	for _, c := range []struct{ body, code string }{
		{`{"kind":"sync"}`, "job_empty"},
		{`{"kind":"sync","applications":["a"],"project":"p"}`, "job_ambiguous"},
		{`{"kind":"explode","applications":["a"]}`, "value_unknown"},
		{`{"kind":"sync","applications":["a"],"spec":{"cascade":true}}`, "unknown_field"},
		{`{"kind":"sync","applications":["a"],"spec":{"prun":true}}`, "unknown_field"},
		{`{"kind":"refresh","applications":["a"],"spec":{"prune":true}}`, "unknown_field"},
		{`{"kind":"delete","applications":["a"],"spec":{"propagation":"odd"}}`, "value_unknown"},
		{`{"kind":"action","applications":["a"]}`, "field_missing"},
		{`{"kind":"action","applications":["a"],"spec":{"action":"a b"}}`, "name_invalid"},
		{`{"kind":"sync","selector":"a=("}`, "expression_invalid"},
		{`{"kind":"sync","filter":"healht:degraded"}`, "filter_invalid"},
		{`{"kind":"sync","applications":["a"],"filter":"b"}`, "job_ambiguous"},
		{`{"kind":"delete","applications":["web/pin"]}`, "name_invalid"},
		{`{"kind":"sync","applications":[".."]}`, "name_invalid"},
		{`{"kind":"sync","applications":[""]}`, "name_invalid"},
	} {
		w.call("POST", "/api/v1/jobs", c.body).problem(400, c.code)
	}
	w.call("POST", "/api/v1/jobs", `{"kind":"sync","project":"none"}`).problem(404, "job_matches_nothing")
	if len(f.jobs) != 2 {
		t.Error("a refused job was stored")
	}
}

func TestAJobIsRead(t *testing.T) {
	w, _ := withJobs(t)
	var names []string
	for i := range 250 {
		names = append(names, fmt.Sprintf("app-%d", i))
	}
	body, _ := json.Marshal(model.JobRequest{Kind: model.JobRefresh, Applications: names})
	var job model.Job
	w.call("POST", "/api/v1/jobs", string(body)).ok(202).into(&job)
	seen, cursor := 0, ""
	for range 4 {
		var page jobAnswer
		w.call("GET", "/api/v1/jobs/"+job.ID+"?limit=100&cursor="+cursor, "").ok(200).into(&page)
		for _, i := range page.Items {
			if seen++; i.Number != seen || i.ID == "" {
				t.Fatalf("item %+v is the %d.", i, seen)
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if seen != 250 {
		t.Errorf("%d items", seen)
	}
	w.call("GET", "/api/v1/jobs/"+job.ID+"?cursor=eA", "").problem(400, "cursor_invalid")
	w.call("GET", "/api/v1/jobs/none", "").problem(404, "job_not_found")
	w.call("POST", "/api/v1/jobs/"+job.ID+"/cancel", "").ok(200).into(&job)
	if job.CancelledBy != "ana" {
		t.Errorf("%+v", job)
	}
}

// The commands of a job are those to one application, with the rights of its
// token, and each is taken once.
func TestCommandsOfAJob(t *testing.T) {
	w, f := withJobs(t)
	h := w.handler.(*Handler)
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	var job model.Job
	w.call("POST", "/api/v1/jobs", `{"kind":"sync","applications":["web","nope"],"spec":{"prune":true}}`).ok(202).into(&job)
	stored, err := f.Job(t.Context(), job.ID)
	if err != nil {
		t.Fatal(err)
	}
	item := model.JobItem{Number: 1, Application: "web"}
	first, err := h.Command(t.Context(), stored, item)
	if err != nil || first == "" {
		t.Fatalf("%q %v", first, err)
	}
	if again, err := h.Command(t.Context(), stored, item); err != nil || again != first {
		t.Errorf("given again: %q and %q, %v", first, again, err)
	}
	if _, err := h.Command(t.Context(), stored, model.JobItem{Number: 2, Application: "nope"}); !fault.HasCode(err, "application_not_found") {
		t.Errorf("unknown: %v", err)
	}
	var op model.OperationInfo
	w.call("GET", "/api/v1/operations/"+string(first), "").ok(200).into(&op)
	if !op.Spec.Prune || op.InitiatedBy != "ana" {
		t.Errorf("%+v", op)
	}
	for kind, spec := range map[model.JobKind]string{
		model.JobRefresh: `{"hard":true}`,
		model.JobDelete:  `{"cascade":false}`,
	} {
		s := stored
		s.ID, s.Kind, s.Spec = "job-"+string(kind), kind, json.RawMessage(spec)
		if _, err := h.Command(t.Context(), s, item); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	stored.Token = "revoked"
	if _, err := h.Command(t.Context(), stored, model.JobItem{Number: 3, Application: "web"}); !fault.HasCode(err, "permission_revoked") {
		t.Errorf("a revoked token: %v", err)
	}
}

func TestAnAnswerIsGivenAgain(t *testing.T) {
	w, f := withJobs(t)
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	w.calls.take()
	first := w.call("POST", "/api/v1/applications/web/refresh", "", "Idempotency-Key: k").ok(202)
	if w.calls.take() == "" {
		t.Error("nothing was refreshed")
	}
	again := w.call("POST", "/api/v1/applications/web/refresh", "", "Idempotency-Key: k").ok(202)
	if again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%q and %q", first.body, again.body)
	}
	if did := w.calls.take(); did != "" {
		t.Errorf("done again: %s", did)
	}
	w.call("POST", "/api/v1/applications/web/refresh?hard=true", "", "Idempotency-Key: k").problem(409, "idempotency_key_reused")
	// What was refused may be tried again.
	w.call("POST", "/api/v1/applications/web/terminate", "", "Idempotency-Key: t").problem(409, "no_operation")
	w.call("POST", "/api/v1/applications/web/terminate", "", "Idempotency-Key: t").problem(409, "no_operation")
	tokens, err := w.auth.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.answers[tokens[0].ID+" open"] = fleet.RequestRecord{Caller: tokens[0].ID, Key: "open", Digest: digestOf("POST", "/api/v1/applications/web/refresh", nil)}
	w.call("POST", "/api/v1/applications/web/refresh", "", "Idempotency-Key: open").problem(503, "request_in_flight")
	w.call("POST", "/api/v1/applications/web/refresh", "", "Idempotency-Key: "+strings.Repeat("x", 129)).problem(400, "idempotency_key_invalid")
}

func TestLargeAnswersAreCompressed(t *testing.T) {
	w := newWorld(t)
	ask := func(path, accept string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+w.token)
		r.Header.Set("Accept-Encoding", accept)
		out := httptest.NewRecorder()
		w.handler.ServeHTTP(out, r)
		return out
	}
	for _, c := range []struct {
		path, accept string
		want         bool
	}{
		{"/openapi.json", "gzip", true},
		{"/openapi.json", "br, gzip;q=0.8", true},
		{"/openapi.json", "*", true},
		{"/openapi.json", "gzip;q=0", false},
		{"/openapi.json", "", false},
		{"/api/docs", "gzip", true},
		{"/api/v1/whoami", "gzip", false}, // small
		{"/api/v1/nope", "gzip", false},
	} {
		got := ask(c.path, c.accept)
		if (got.Header().Get("Content-Encoding") == "gzip") != c.want {
			t.Errorf("%s with %q: %q", c.path, c.accept, got.Header().Get("Content-Encoding"))
			continue
		}
		if !c.want {
			continue
		}
		z, err := gzip.NewReader(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if string(plain) != ask(c.path, "").Body.String() {
			t.Errorf("%s is another one when it is compressed", c.path)
		}
		if got.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: Vary %q", c.path, got.Header().Get("Vary"))
		}
	}
}

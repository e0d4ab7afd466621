package api

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestJobsAreFiltered(t *testing.T) {
	w, f := withJobs(t)
	tokens, err := w.auth.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := start
	ended := now.Add(-time.Minute)
	for _, j := range []model.Job{
		{ID: "01", Kind: model.JobSync, Phase: model.JobRunning, InitiatedBy: "ana", CreatedAt: now.Add(-2 * time.Hour), Total: 30, Pending: 10, Accepted: 20},
		{ID: "02", Kind: model.JobDelete, Phase: model.JobFinished, InitiatedBy: "bob", CreatedAt: now.Add(-time.Hour), FinishedAt: &ended, Total: 5, Accepted: 4, Failed: 1},
		{ID: "03", Kind: model.JobSync, Phase: model.JobCancelled, InitiatedBy: "bob", CancelledBy: "ana", CreatedAt: now, FinishedAt: &now, Total: 5, Cancelled: 5, DryRun: true},
	} {
		j.Token = tokens[0].ID
		f.jobs = append(f.jobs, fleet.StoredJob{Job: j})
	}
	ids := func(path string) (out []string, next string) {
		var page list[model.Job]
		w.call("GET", path, "").ok(200).into(&page)
		for _, j := range page.Items {
			out = append(out, j.ID)
		}
		return out, page.NextCursor
	}
	for text, want := range map[string]string{
		"": "03 02 01", "is:open": "01", "not:open": "03 02", "is:failing": "02", "is:dryrun": "03", "kind:sync": "03 01", "-kind:sync": "02",
		"phase:finished,cancelled": "03 02", "by:b*": "03 02", "cancelledby:ana": "03", "failed:>0": "02", "pending:>=10": "01", "total:<10 accepted:4": "02",
		"cancelled:5": "03", "created:>90m": "01", "finished:<30s": "03", "02": "02", "id:02": "02", "by:nobody": "",
	} {
		if got, _ := ids("/api/v1/jobs?filter=" + url.QueryEscape(text)); strings.Join(got, " ") != want {
			t.Errorf("%q finds %v, want %s", text, got, want)
		}
	}
	w.call("GET", "/api/v1/jobs?filter=knd:sync", "").problem(400, "filter_invalid")
	w.call("GET", "/api/v1/jobs?filtre=kind:sync", "").problem(400, "unknown_parameter")
	// Pages of what was found; the walk ends.
	var all []string
	for i := range 2*jobsAtOnce + 10 {
		kind := model.JobSync
		if i%300 == 0 {
			kind = model.JobAction
			all = append(all, fmt.Sprintf("1%05d", i))
		}
		f.jobs = append(f.jobs, fleet.StoredJob{Job: model.Job{ID: fmt.Sprintf("1%05d", i), Kind: kind, Phase: model.JobFinished, Token: tokens[0].ID}})
	}
	slices.Reverse(all)
	var got []string
	cursor := ""
	for range 10 {
		page, next := ids("/api/v1/jobs?filter=kind:action&limit=1&cursor=" + cursor)
		got = append(got, page...)
		if cursor = next; next == "" {
			break
		}
	}
	if !slices.Equal(got, all) || cursor != "" {
		t.Errorf("page by page %v, want %v", got, all)
	}
}

// Whatever can be asked for is answered: a term and its opposite find different jobs.
func TestEveryTermAboutJobsIsAnswered(t *testing.T) {
	now := time.Now()
	long := now.Add(-30 * 24 * time.Hour)
	jobs := []model.Job{
		{ID: "text", InitiatedBy: "text", CancelledBy: "text", CreatedAt: now, FinishedAt: &now, Phase: model.JobRunning, DryRun: true, Failed: 10, Total: 10, Pending: 10, Accepted: 10, Cancelled: 10},
		{ID: "else", InitiatedBy: "else", CancelledBy: "else", CreatedAt: long, FinishedAt: &long, Phase: model.JobFinished},
		{ID: "more", Phase: model.JobCancelled},
	}
	for i, k := range []model.JobKind{model.JobSync, model.JobRefresh, model.JobRollback, model.JobDelete, model.JobAction} {
		jobs = append(jobs, model.Job{ID: fmt.Sprint(i), Kind: k})
	}
	for _, text := range filter.Jobs.Sample() {
		q, err := filter.Parse(text, filter.Jobs, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, j := range jobs {
			if jobMatches(q, j, now) {
				n++
			}
		}
		if strings.Contains(text, ":~ex") { // nothing is like this without the first letter
			continue
		}
		if n == 0 || n == len(jobs) {
			t.Errorf("%s finds %d of %d", text, n, len(jobs))
		}
	}
}

package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// mostJobs are looked at for one page of a list with a filter; the page then ends
	// with a cursor that goes on after them.
	mostJobs = 5000
	// jobsAtOnce are read from the database at a time, for a list with a filter.
	jobsAtOnce = 500
)

func (a *api) listJobs(c *gin.Context) {
	err := knownParameters(c, []string{"filter", "limit", "cursor"})
	var limit int
	if err == nil {
		limit, err = limitOf(c)
	}
	which := fleet.JobFilter{}
	if err == nil {
		which.Before, err = a.cursorOf(c, boundTo(c, "jobs"))
	}
	var query filter.Query
	if err == nil {
		query, err = filter.Parse(c.Query("filter"), filter.Jobs, nil)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	if !a.caller(c).Admin() {
		which.Token = identity(c).ID
	}
	jobs, next, err := a.jobsThat(c.Request.Context(), query, which, limit)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := newList(a, jobs)
	if next != "" {
		out.NextCursor = a.opts.cursor([]string{next}, boundTo(c, "jobs"))
	}
	c.JSON(http.StatusOK, out)
}

// jobsThat reads a page of jobs, the newest first. next is the id after which the
// next page begins, "" when there is none.
func (a *api) jobsThat(ctx context.Context, query filter.Query, which fleet.JobFilter, limit int) (out []model.Job, next string, err error) {
	now := a.now()
	which.Limit = limit + 1
	if len(query.Terms) > 0 {
		which.Limit = jobsAtOnce
	}
	for looked := 0; ; {
		jobs, err := a.opts.Jobs.Jobs(ctx, which)
		if err != nil {
			return nil, "", err
		}
		for _, j := range jobs {
			if !jobMatches(query, j.Job, now) {
				continue
			}
			if len(out) == limit {
				return out, out[limit-1].ID, nil
			}
			out = append(out, j.Job)
		}
		if looked += len(jobs); len(jobs) < which.Limit {
			return out, "", nil
		}
		which.Before = jobs[len(jobs)-1].ID
		if looked >= mostJobs {
			return out, which.Before, nil
		}
	}
}

func jobMatches(query filter.Query, j model.Job, now time.Time) bool {
	return !slices.ContainsFunc(query.Terms, func(t filter.Term) bool { return !jobTerm(t, j, now) })
}

// jobTerm decides about one term of filter.Jobs.
func jobTerm(t filter.Term, j model.Job, now time.Time) bool {
	switch t.Key {
	case "name":
		return t.Text(j.ID)
	case "by":
		return t.Text(j.InitiatedBy)
	case "cancelledby":
		return t.Text(j.CancelledBy)
	case "kind":
		return t.Word(string(j.Kind))
	case "phase":
		return t.Word(strings.ToLower(string(j.Phase)))
	case "total":
		return t.Number(float64(j.Total))
	case "pending":
		return t.Number(float64(j.Pending))
	case "accepted":
		return t.Number(float64(j.Accepted))
	case "failed":
		return t.Number(float64(j.Failed))
	case "cancelled":
		return t.Number(float64(j.Cancelled))
	case "created":
		return t.Age(now, j.CreatedAt)
	case "finished":
		var at time.Time
		if j.FinishedAt != nil {
			at = *j.FinishedAt
		}
		return t.Age(now, at)
	case "is":
		return slices.ContainsFunc(t.Words, func(w string) bool {
			switch w {
			case "open":
				return j.Phase == model.JobRunning
			case "ended":
				return j.Phase != model.JobRunning
			case "dryrun":
				return j.DryRun
			}
			return j.Failed > 0 // failing
		}) != t.Not
	}
	return false
}

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// Jobs keeps commands to many applications, and runs them. Its methods but Wake
// block for a round trip or a transaction; errors are faults.
type Jobs interface {
	// CreateJob is Conflict (idempotency_key_reused) when its key is of another
	// request.
	CreateJob(ctx context.Context, n fleet.NewJob) (job fleet.StoredJob, existed bool, err error)
	// Job is NotFound (job_not_found) for one that there is not.
	Job(ctx context.Context, id string) (fleet.StoredJob, error)
	Jobs(ctx context.Context, f fleet.JobFilter) ([]fleet.StoredJob, error)
	JobItems(ctx context.Context, job string, after, limit int) ([]model.JobItem, error)
	CancelJob(ctx context.Context, id, by string) (fleet.StoredJob, error)
	// Wake says that there is a new job; it never blocks.
	Wake()
}

var jobRoutes = []Route{
	{
		Method: http.MethodPost, Path: "/jobs", ID: "submitJob", Tag: "jobs", Summary: "Give a command to many applications",
		Detail: "The job is stored before it is answered, and goes on when the hub was stopped. Each item is allowed or refused when its turn comes, as the command to that one application is.",
		Verb:   permission.Sync, Resource: permission.Applications, FreshFor: "deletes objects, or overrides the prune guard", Body: model.JobRequest{}, Answer: model.Job{}, Status: http.StatusAccepted, Keyed: true,
		handler: (*api).submitJob, when: hasJobs,
	},
	{
		Method: http.MethodGet, Path: "/jobs", ID: "listJobs", Tag: "jobs", Summary: "Jobs, newest first: those of the own token, or for an administrator all",
		Query:  []Parameter{filterParameter, limitParameter, cursorParam},
		Answer: list[model.Job]{}, Status: http.StatusOK, handler: (*api).listJobs, when: hasJobs,
	},
	{
		Method: http.MethodGet, Path: "/jobs/:id", ID: "getJob", Tag: "jobs", Summary: "One job and its items",
		Query:  []Parameter{limitParameter, cursorParam},
		Answer: jobAnswer{}, Status: http.StatusOK, handler: (*api).getJob, when: hasJobs,
	},
	{
		Method: http.MethodPost, Path: "/jobs/:id/cancel", ID: "cancelJob", Tag: "jobs", Summary: "Cancel what is pending of a job",
		Detail: "Commands that were accepted go on.",
		Verb:   permission.Sync, Resource: permission.Applications, Answer: model.Job{}, Status: http.StatusOK, Keyed: true, Kept: true,
		handler: (*api).cancelJob, when: hasJobs,
	},
}

func hasJobs(o Options) bool { return o.Jobs != nil }

// jobAnswer is a job and a page of its items.
type jobAnswer struct {
	model.Job
	Items      []model.JobItem `json:"items"`
	NextCursor string          `json:"nextCursor,omitempty"`
}

// deleteSpec is the spec of a job that deletes.
type deleteSpec struct {
	Cascade          *bool  `json:"cascade,omitempty"`
	Propagation      string `json:"propagation,omitempty"`
	ApproveDeletions bool   `json:"approveDeletions,omitempty"`
}

// refreshSpec is the spec of a job that refreshes.
type refreshSpec struct {
	Hard bool `json:"hard,omitempty"`
}

// dangerousJob reports whether an item of a job would want a fresh login. What the
// finalizers of applications say is not known yet: a delete that does not say what
// becomes of the objects may delete them.
func dangerousJob(kind model.JobKind, spec json.RawMessage) bool {
	var s struct {
		deleteSpec
		ConfirmPrune *int `json:"confirmPrune"`
	}
	_ = json.Unmarshal(spec, &s) // checkJobSpec has read it
	switch kind {
	case model.JobDelete:
		return s.ApproveDeletions || s.Cascade == nil || *s.Cascade
	case model.JobSync, model.JobRollback:
		return s.ConfirmPrune != nil
	}
	return false
}

// checkJobSpec decides about a job's spec, as each command would.
func checkJobSpec(kind model.JobKind, spec json.RawMessage) error {
	if len(spec) == 0 {
		if kind == model.JobAction {
			return fault.New(fault.Invalid, "field_missing", "spec is missing; name the resource and the action").WithField("spec")
		}
		return nil
	}
	switch kind {
	case model.JobSync:
		var s model.OperationSpec
		err := decode.Into(spec, &s)
		if err == nil {
			err = notOfASync(s)
		}
		if err == nil {
			err = checkSpec(s)
		}
		return err
	case model.JobRollback:
		var r rollbackRequest
		err := decode.Into(spec, &r)
		if err == nil {
			err = checkSpec(r.spec(r.HistoryID))
		}
		return err
	case model.JobAction:
		var r actionRequest
		err := decode.Into(spec, &r)
		if err == nil {
			err = r.check()
		}
		return err
	case model.JobDelete:
		var s deleteSpec
		err := decode.Into(spec, &s)
		if err == nil {
			_, err = deletion("", s.Propagation, nil)
		}
		return err
	}
	var s refreshSpec
	return decode.Into(spec, &s)
}

func (a *api) submitJob(c *gin.Context) {
	ctx := c.Request.Context()
	raw, err := a.body(c)
	var in model.JobRequest
	if err == nil {
		err = decode.Into(raw, &in)
	}
	if err == nil {
		err = fleet.CheckJob(in)
	}
	if err == nil {
		err = checkJobSpec(in.Kind, in.Spec)
	}
	if err == nil && dangerousJob(in.Kind, in.Spec) {
		err = a.fresh(c)
	}
	var key string
	if err == nil {
		key, err = idempotencyKey(c)
	}
	var names []string
	if err == nil {
		names, err = a.jobApplications(c, in)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	id, err := uuid.NewV7()
	if err != nil {
		a.fail(c, fault.Wrap(err, fault.Internal, "internal", "no id could be made"))
		return
	}
	caller := identity(c)
	job, existed, err := a.opts.Jobs.CreateJob(ctx, fleet.NewJob{
		ID: id.String(), Kind: in.Kind, Spec: in.Spec, InitiatedBy: caller.Name, Token: caller.ID, Applications: names,
		Request: key, Digest: digestOf(c.Request.Method, c.Request.URL.RequestURI(), raw),
	})
	if err != nil {
		a.fail(c, err)
		return
	}
	if !existed {
		a.log.InfoContext(ctx, "job accepted", "job", job.ID, "kind", job.Kind, "applications", job.Total, "by", caller.Name)
		a.opts.Publisher.Publish("job", job.ID, job.Job)
		a.opts.Jobs.Wake()
	}
	c.JSON(http.StatusAccepted, job.Job)
}

// jobApplications are the names that a job means. Named ones need not exist: of
// those their item says so.
func (a *api) jobApplications(c *gin.Context, in model.JobRequest) ([]string, error) {
	if len(in.Applications) > 0 {
		for i, name := range in.Applications {
			if e := decode.Name(indexed("applications", i), "application", name); e != nil {
				return nil, e
			}
		}
		return in.Applications, nil
	}
	ctx, set := c.Request.Context(), a.caller(c)
	q := fleet.ListQuery{Filter: in.Filter, Limit: model.MaxJobItems + 1, Fields: []string{"name"}}
	if in.Project != "" {
		q.Terms = append(q.Terms, filter.Equal("project", in.Project))
	}
	if in.Cluster != "" {
		cluster, err := a.clusterMeant(ctx, set, in.Cluster)
		if err != nil {
			return nil, err
		}
		q.Terms = append(q.Terms, filter.Equal("clusterID", string(cluster.ID)))
	}
	var err error
	if q.Labels, err = parseSelector(in.Selector); err != nil {
		return nil, err
	}
	if q.Sight, err = a.sight(ctx, set); err != nil {
		return nil, err
	}
	got, err := a.opts.Inventory.Applications(ctx, q)
	if err != nil {
		return nil, err
	}
	if got.AsOf.IsZero() || got.Away {
		// What was known earlier is no ground for a command.
		return nil, fault.New(fault.Unavailable, "db_unavailable", "the database is not reachable, so it is not known which applications are meant")
	}
	names := make([]string, len(got.Items))
	for i, raw := range got.Items {
		var row struct {
			Name string `json:"name"`
		}
		if err := json.Unmarshal(raw, &row); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "internal", "a row of the inventory cannot be read")
		}
		names[i] = row.Name
	}
	slices.Sort(names)
	switch n := got.Total; {
	case n == 0:
		return nil, fault.New(fault.NotFound, "job_matches_nothing", "no application that you see is meant")
	case n > model.MaxJobItems:
		return nil, fleet.TooManyItems(n)
	}
	return names, nil
}

// visibleJob reads a job that somebody sees: of his own API token, or as an
// administrator any. Names of tokens are not unique, and items name applications.
func (a *api) visibleJob(c *gin.Context) (fleet.StoredJob, error) {
	id := c.Param("id")
	job, err := a.opts.Jobs.Job(c.Request.Context(), id)
	if err == nil && !a.caller(c).Admin() && job.Token != identity(c).ID {
		err = fault.New(fault.NotFound, "job_not_found", "there is no job %q", cut(id))
	}
	return job, err
}

func (a *api) getJob(c *gin.Context) {
	job, err := a.visibleJob(c)
	var limit, after int
	if err == nil {
		limit, err = limitOf(c)
	}
	var cursor string
	if err == nil {
		cursor, err = a.cursorOf(c, boundTo(c, "items of job "+job.ID))
	}
	if err == nil && cursor != "" {
		if after, err = strconv.Atoi(cursor); err != nil || after < 0 || after > model.MaxJobItems {
			err = fault.New(fault.Invalid, "cursor_invalid", "the cursor is not one of this hub").WithField("cursor").WithFix("start again without a cursor")
		}
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	items, err := a.opts.Jobs.JobItems(c.Request.Context(), job.ID, after, limit+1)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := jobAnswer{Job: job.Job, Items: []model.JobItem{}}
	if len(items) > limit {
		items = items[:limit]
		out.NextCursor = a.opts.cursor([]string{strconv.Itoa(items[limit-1].Number)}, boundTo(c, "items of job "+job.ID))
	}
	for _, i := range items {
		i.ID, i.Message = fault.ID(i.Code), shorten(i.Message)
		out.Items = append(out.Items, i)
	}
	c.JSON(http.StatusOK, out)
}

func (a *api) cancelJob(c *gin.Context) {
	ctx := c.Request.Context()
	job, err := a.visibleJob(c)
	if err == nil {
		job, err = a.opts.Jobs.CancelJob(ctx, job.ID, identity(c).Name)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(ctx, "job cancelled", "job", job.ID, "pending", job.Cancelled, "by", identity(c).Name)
	a.opts.Publisher.Publish("job", job.ID, job.Job)
	a.opts.Jobs.Wake() // to end it
	c.JSON(http.StatusOK, job.Job)
}

// Command gives the command of a job to one application: it is the request that
// its submitter would make, with the rights that his token has now. It blocks
// until the command is taken or refused.
func (h *Handler) Command(ctx context.Context, job fleet.StoredJob, item model.JobItem) (model.OperationID, error) {
	caller, err := h.api.holder(ctx, job.Token)
	if err != nil {
		return "", err
	}
	method, target, body, err := jobRequest(job.Job, item.Application)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(context.WithValue(ctx, inProcess{}, caller), method, target, bytes.NewReader(body))
	if err != nil {
		return "", fault.Wrap(err, fault.Internal, "internal", "no request can be made")
	}
	r.RemoteAddr = "job"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", fleet.JobKey(job.ID, item.Number))
	w := &innerAnswer{header: http.Header{}}
	h.engine.ServeHTTP(w, r)
	if w.status/100 == 2 {
		var op struct {
			ID model.OperationID `json:"id"`
		}
		if err := json.Unmarshal(w.body.Bytes(), &op); err != nil {
			return "", fault.Wrap(err, fault.Internal, "internal", "the hub answered itself what cannot be read")
		}
		return op.ID, nil
	}
	var p problem
	if err := json.Unmarshal(w.body.Bytes(), &p); err != nil || p.Code == "" {
		return "", fault.New(fault.Internal, "internal", "the hub answered itself %d", w.status)
	}
	return "", &fault.Error{Kind: p.Kind, Code: p.Code, Message: p.Detail}
}

// holder finds the token or session that a job was submitted with.
func (a *api) holder(ctx context.Context, id string) (fleet.APIToken, error) {
	t, err := a.opts.Auth.Holder(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return fleet.APIToken{}, fault.New(fault.Unauthorized, "permission_revoked", "the API token or the session that the job was submitted with was revoked or has expired").
			WithFix("submit what is left with another token")
	}
	return t, err
}

// jobRequest is the request to one application.
func jobRequest(job model.Job, app string) (method, target string, body []byte, err error) {
	target = "/api/v1/applications/" + url.PathEscape(app)
	switch job.Kind {
	case model.JobSync:
		return http.MethodPost, target + "/sync", job.Spec, nil
	case model.JobRollback:
		return http.MethodPost, target + "/rollback", job.Spec, nil
	case model.JobAction:
		return http.MethodPost, target + "/actions", job.Spec, nil
	case model.JobRefresh:
		var s refreshSpec
		if len(job.Spec) > 0 {
			err = decode.Into(job.Spec, &s)
		}
		return http.MethodPost, target + "/refresh?hard=" + strconv.FormatBool(s.Hard), nil, err
	}
	var s deleteSpec
	if len(job.Spec) > 0 {
		err = decode.Into(job.Spec, &s)
	}
	q := url.Values{"approveDeletions": {strconv.FormatBool(s.ApproveDeletions)}}
	if s.Cascade != nil {
		q.Set("cascade", strconv.FormatBool(*s.Cascade))
	}
	if s.Propagation != "" {
		q.Set("propagation", s.Propagation)
	}
	return http.MethodDelete, target + "?" + q.Encode(), nil, err
}

// innerAnswer takes what a handler answers to the hub itself.
type innerAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *innerAnswer) Header() http.Header { return w.header }

func (w *innerAnswer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *innerAnswer) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

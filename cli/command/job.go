package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// manyAtOnce is above how many applications a command is given to the hub as one
// job: it goes on when the command line is gone.
const manyAtOnce = 20

func newJob(s *session) *cobra.Command {
	return group("job", "Commands to many applications at once", newJobList(s), newJobGet(s), newJobCancel(s))
}

func jobID(arg string) string { return strings.TrimPrefix(arg, "job/") }

func newJobList(s *session) *cobra.Command {
	jobs := listing[model.Job]{
		kind: "JobList",
		by:   []string{"filter"},
		name: func(j model.Job) string { return "job/" + j.ID },
		columns: []output.Column{
			{Title: "ID"}, {Title: "KIND"}, {Title: "PHASE", Status: true}, {Title: "ITEMS"}, {Title: "ACCEPTED"}, {Title: "FAILED"}, {Title: "PENDING"},
			{Title: "AGE", Path: ".createdAt"}, {Title: "BY"}, {Title: "CANCELLED", Wide: true},
		},
		row: func(j model.Job) []string {
			return []string{j.ID, jobKind(j), string(j.Phase), fmt.Sprint(j.Total), fmt.Sprint(j.Accepted), fmt.Sprint(j.Failed), fmt.Sprint(j.Pending),
				output.Age(s.now(), &j.CreatedAt), j.InitiatedBy, fmt.Sprint(j.Cancelled)}
		},
	}
	c := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "Jobs, newest first: your own, or for an administrator all", Args: exactArgs()}
	return jobs.command(s, c, "/jobs", nil)
}

func newJobGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get ID", Short: "One job and its items", Args: exactArgs("ID"),
		Long: `One job and its items. An item that was accepted is an operation, whose phase is shown;
one that was refused has the reason. For people the items that went well are only counted;
of a dry run it is said for each what would be done.`,
		RunE: s.run(func(c *call) error {
			job, err := readJob(c.ctx, c.api, jobID(c.args[0]))
			if err != nil {
				return err
			}
			return c.printJob(job)
		}),
	}
}

func newJobCancel(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "cancel ID", Short: "Cancel what is pending of a job; what was accepted goes on", Args: exactArgs("ID"),
		RunE: s.run(func(c *call) error {
			job, err := api.New(c.api).CancelJob(c.ctx, jobID(c.args[0]))
			if err != nil {
				return err
			}
			return c.one(job, "job/"+job.ID, func() error {
				fmt.Fprintln(c.Out, output.Clean(jobText(job)))
				return nil
			})
		}),
	}
}

// jobKind is what a job does, in a few words.
func jobKind(j model.Job) string {
	if j.DryRun {
		return string(j.Kind) + " (dry run)"
	}
	return string(j.Kind)
}

// changesText is how many objects became what, those that changed first.
func changesText(changes map[string]int) string {
	var out []string
	for _, status := range slices.Sorted(maps.Keys(changes)) {
		if status != "Unchanged" {
			out = append(out, fmt.Sprintf("%d %s", changes[status], status))
		}
	}
	if n := changes["Unchanged"]; n > 0 {
		out = append(out, fmt.Sprintf("%d Unchanged", n))
	}
	if len(out) == 0 {
		return "no objects"
	}
	return strings.Join(out, ", ")
}

// jobText is a job in one line.
func jobText(j model.Job) string {
	text := fmt.Sprintf("%s %s: %s  %d of %d accepted, %d failed, %d pending", jobKind(j), j.ID, j.Phase, j.Accepted, j.Total, j.Failed, j.Pending)
	if j.Cancelled > 0 {
		text += fmt.Sprintf(", %d cancelled", j.Cancelled)
	}
	if j.CancelledBy != "" {
		text += " by " + j.CancelledBy
	}
	return text
}

func (c *call) printJob(job api.JobAnswer) error {
	return c.one(job, "job/"+job.ID, func() error {
		fmt.Fprintln(c.Out, output.Clean(jobText(job.Job)))
		well := 0
		for _, i := range job.Items {
			switch {
			case i.DryRun && i.OperationPhase == model.PhaseSucceeded: // what it would do is what was asked for
				fmt.Fprintf(c.Out, "%-10s %s  %s\n", "Would "+output.Clean(string(job.Kind)), output.Clean(i.Application), output.Clean(changesText(i.Changes)))
			case i.Phase == model.ItemAccepted && (i.Operation == "" || i.OperationPhase == model.PhaseSucceeded):
				well++
				continue
			case i.Phase == model.ItemAccepted:
				fmt.Fprintf(c.Out, "%-10s %s  operation %s\n", output.Clean(string(i.OperationPhase)), output.Clean(i.Application), output.Clean(string(i.Operation)))
			default:
				fmt.Fprintln(c.Out, output.Clean(strings.TrimSpace(fmt.Sprintf("%-10s %s  %s", i.Phase, i.Application, itemReason(i)))))
			}
		}
		if well > 0 && well < len(job.Items) {
			c.note("%d more went well", well)
		}
		return nil
	})
}

func itemReason(i model.JobItem) string {
	if i.Code == "" {
		return ""
	}
	return i.Message + " (" + i.Code + ")"
}

// readJob reads a job with all its items.
func readJob(ctx context.Context, from *client.Client, id string) (api.JobAnswer, error) {
	size := int64(pageSize)
	q := api.GetJobQuery{Limit: &size}
	job, err := api.New(from).GetJob(ctx, id, q)
	for next := job.NextCursor; err == nil && next != ""; {
		q.Cursor = next
		var page api.JobAnswer
		if page, err = api.New(from).GetJob(ctx, id, q); err != nil {
			break
		}
		job.Items = append(job.Items, page.Items...)
		if page.NextCursor == next {
			return job, fault.New(fault.Internal, "answer_invalid", "the hub answers the same page of a job again and again")
		}
		next = page.NextCursor
	}
	job.NextCursor = ""
	return job, err
}

// runJob gives a command to many applications as one job, and waits until the hub
// has given each: it was accepted, or refused for a reason of its own.
func (c *call) runJob(ctx context.Context, kind model.JobKind, names []string, spec any) (api.JobAnswer, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return api.JobAnswer{}, fault.Wrap(err, fault.Internal, "internal", "a job cannot be written")
	}
	in := model.JobRequest{Kind: kind, Applications: names, Spec: raw}
	header := http.Header{"Idempotency-Key": {uuid.NewString()}}
	var job model.Job
	post := func() error { return c.api.DoWith(ctx, http.MethodPost, "/jobs", header, in, &job) }
	err = post()
	if fault.HasCode(err, "hub_unreachable") || fault.HasCode(err, "commit_unknown") {
		err = post()
	}
	if err != nil {
		return api.JobAnswer{}, err
	}
	c.note("%s of %d applications is job %s", kind, job.Total, job.ID)
	few := int64(1)
	err = client.Follow(ctx, c.api, func() (bool, error) {
		now, err := api.New(c.api).GetJob(ctx, job.ID, api.GetJobQuery{Limit: &few})
		job = now.Job
		return err == nil && job.Pending == 0, err
	}, func(e client.Event) bool {
		var about model.Job
		return e.Type == "job" && (json.Unmarshal(e.Data, &about) != nil || about.ID == job.ID)
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return api.JobAnswer{}, exitWith(ExitTimeout, fault.New(fault.Unavailable, "wait_timeout", "job %s goes on after the time limit", job.ID).
			WithFix("see how it goes on: hawser job get %s -w", job.ID))
	case errors.Is(err, context.Canceled):
		return api.JobAnswer{}, exitWith(ExitInterrupted, fault.New(fault.Unavailable, "interrupted", "job %s goes on, and you have left", job.ID).
			WithFix("see how it goes on: hawser job get %s -w; stop it: hawser job cancel %s", job.ID, job.ID))
	case err != nil:
		return api.JobAnswer{}, err
	}
	return readJob(ctx, c.api, job.ID)
}

// asOneJob reports whether syncs can be asked for as one job: many, all alike, and
// none under a condition.
func asOneJob(asks []ask) bool {
	if len(asks) <= manyAtOnce {
		return false
	}
	first, err := json.Marshal(asks[0].spec)
	if err != nil {
		return false
	}
	for _, a := range asks {
		spec, err := json.Marshal(a.spec)
		if err != nil || string(spec) != string(first) || a.path != appPath(a.app)+"/sync" {
			return false
		}
	}
	return true
}

// submitAll asks for syncs as one job. The operations are as the job knows them:
// which, of what, and how far.
func (c *call) submitAll(ctx context.Context, asks []ask) (ops []model.OperationInfo, refused []refusedSync, err error) {
	names := make([]string, len(asks))
	for i, a := range asks {
		names[i] = strings.TrimPrefix(a.app, "app/")
	}
	job, err := c.runJob(ctx, model.JobSync, names, asks[0].spec)
	if err != nil {
		return nil, nil, err
	}
	now := c.now()
	for _, i := range job.Items {
		if i.Phase == model.ItemAccepted {
			ops = append(ops, model.OperationInfo{ID: i.Operation, AppName: i.Application, Kind: model.OperationSync, Spec: asks[0].spec,
				Phase: i.OperationPhase, InitiatedBy: job.InitiatedBy, CreatedAt: &now})
			continue
		}
		e := fault.New(fault.Precondition, "cancelled", "the job was cancelled by %s", job.CancelledBy)
		if i.Code != "" {
			e = fault.New(fault.Precondition, i.Code, "%s", i.Message)
		}
		refused = append(refused, refusedSync{i.Application, e})
	}
	return ops, refused, nil
}

// refreshMany refreshes applications, many of them as one job.
func (c *call) refreshMany(names []string, hard bool) error {
	if len(names) == 1 {
		if err := c.refresh(names[0], hard); err != nil {
			return err
		}
		c.note("refresh of %q accepted", names[0])
		return nil
	}
	ctx, cancel := c.limit(c.ctx, waitForOperation)
	defer cancel()
	job, err := c.runJob(ctx, model.JobRefresh, names, map[string]bool{"hard": hard})
	if err != nil {
		return err
	}
	if err := c.printJob(job); err != nil {
		return err
	}
	switch bad := job.Failed + job.Cancelled; {
	case bad == 0:
		return nil
	case bad < job.Total:
		return exitWith(ExitPartial, nil)
	}
	return exitWith(ExitError, nil)
}

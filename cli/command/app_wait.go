package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// wanted is what wait waits for.
type wanted struct {
	sync, health, operation, gone bool
	// suspended and degraded are as good as healthy, or are wanted by themselves.
	suspended, degraded bool
	revision            string // with sync: the commit, "" for any
	// since is when the waiting began: what failed before may be about to be put
	// right, unless patient is over.
	since     time.Time
	impatient bool
}

// set wants what --for names.
func (w *wanted) set(what string) error {
	switch strings.ToLower(what) {
	case "sync", "synced":
		w.sync = true
	case "health", "healthy":
		w.health = true
	case "operation":
		w.operation = true
	case "delete", "gone":
		w.gone = true
	case "suspended":
		w.suspended = true
	case "degraded":
		w.degraded = true
	default:
		return fault.New(fault.Invalid, "usage", "--for %q is not known", what).WithFix("use sync, health, operation, suspended, degraded or delete")
	}
	return nil
}

// patience is how long a failure that is older than the waiting is given to be
// tried again.
var patience = 20 * time.Second // tests have none

func newAppWait(s *session) *cobra.Command {
	var want wanted
	var which appSelection
	var conditions []string
	c := &cobra.Command{
		Use:   "wait NAME… | -l SELECTOR",
		Short: "Wait until applications are synced, healthy and without a running operation",
		Long: `Wait until applications are synced, healthy and without a running operation; with
flags, only for what they name. What is stale does not count. On a timeout the exit
status is 7, or 8 when all that is missing is a report of the cluster, and what was not
ready is printed.

What cannot come true ends the waiting at once with exit status 10: an operation that
failed, a manifest that the API server refuses, a newest commit that cannot be rendered
or is not permitted; what was wrong before is given 20 seconds to be put right. A Git
server that does not answer is only warned about. With --revision, a commit that a rollback has set aside ends it with exit
status 6, and one that changes nothing of the application is as good as synced.`,
		Args: which.args,
		PreRunE: func(*cobra.Command, []string) error {
			for _, list := range conditions {
				for what := range strings.SplitSeq(list, ",") {
					if err := want.set(what); err != nil {
						return err
					}
				}
			}
			if want.revision != "" && !mayBeRevision(want.revision) {
				return fault.New(fault.Invalid, "usage", "--revision %q is no commit", want.revision).WithFix("write a commit, or %d or more of its first digits (0-9, a-f); or a chart's version", leastPrefix)
			}
			if !want.sync && !want.health && !want.operation && !want.gone && !want.suspended && !want.degraded {
				want.sync, want.health, want.operation = true, true, true
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			names, err := c.chosen(which)
			if err != nil {
				return err
			}
			want.since = c.now()
			ctx, cancel := c.limit(c.ctx, 10*time.Minute)
			defer cancel()
			views, err := c.waitFor(ctx, names, want)
			if err != nil {
				return err
			}
			defer func() {
				for _, v := range views {
					c.warnNotRendered(v)
					c.notePinned(v)
				}
			}()
			if c.format != output.Table && c.format != output.Wide {
				return appListing(c.now).print(c, views, c.now())
			}
			for _, v := range views {
				fmt.Fprintln(c.Out, output.Clean(strings.TrimSpace(strings.Join([]string{v.Name, syncText(v), healthText(v), short(v.Revision)}, "  "))))
			}
			return nil
		}),
	}
	which.register(c)
	f := c.Flags()
	f.BoolVar(&want.sync, "sync", false, "wait until synced")
	f.BoolVar(&want.health, "health", false, "wait until healthy")
	f.BoolVar(&want.operation, "operation", false, "wait until no operation is running")
	f.BoolVar(&want.suspended, "suspended", false, "wait until suspended; with --health either will do")
	f.BoolVar(&want.degraded, "degraded", false, "wait until degraded; with --health either will do")
	f.BoolVar(&want.gone, "delete", false, "wait until it is gone")
	f.StringArrayVar(&conditions, "for", nil, "sync, health, operation, suspended, degraded or delete; may be repeated")
	f.StringVar(&want.revision, "revision", "", "wait until this commit, or the one that begins with these 7 or more digits, is what the agent has synced")
	return c
}

// waitFor blocks until the applications are as wanted. Errors say what was missing.
func (c *call) waitFor(ctx context.Context, names []string, want wanted) (views []model.AppView, err error) {
	var lacking []missing
	follow := func(ctx context.Context) error {
		return client.Follow(ctx, c.api, func() (bool, error) {
			seen, now, err := look(ctx, c.api, names, want)
			if err != nil {
				return false, err
			}
			if c.progress == "plain" || c.progress == "json" {
				c.sayMissing(now, lacking)
			}
			views, lacking = seen, now
			return len(lacking) == 0, nil
		}, func(e client.Event) bool { return e.Type == "application" || e.Type == "operation" })
	}
	// A failure that was there before is given a moment to be tried again.
	early, cancel := context.WithTimeout(ctx, patience)
	err = follow(early)
	cancel()
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		want.impatient = true
		err = follow(ctx)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, timedOut(names, lacking)
	case errors.Is(err, context.Canceled) && lacking != nil:
		return nil, exitWith(ExitInterrupted, fault.New(fault.Unavailable, "interrupted", "interrupted; still waiting for %s", missingText(lacking)))
	}
	return views, err
}

// missing is what one application lacks.
type missing struct {
	app, why string
	stale    bool // nothing but a report
}

func missingText(all []missing) string {
	lines := make([]string, len(all))
	for i, m := range all {
		lines[i] = m.app + ": " + m.why
	}
	return strings.Join(lines, "; ")
}

// timedOut is the error of a wait that came to its limit.
func timedOut(names []string, lacking []missing) error {
	if lacking == nil {
		return exitWith(ExitTimeout, fault.New(fault.Unavailable, "wait_timeout", "timed out waiting for an answer of the hub about %s", strings.Join(names, ", ")))
	}
	code, exit := "wait_timeout", ExitTimeout
	if !slices.ContainsFunc(lacking, func(m missing) bool { return !m.stale }) {
		code, exit = "cluster_stale", ExitUnreachable
	}
	return exitWith(exit, fault.New(fault.Unavailable, code, "timed out waiting for %s", missingText(lacking)).WithFix("see hawser app get %s", lacking[0].app))
}

// sayMissing tells what is still missing, when that is something else than before.
func (c *call) sayMissing(now, before []missing) {
	for _, m := range now {
		if slices.Contains(before, m) {
			continue
		}
		if c.progress == "json" {
			c.sayJSON(map[string]any{"level": "info", "event": "waiting", "app": m.app, "message": m.why})
			continue
		}
		fmt.Fprintf(c.Err, "%s  %s  %s\n", c.now().Format(time.TimeOnly), output.Clean(m.app), output.Clean(m.why))
	}
}

// look reads the applications and says what each still lacks. What is wanted
// gone and is gone is in neither answer.
func look(ctx context.Context, api *client.Client, names []string, want wanted) (views []model.AppView, lacking []missing, err error) {
	for _, name := range names {
		v, err := getApp(ctx, api, name)
		if want.gone && fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		wants := want
		if wants.revision != "" && wants.sync && !isRevision(v.Revision, wants.revision) {
			untouched, err := untouched(ctx, api, v, wants.revision)
			if err != nil {
				return nil, nil, err
			}
			if untouched {
				wants.revision = "" // what it has is what that commit says of it
			}
		}
		if err := hopeless(v, wants); err != nil {
			return nil, nil, err
		}
		views = append(views, v)
		why, stale := notReady(v, wants)
		if want.gone {
			why, stale = "still there", false
		}
		if why != "" {
			lacking = append(lacking, missing{v.Name, why, stale})
		}
	}
	return views, lacking, nil
}

// sourceHead is what the hub knows of one source.
type sourceHead struct {
	Head     string `json:"head"`
	Rendered string `json:"rendered"`
	Settled  bool   `json:"settled"`
	Code     string `json:"code"` // why the head is not known
}

// sourceHeads are the sources of an application; none when it is gone meanwhile, or
// the hub does not say.
func sourceHeads(ctx context.Context, api *client.Client, app string) ([]sourceHead, error) {
	var got struct {
		Items []sourceHead `json:"items"`
	}
	err := api.Get(ctx, appPath(app)+"/sources", &got)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return got.Items, err
}

// passedOver reports whether the hub has looked at the source's head and found
// nothing of it that the application is made of.
func (s sourceHead) passedOver() bool { return s.Settled && s.Rendered != "" && s.Rendered != s.Head }

// untouched reports whether a source is at the commit, and the hub has looked at it
// and found nothing of it that the application is made of.
func untouched(ctx context.Context, api *client.Client, v model.AppView, revision string) (bool, error) {
	heads, err := sourceHeads(ctx, api, v.Name)
	for _, s := range heads {
		if isRevision(s.Head, revision) && s.passedOver() {
			_, problem := notRendered(v)
			return !problem, err
		}
	}
	return false, err
}

// hopeless is the error that keeps the wanted revision from ever being synced,
// nil when there is none.
func hopeless(v model.AppView, want wanted) error {
	if p := v.Pin; p != nil && want.sync && want.revision != "" && isRevision(p.SetAside.Commit, want.revision) && !isRevision(v.Revision, want.revision) {
		e := fault.New(fault.Precondition, "revision_set_aside", "%s: %s was set aside when %s went back to deployment %d", v.Name, short(p.SetAside.Commit), p.InitiatedBy, p.HistoryID)
		if p.HistoryID == 0 {
			e.Message = fmt.Sprintf("%s: %s was set aside by an earlier rollback", v.Name, short(p.SetAside.Commit))
		}
		return e.WithFix("deploy it again: hawser app unpin %s", v.Name)
	}
	if err := failedForGood(v, want); err != nil {
		return err
	}
	problem, ok := notRendered(v)
	switch {
	case !ok || !want.sync || want.gone:
		return nil
	case want.revision == "":
		// Whoever names none wants the newest; a failure from before may be about to
		// be put right.
		if _, of := newestMissing(v); !of || !want.impatient && problem.Since.Before(want.since) {
			return nil
		}
	case problem.Revision == "" || !isRevision(problem.Revision, want.revision) || isRevision(v.Revision, want.revision):
		return nil
	}
	return exitWith(ExitBad, fault.New(fault.Unprocessable, problem.Code, "%s%s", v.Name+": "+firstProblem(problem.Message),
		asideText(time.Now(), v, problem)).WithFix("see all of it: hawser app get %s", v.Name))
}

// refusals are the codes with which an API server or a policy refuses a manifest as
// it is: trying again changes nothing.
var refusals = []string{
	"schema_invalid", "immutable_field", "too_large", "webhook_denied", "policy_denied", "pod_security_denied", "forbidden",
	"kind_unknown", "api_removed", "namespace_missing", "resource_owned",
}

// failedForGood is the error that what is desired now was tried and has failed, and
// is not tried again before somebody changes something; nil when that is not known.
func failedForGood(v model.AppView, want wanted) error {
	if want.gone || want.degraded || v.Sync.Status == model.SyncSynced || want.revision != "" && !isRevision(v.Desired.Commit, want.revision) {
		return nil
	}
	if op := v.Operation; op != nil && !op.Phase.Terminal() {
		return nil
	}
	counts := func(at *time.Time) bool { return want.impatient || at != nil && !at.Before(want.since) }
	if op := v.Operation; op != nil && (want.sync || want.operation) && op.Phase == model.PhaseFailed && !op.Spec.DryRun && op.Kind == model.OperationSync && counts(op.FinishedAt) &&
		(!v.AutoSync || op.Result == nil || op.Result.Revision == v.Desired.Commit) {
		return exitWith(ExitBad, fault.New(fault.Unprocessable, "operation_failed", "%s: the sync has failed: %s", v.Name, firstProblem(op.Message)).
			WithFix("see all of it: hawser operation get %s", op.ID))
	}
	for _, x := range v.Conditions {
		if (want.sync || want.health) && x.Type == "SyncError" && slices.Contains(refusals, x.Code) && counts(x.Since) {
			return exitWith(ExitBad, fault.New(fault.Unprocessable, x.Code, "%s: %s", v.Name, firstProblem(x.Message)).WithFix("see all of it: hawser app get %s", v.Name))
		}
	}
	return nil
}

// healths that are as good as wanted; nil: any.
func (w wanted) healths() []model.Health {
	var out []model.Health
	for h, yes := range map[model.Health]bool{model.HealthHealthy: w.health, model.HealthSuspended: w.suspended, model.HealthDegraded: w.degraded} {
		if yes {
			out = append(out, h)
		}
	}
	return out
}

// notReady says what an application still lacks, "" when nothing; stale when that
// is only a report of its cluster.
func notReady(v model.AppView, want wanted) (text string, stale bool) {
	var why []string
	if v.Freshness != model.FreshLive && v.Freshness != model.FreshLagging {
		why, stale = append(why, "not reported lately ("+string(v.Freshness)+")"), true
	}
	known := len(why)
	if want.sync && v.Sync.Status != model.SyncSynced {
		why = append(why, "sync is "+facetText(v.Sync))
	}
	if want.sync && want.revision != "" && !isRevision(v.Revision, want.revision) {
		why = append(why, "synced to "+short(v.Revision)+", not "+short(want.revision))
	}
	if problem, of := newestMissing(v); of && want.sync && want.revision == "" {
		why = append(why, "its newest revision cannot be rendered ("+problem.Code+")")
	}
	if healths := want.healths(); healths != nil && !slices.Contains(healths, v.Health.Status) {
		why = append(why, strings.TrimSpace("health is "+healthText(v)+" "+v.Health.Message))
		for _, x := range v.HealthCauses[:min(len(v.HealthCauses), 3)] {
			why = append(why, strings.TrimSpace(x.ObjectKey.String()+" is "+string(x.Status)+" "+x.Message))
		}
	}
	if want.operation && v.Operation != nil && !v.Operation.Phase.Terminal() {
		why = append(why, strings.TrimSpace("operation is "+string(v.Operation.Phase)+" "+v.Operation.Message))
	}
	stale = stale && len(why) == known
	if len(why) > 0 {
		for _, c := range v.Conditions {
			why = append(why, firstProblem(c.Message))
		}
	}
	return strings.Join(why, ", "), stale
}

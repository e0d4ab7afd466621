package command

import (
	"context"
	"errors"
	"fmt"
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
	revision                      string // with sync: the commit, "" for any
}

func newAppWait(s *session) *cobra.Command {
	var want wanted
	c := &cobra.Command{
		Use:   "wait NAME…",
		Short: "Wait until applications are synced, healthy and without a running operation",
		Long: `Wait until applications are synced, healthy and without a running operation; with
flags, only for what they name. What is stale does not count. On a timeout the exit
status is 7 and what was not ready is printed. With --revision, a commit that cannot be
rendered or is not permitted ends the waiting at once, with exit status 10, and one
that a rollback has set aside with exit status 6.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fault.New(fault.Invalid, "usage", "name at least one application").WithFix("see hawser app wait --help")
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			if !want.sync && !want.health && !want.operation && !want.gone {
				want.sync, want.health, want.operation = true, true, true
			}
			ctx, cancel := c.limit(c.ctx, 10*time.Minute)
			defer cancel()
			var views []model.AppView
			var missing []string
			err := follow(ctx, c.api, func() (bool, error) {
				seen, lacking, err := look(ctx, c.api, c.args, want)
				if err != nil {
					return false, err
				}
				views, missing = seen, lacking
				return len(missing) == 0, nil
			}, func(e client.Event) bool { return e.Type == "application" || e.Type == "operation" })
			switch {
			case errors.Is(err, context.DeadlineExceeded):
				if missing == nil {
					missing = append(missing, "an answer of the hub about "+strings.Join(c.args, ", "))
				}
				return exitWith(ExitTimeout, fault.New(fault.Unavailable, "wait_timeout", "timed out waiting for %s", strings.Join(missing, "; ")))
			case errors.Is(err, context.Canceled) && missing != nil:
				return exitWith(ExitInterrupted, fault.New(fault.Unavailable, "interrupted", "interrupted; still waiting for %s", strings.Join(missing, "; ")))
			case err != nil:
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
	f := c.Flags()
	f.BoolVar(&want.sync, "sync", false, "wait until synced")
	f.BoolVar(&want.health, "health", false, "wait until healthy")
	f.BoolVar(&want.operation, "operation", false, "wait until no operation is running")
	f.BoolVar(&want.gone, "delete", false, "wait until it is gone")
	f.StringVar(&want.revision, "revision", "", "wait until this commit, or the one that begins with these 7 or more digits, is what the agent has synced")
	return c
}

// look reads the applications and says what each still lacks. What is wanted
// gone and is gone is in neither answer.
func look(ctx context.Context, api *client.Client, names []string, want wanted) (views []model.AppView, missing []string, err error) {
	for _, name := range names {
		v, err := getApp(ctx, api, name)
		if want.gone && fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if err := hopeless(v, want); err != nil {
			return nil, nil, err
		}
		views = append(views, v)
		if want.gone {
			missing = append(missing, v.Name+": still there")
		} else if why := notReady(v, want); why != "" {
			missing = append(missing, v.Name+": "+why)
		}
	}
	return views, missing, nil
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
	problem, ok := notRendered(v)
	if !ok || !want.sync || want.revision == "" || problem.Revision == "" ||
		!isRevision(problem.Revision, want.revision) || isRevision(v.Revision, want.revision) {
		return nil
	}
	return exitWith(ExitBad, fault.New(fault.Unprocessable, problem.Code, "%s%s", v.Name+": "+firstProblem(problem.Message),
		asideText(time.Now(), v, problem)).WithFix("see all of it: hawser app get %s", v.Name))
}

// notReady says what an application still lacks, "" when nothing.
func notReady(v model.AppView, want wanted) string {
	var why []string
	if v.Freshness != model.FreshLive && v.Freshness != model.FreshLagging {
		why = append(why, "not reported lately ("+string(v.Freshness)+")")
	}
	if want.sync && v.Sync.Status != model.SyncSynced {
		why = append(why, "sync is "+facetText(v.Sync))
	}
	if want.sync && want.revision != "" && !isRevision(v.Revision, want.revision) {
		why = append(why, "synced to "+short(v.Revision)+", not "+short(want.revision))
	}
	if want.health && v.Health.Status != model.HealthHealthy {
		why = append(why, strings.TrimSpace("health is "+healthText(v)+" "+v.Health.Message))
	}
	if want.operation && v.Operation != nil && !v.Operation.Phase.Terminal() {
		why = append(why, "operation is "+string(v.Operation.Phase))
	}
	for _, c := range v.Conditions {
		if len(why) > 0 {
			why = append(why, firstProblem(c.Message))
		}
	}
	return strings.Join(why, ", ")
}

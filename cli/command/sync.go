package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppSync(s *session) *cobra.Command {
	var (
		spec         model.OperationSpec
		async        bool
		confirmPrune int
	)
	c := &cobra.Command{
		Use:   "sync NAME",
		Short: "Make the cluster as Git says, and wait for the result",
		Args:  exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			if c.Flags().Changed("confirm-prune") {
				spec.ConfirmPrune, spec.Prune = &confirmPrune, true
			}
			ctx, cancel := s.limit(c.Context(), 5*time.Minute)
			defer cancel()
			// The key makes it safe to repeat the request when the answer is lost.
			header := http.Header{"Idempotency-Key": {uuid.NewString()}}
			var op model.OperationInfo
			post := func() error {
				return api.DoWith(ctx, http.MethodPost, appPath(args[0])+"/sync", header, spec, &op)
			}
			if err = post(); fault.HasCode(err, "hub_unreachable") || fault.HasCode(err, "commit_unknown") {
				err = post()
			}
			if err != nil {
				return err
			}
			if async {
				s.note("sync of %q accepted as operation %s", args[0], op.ID)
				return s.printOperation(f, op)
			}
			op, err = s.awaitOperation(ctx, api, op)
			if err != nil {
				return err
			}
			return s.concludeOperation(f, op)
		},
	}
	f := c.Flags()
	f.BoolVar(&spec.Prune, "prune", false, "delete objects that are no longer in Git")
	f.IntVar(&confirmPrune, "confirm-prune", 0, "confirm that this many objects may be deleted, past the prune guard")
	f.BoolVar(&spec.DryRun, "dry-run", false, "plan and show, change nothing")
	f.StringArrayVar(&spec.SyncOptions, "sync-option", nil, "sync option for this operation; may be repeated")
	f.BoolVar(&async, "async", false, "do not wait")
	return c
}

// awaitOperation follows the event stream until the operation has ended. The
// stream is opened before the operation is read, so no end is missed.
func (s *session) awaitOperation(ctx context.Context, api *client.Client, op model.OperationInfo) (model.OperationInfo, error) {
	get := func() error { return api.Get(ctx, "/operations/"+string(op.ID), &op) }
	err := follow(ctx, api, func() (bool, error) {
		err := get()
		return op.Phase.Terminal(), err
	}, func(e client.Event) bool { return e.Type == "operation" || e.Type == "application" })
	if errors.Is(err, context.DeadlineExceeded) {
		still := fault.New(fault.Unavailable, "wait_timeout", "operation %s is still %s after the time limit; it goes on", op.ID, op.Phase).
			WithFix("hawser operation get %s", op.ID)
		if op.Message != "" {
			still.Message += ": " + op.Message
		}
		return op, exitWith(ExitTimeout, still)
	}
	return op, err
}

// follow calls check at the start and after each interesting event, until it
// says done. A broken stream is opened again; between streams check is called,
// so that nothing depends on an event having arrived.
func follow(ctx context.Context, api *client.Client, check func() (bool, error), interesting func(client.Event) bool) error {
	pause := 200 * time.Millisecond
	for {
		var done bool
		var checkErr error
		look := func() bool {
			done, checkErr = check()
			return !done && checkErr == nil
		}
		streamErr := api.Events(ctx, "", func(e client.Event) bool {
			pause = 200 * time.Millisecond
			if e.Type == "hello" || e.Type == "reset" || interesting(e) {
				return look()
			}
			return true
		})
		if done {
			return nil
		}
		if checkErr == nil && ctx.Err() == nil {
			look()
		}
		if done {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, err := range []error{checkErr, streamErr} {
			var e *fault.Error
			if errors.As(err, &e) && e.Kind != fault.Unavailable {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 5*time.Second)
		}
	}
}

// concludeOperation prints the end of an operation and chooses the exit status.
func (s *session) concludeOperation(f output.Format, op model.OperationInfo) error {
	if err := s.printOperation(f, op); err != nil {
		return err
	}
	switch op.Phase {
	case model.PhaseSucceeded:
		return nil
	case model.PhaseSuperseded, model.PhaseExpired, model.PhaseTerminated:
		return exitWith(ExitPrecondition, nil)
	}
	if op.Result != nil && op.Result.WouldPrune > 0 {
		return exitWith(ExitPrecondition, nil)
	}
	return exitWith(ExitBad, nil)
}

func (s *session) printOperation(f output.Format, op model.OperationInfo) error {
	switch f {
	case output.JSON, output.YAML:
		return output.Document(s.Out, f, op)
	case output.Name:
		fmt.Fprintln(s.Out, "operation/"+string(op.ID))
		return nil
	}
	if op.Result != nil {
		for _, r := range op.Result.Resources {
			fmt.Fprintf(s.Out, "%-11s %s\n", r.Status, output.Clean(strings.TrimSpace(r.ObjectKey.String()+"  "+r.Message)))
		}
	}
	fmt.Fprintf(s.Out, "%s %s: %s\n", op.Kind, op.AppName, output.Clean(strings.TrimSpace(string(op.Phase)+"  "+op.Message)))
	return nil
}

func newAppWait(s *session) *cobra.Command {
	var wantSync, wantHealth, wantOperation, wantDelete bool
	var revision string
	c := &cobra.Command{
		Use:   "wait NAME…",
		Short: "Wait until applications are synced, healthy and without a running operation",
		Long: `Wait until applications are synced, healthy and without a running operation; with
flags, only for what they name. What is stale does not count. On a timeout the exit
status is 7 and what was not ready is printed.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fault.New(fault.Invalid, "usage", "name at least one application").WithFix("see hawser app wait --help")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if !wantSync && !wantHealth && !wantOperation && !wantDelete {
				wantSync, wantHealth, wantOperation = true, true, true
			}
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			ctx, cancel := s.limit(c.Context(), 10*time.Minute)
			defer cancel()
			var views []model.AppView
			var missing []string
			err = follow(ctx, api, func() (bool, error) {
				views, missing = views[:0], missing[:0]
				for _, name := range args {
					v, err := getApp(ctx, api, name)
					if wantDelete && fault.Is(err, fault.NotFound) {
						continue
					}
					if err != nil {
						return false, err
					}
					views = append(views, v)
					if wantDelete {
						missing = append(missing, name+": still there")
					} else if why := notReady(v, wantSync, wantHealth, wantOperation, revision); why != "" {
						missing = append(missing, name+": "+why)
					}
				}
				return len(missing) == 0, nil
			}, func(e client.Event) bool { return e.Type == "application" || e.Type == "operation" })
			if errors.Is(err, context.DeadlineExceeded) {
				return exitWith(ExitTimeout, fault.New(fault.Unavailable, "wait_timeout", "timed out waiting for %s", strings.Join(missing, "; ")))
			}
			if err != nil {
				return err
			}
			switch f {
			case output.JSON, output.YAML:
				return output.Document(s.Out, f, listDocument("AppList", views, s.now()))
			case output.Name:
				for _, v := range views {
					fmt.Fprintln(s.Out, "app/"+output.Clean(v.Name))
				}
				return nil
			}
			for _, v := range views {
				fmt.Fprintf(s.Out, "%s  %s  %s  %s\n", output.Clean(v.Name), syncText(v), healthText(v), short(v.Revision))
			}
			return nil
		},
	}
	f := c.Flags()
	f.BoolVar(&wantSync, "sync", false, "wait until synced")
	f.BoolVar(&wantHealth, "health", false, "wait until healthy")
	f.BoolVar(&wantOperation, "operation", false, "wait until no operation is running")
	f.BoolVar(&wantDelete, "delete", false, "wait until it is gone")
	f.StringVar(&revision, "revision", "", "wait until this commit is what the agent has synced")
	return c
}

// notReady says what an application still lacks, "" when nothing.
func notReady(v model.AppView, sync, health, operation bool, revision string) string {
	var why []string
	if v.Freshness != model.FreshLive && v.Freshness != model.FreshLagging {
		why = append(why, "not reported lately ("+string(v.Freshness)+")")
	}
	if sync && v.Sync.Status != model.SyncSynced {
		why = append(why, "sync is "+facetText(v.Sync))
	}
	if sync && revision != "" && v.Revision != revision {
		why = append(why, "synced to "+short(v.Revision)+", not "+short(revision))
	}
	if health && v.Health.Status != model.HealthHealthy {
		why = append(why, strings.TrimSpace("health is "+healthText(v)+" "+v.Health.Message))
	}
	if operation && v.Operation != nil && !v.Operation.Phase.Terminal() {
		why = append(why, "operation is "+string(v.Operation.Phase))
	}
	for _, c := range v.Conditions {
		if len(why) > 0 {
			why = append(why, c.Message)
		}
	}
	return strings.Join(why, ", ")
}

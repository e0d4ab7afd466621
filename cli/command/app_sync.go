package command

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// syncFlags are the options of a sync.
type syncFlags struct {
	spec                                           model.OperationSpec
	strategy                                       string
	force, replace, serverSide, applyOutOfSyncOnly bool
	confirmPrune                                   int
	retryLimit, retryFactor                        int64
	retryBackoffDuration, retryBackoffMaxDuration  string
}

func (s *syncFlags) register(f *pflag.FlagSet) {
	s.pruning(f)
	f.StringVar(&s.spec.Revision, "revision", "", "the commit that the hub has rendered, or the one that a rollback has set aside, which ends the rollback")
	f.BoolVar(&s.spec.DryRun, "dry-run", false, "plan and show, change nothing")
	f.StringArrayVar(&s.spec.Resources, "resource", nil, "only this object, as group:kind:name or group:kind:namespace/name with globs, or all but those after a !; no hooks run; may be repeated")
	f.StringVar(&s.strategy, "strategy", "hook", "hook, or apply to run no hooks")
	f.BoolVar(&s.force, "force", false, "with --replace: delete and create again what cannot be changed")
	f.BoolVar(&s.replace, "replace", false, "replace objects that differ instead of applying them")
	f.BoolVar(&s.serverSide, "server-side", false, "apply on the server's side, which is always done so")
	f.BoolVar(&s.applyOutOfSyncOnly, "apply-out-of-sync-only", false, "write only what differs, which is always done so")
	f.Int64Var(&s.retryLimit, "retry-limit", 0, "try again so often when it fails")
	f.StringVar(&s.retryBackoffDuration, "retry-backoff-duration", "", "pause before the first retry (default 5s)")
	f.Int64Var(&s.retryFactor, "retry-backoff-factor", 0, "factor by which the pause grows (default 2)")
	f.StringVar(&s.retryBackoffMaxDuration, "retry-backoff-max-duration", "", "longest pause (default 3m)")
	f.BoolVar(&s.spec.ApproveDeletions, "approve-deletions", false, "delete also what says Prune=confirm")
}

// pruning registers what a rollback has too.
func (s *syncFlags) pruning(f *pflag.FlagSet) {
	f.BoolVar(&s.spec.Prune, "prune", false, "delete objects that are no longer in Git")
	f.IntVar(&s.confirmPrune, "confirm-prune", 0, "confirm that this many objects may be deleted, past the prune guard")
	f.StringArrayVar(&s.spec.SyncOptions, "sync-option", nil, "sync option for this operation; may be repeated")
	f.StringVar(&s.spec.Reason, "reason", "", "why, for the history")
}

// complete makes the spec of what was given. What can only be judged with the
// application the hub judges.
func (s *syncFlags) complete(f *pflag.FlagSet) error {
	if f.Changed("confirm-prune") {
		s.spec.ConfirmPrune, s.spec.Prune = &s.confirmPrune, true
	}
	switch s.strategy {
	case "", "hook":
	case "apply":
		s.spec.SkipHooks = true
	default:
		return fault.New(fault.Invalid, "usage", "--strategy %q is not known", s.strategy).WithFix("use hook or apply")
	}
	for _, o := range []struct {
		set    bool
		option string
	}{{s.force, "Force=true"}, {s.replace, "Replace=true"}, {s.serverSide, "ServerSideApply=true"}, {s.applyOutOfSyncOnly, "ApplyOutOfSyncOnly=true"}} {
		if o.set {
			s.spec.SyncOptions = append(s.spec.SyncOptions, o.option)
		}
	}
	backoff := model.Backoff{Duration: s.retryBackoffDuration, MaxDuration: s.retryBackoffMaxDuration}
	if f.Changed("retry-backoff-factor") {
		backoff.Factor = &s.retryFactor
	}
	given := backoff != model.Backoff{}
	if f.Changed("retry-limit") {
		s.spec.Retry = &model.RetryStrategy{Limit: s.retryLimit}
		if given {
			s.spec.Retry.Backoff = &backoff
		}
	} else if given {
		return fault.New(fault.Invalid, "usage", "a backoff needs retries").WithFix("add --retry-limit N")
	}
	return nil
}

func newAppSync(s *session) *cobra.Command {
	var flags syncFlags
	var wait waitFlags
	c := &cobra.Command{
		Use:   "sync NAME",
		Short: "Make the cluster as Git says, and wait for the result",
		Long: `Make the cluster as Git says, and wait for the result. After a rollback what is
synced is the deployment that was gone back to, until a newer commit comes;
--revision with the commit that was set aside deploys that one again.`,
		Args:    exactArgs("NAME"),
		PreRunE: func(c *cobra.Command, _ []string) error { return flags.complete(c.Flags()) },
		RunE: s.run(func(c *call) error {
			name := c.args[0]
			err := c.carryOut(appPath(name)+"/sync", flags.spec, wait.waits(), "sync of %q", name)
			if !c.documents() && wait.waits() {
				// That it cannot be read does not change how the sync ended.
				if v, err := getApp(c.ctx, c.api, name); err == nil {
					c.warnNotRendered(v)
					c.notePinned(v)
				}
			}
			return err
		}),
	}
	flags.register(c.Flags())
	wait.register(c)
	return c
}

// notePinned tells a person whom the rest of the answer would leave believing
// that the newest revision is what is wanted.
func (c *call) notePinned(v model.AppView) {
	if p := v.Pin; p != nil {
		at := fmt.Sprintf("deployment %d (%s)", p.HistoryID, short(p.Revision.Commit))
		if p.HistoryID == 0 {
			at = short(p.Revision.Commit)
		}
		c.note("%s stays at %s after a rollback; %s is set aside until a newer revision comes: hawser app unpin %s",
			v.Name, at, short(p.SetAside.Commit), v.Name)
	}
}

// revisionText is a revision for people.
func revisionText(r model.Revision) string {
	text := short(r.Commit)
	if r.Message != "" {
		text += fmt.Sprintf(" %q", r.Message)
	}
	return text
}

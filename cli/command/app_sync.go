package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/cli/output"
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
	f.StringVar(&s.spec.Revision, "revision", "", "the commit that the hub has rendered, or the one that a rollback has set aside, which ends the rollback; the branch or tag that the application follows is its newest")
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
	var which appSelection
	var preview bool
	var labels []string
	var planFile string
	c := &cobra.Command{
		Use:   "sync NAME… | -l SELECTOR | --plan FILE",
		Short: "Make clusters as Git says, and wait for the result",
		Long: `Make clusters as Git says, and wait for the result. After a rollback what is synced is
the deployment that was gone back to, until a newer commit comes; --revision with the
commit that was set aside deploys that one again.

A newest commit that cannot be rendered, or is not permitted, is refused with exit status
10; --revision with the last that was rendered syncs that one. When a Git server does not
answer, what was rendered last is synced, with a warning.

Applications are named, or chosen with -l, --filter, --project and -c; then their number
is shown and has to be confirmed. With --plan exactly what a saved plan says is done, or
nothing when its grounds have moved.

Ctrl-C leaves the operations alone; they go on.`,
		Example: `  hawser app sync shop --prune
  hawser app sync -l team=pay -c 'eu-*' --yes
  hawser app plan shop --out plan.json && hawser app sync --plan plan.json`,
		Args: func(c *cobra.Command, args []string) error {
			if planFile != "" && len(args) == 0 && !which.given() {
				return nil
			}
			return which.args(c, args)
		},
		PreRunE: func(c *cobra.Command, _ []string) error {
			if planFile != "" {
				for _, name := range []string{"prune", "confirm-prune", "revision", "dry-run", "resource", "label", "strategy", "force", "replace", "sync-option", "preview-changes"} {
					if c.Flags().Changed(name) {
						return fault.New(fault.Invalid, "usage", "--%s and --plan exclude each other: the plan says it", name)
					}
				}
			}
			return flags.complete(c.Flags())
		},
		RunE: s.run(func(c *call) error {
			ctx, cancel := c.limit(c.ctx, waitForOperation)
			defer cancel()
			asks, err := c.syncs(ctx, which, flags, labels, planFile)
			if err != nil {
				return err
			}
			if err := c.confirmMany(len(asks), len(c.args) == 0 && which.given(), flags.spec.DryRun); err != nil {
				return err
			}
			if preview {
				if err := c.previewSyncs(ctx, asks); err != nil {
					return err
				}
			}
			return c.syncAll(ctx, asks, wait.waits())
		}),
	}
	flags.register(c.Flags())
	wait.register(c)
	which.register(c)
	f := c.Flags()
	f.BoolVar(&preview, "preview-changes", false, "show what would be done, and ask, before doing it")
	f.StringArrayVar(&labels, "label", nil, "only objects with this label, key=value; may be repeated")
	f.StringVar(&planFile, "plan", "", "do exactly what this file of hawser app plan says")
	return s.asks(c)
}

// ask is one sync that is asked for.
type ask struct {
	app  string
	path string
	spec model.OperationSpec
}

// syncs are the syncs that flags and arguments mean.
func (c *call) syncs(ctx context.Context, which appSelection, flags syncFlags, labels []string, planFile string) ([]ask, error) {
	if planFile != "" {
		plans, err := c.loadPlans(planFile)
		if err != nil {
			return nil, err
		}
		var out []ask
		for _, p := range plans {
			if len(c.args) == 0 || slices.Contains(c.args, p.App) {
				spec, path := p.sync(flags.spec.Reason)
				out = append(out, ask{p.App, path, spec})
			}
		}
		if len(out) == 0 {
			return nil, fault.New(fault.NotFound, "selection_empty", "the plan is of none of these applications")
		}
		return out, nil
	}
	names, err := c.chosen(which)
	if err != nil {
		return nil, err
	}
	out := make([]ask, len(names))
	for i, name := range names {
		out[i] = ask{name, appPath(name) + "/sync", flags.spec}
		if len(labels) > 0 {
			objects, err := c.labelled(ctx, name, labels)
			if err != nil {
				return nil, err
			}
			out[i].spec.Resources = append(slices.Clone(flags.spec.Resources), objects...)
		}
	}
	return out, nil
}

// confirmMany asks before something is done to applications that nobody has named.
func (c *call) confirmMany(n int, chosen, harmless bool) error {
	if !chosen || n < 2 || harmless {
		return nil
	}
	return c.ask(consent{
		text:  fmt.Sprintf("This syncs %d applications. Continue?", n),
		alone: fault.New(fault.Invalid, "confirmation_needed", "this syncs %d applications, and nobody is there to ask", n),
	})
}

// previewSyncs shows what would be done, and asks.
func (c *call) previewSyncs(ctx context.Context, asks []ask) error {
	for _, a := range asks {
		p, err := c.plan(ctx, a.app, nil, a.spec)
		if err != nil {
			return err
		}
		if c.documents() && c.yes {
			continue // nobody reads it, and nobody is asked
		}
		fmt.Fprintf(c.Err, "%s\n", output.Clean(a.app))
		on := *c.session
		on.Out = c.Err // standard output is for the result
		(&call{session: &on}).printPlan(p)
	}
	return c.ask(consent{
		text:  "Do this?",
		alone: fault.New(fault.Invalid, "confirmation_needed", "nobody is there to ask").WithFix("add --yes, or use hawser app plan"),
	})
}

// refusedSync is a sync that was not accepted.
type refusedSync struct {
	app string
	err error
}

// syncAll asks for syncs, shows how they go on, and says at the end how they went.
// What one application refuses does not keep the others.
func (c *call) syncAll(ctx context.Context, asks []ask, waits bool) error {
	var ops []model.OperationInfo
	var apps []string // of ops
	var refused []refusedSync
	one := asks
	if asOneJob(asks) {
		var err error
		if ops, refused, err = c.submitAll(ctx, asks); err != nil {
			return err
		}
		for _, op := range ops {
			apps = append(apps, op.AppName)
		}
		one = nil
	}
	early, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for _, a := range one {
		if !fixed(a.spec.Revision) {
			c.awaitSettled(early, a.app)
		}
		op, err := c.submit(ctx, a.path, a.spec)
		if fault.HasCode(err, "newest_not_rendered") {
			err = exitWith(ExitBad, err) // as a sync that failed
		}
		switch {
		case err == nil:
			if op.AppName == "" {
				op.AppName = a.app
			}
			ops, apps = append(ops, op), append(apps, a.app)
		case len(asks) == 1:
			return err
		default:
			refused = append(refused, refusedSync{a.app, err})
			if ctx.Err() != nil {
				return err
			}
		}
	}
	if !waits {
		for _, op := range ops {
			what := "sync"
			if op.Spec.DryRun {
				what = "dry run of a sync"
			}
			c.note("%s of %q accepted as operation %s", what, op.AppName, op.ID)
		}
		return c.verdict(ops, refused, len(asks), false)
	}
	if len(ops) > 0 {
		b := c.newBoard(ops)
		var err error
		ops, err = awaitAll(ctx, c.api, ops, b.changed)
		b.close()
		if err != nil {
			return err
		}
	}
	err := c.verdict(ops, refused, len(asks), true)
	if !c.documents() {
		// That one cannot be read does not change how the sync ended.
		for _, name := range apps[:min(len(apps), boardLines)] {
			if v, err := getApp(ctx, c.api, name); err == nil {
				c.warnNotRendered(v)
				c.notePinned(v)
			}
		}
	}
	return err
}

// settling is how long syncs wait for what comes of a change that was just written,
// and how often they ask meanwhile: that nothing comes of it is told by no event.
const (
	settling     = 10 * time.Second
	settlingStep = 200 * time.Millisecond
)

// fixed reports whether a revision is what it is, whatever becomes of branches.
func fixed(revision string) bool {
	return len(revision) >= 7 && strings.Trim(strings.ToLower(revision), "0123456789abcdef") == ""
}

// awaitSettled waits until the hub has looked at what an application is to be made of:
// a sync right after a change is meant for what was changed. What the hub does not say,
// or does not come to know since a source does not answer, is not waited for.
func (c *call) awaitSettled(ctx context.Context, name string) {
	tick := time.NewTicker(settlingStep)
	defer tick.Stop()
	for {
		var got list[sourceHead]
		err := c.api.Get(ctx, appPath(name)+"/sources", &got)
		if err != nil || !slices.ContainsFunc(got.Items, func(s sourceHead) bool { return !s.Settled && s.Head != "" && s.Code == "" }) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// verdict prints how operations went, and chooses the exit status: that of the
// failure when all failed, else ExitPartial.
func (c *call) verdict(ops []model.OperationInfo, refused []refusedSync, asked int, ended bool) error {
	if asked == 1 {
		if err := c.printOperation(ops[0]); err != nil {
			return err
		}
		if code := exitOfOperation(ops[0]); ended && code != ExitOK {
			c.note("next: hawser app get %s", ops[0].AppName)
			return exitWith(code, nil)
		}
		return nil
	}
	err := operationListing(c.session).print(c, ops, c.now())
	if err != nil {
		return err
	}
	failed, code, first := 0, ExitOK, ""
	for _, op := range ops {
		if n := exitOfOperation(op); ended && n != ExitOK {
			failed++
			if code == ExitOK {
				code, first = n, op.AppName
			}
		}
	}
	for _, r := range refused {
		fmt.Fprintf(c.Err, "%s was refused\n", output.Clean(r.app))
		printError(c.Err, r.err)
		if code == ExitOK {
			code, first = exitCode(c.ctx, r.err), r.app
			if fault.HasCode(r.err, "newest_not_rendered") {
				code = ExitBad
			}
		}
	}
	failed += len(refused)
	if failed == 0 {
		if ended {
			if ops[0].Spec.DryRun { // all are alike in this
				c.note("✔ %d of %d would sync; this was a dry run, and nothing was changed", len(ops), asked)
				return nil
			}
			c.note("✔ %d of %d synced", len(ops), asked)
		}
		return nil
	}
	c.note("✖ %d of %d failed; next: hawser app get %s", failed, asked, first)
	if failed < asked {
		code = ExitPartial
	}
	return exitWith(code, nil)
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

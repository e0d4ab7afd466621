package command

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// rollbackRequest is what the hub takes.
type rollbackRequest struct {
	HistoryID    int64    `json:"historyID,omitempty"`
	Reason       string   `json:"reason,omitempty"`
	Prune        bool     `json:"prune,omitempty"`
	ConfirmPrune *int     `json:"confirmPrune,omitempty"`
	SyncOptions  []string `json:"syncOptions,omitempty"`
	DryRun       bool     `json:"dryRun,omitempty"`
}

// rollbackPlan is the hub's answer to a dry run.
type rollbackPlan struct {
	DryRun     bool                   `json:"dryRun"`
	Deployment model.HistoryEntry     `json:"deployment"`
	SetAside   *model.Revision        `json:"setAside,omitempty"`
	Resources  []model.ResourceResult `json:"resources"`
}

func newAppRollback(s *session) *cobra.Command {
	var flags syncFlags
	var wait waitFlags
	var dryRun bool
	var id int64
	c := &cobra.Command{
		Use:   "rollback NAME [ID]",
		Short: "Go back to a past deployment, and stay there until a newer commit comes",
		Long: `Go back to a deployment of the history, without ID to the one before the present.
Automated sync may stay on: the cluster is healed to that deployment, and the
revision that was gone back from is set aside. It is not deployed again by a poll, a
webhook or a plain sync. A newer commit that changes the application ends the
rollback, and so do "hawser app unpin", "hawser app sync --revision" with the commit
that was set aside, and another targetRevision. When the branch is at the commit that
was set aside again later, that is still not deployed until somebody says so.`,
		Args: func(c *cobra.Command, args []string) (err error) {
			if len(args) == 1 {
				return nil
			}
			if err := exactArgs("NAME", "[ID]")(c, args); err != nil {
				return err
			}
			if id, err = strconv.ParseInt(args[1], 10, 64); err != nil || id < 1 {
				return fault.New(fault.Invalid, "usage", "%q is not the number of a deployment", args[1]).WithFix("choose one of: hawser app history %s", args[0])
			}
			return nil
		},
		PreRunE: func(c *cobra.Command, _ []string) error { return flags.complete(c.Flags()) },
		RunE: s.run(func(c *call) error {
			name, path := c.args[0], appPath(c.args[0])+"/rollback"
			request := rollbackRequest{HistoryID: id, Reason: flags.spec.Reason, Prune: flags.spec.Prune, ConfirmPrune: flags.spec.ConfirmPrune, SyncOptions: flags.spec.SyncOptions, DryRun: dryRun}
			if dryRun {
				var plan rollbackPlan
				if err := c.api.Do(c.ctx, http.MethodPost, path, request, &plan); err != nil {
					return err
				}
				return c.one(plan, "", func() error { return c.printRollback(name, plan) })
			}
			err := c.carryOut(path, request, wait.waits(), "rollback of %q", name)
			if !c.documents() {
				if v, err := getApp(c.ctx, c.api, name); err == nil {
					c.notePinned(v)
				}
			}
			return err
		}),
	}
	flags.pruning(c.Flags())
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be desired otherwise, change nothing; the cluster is not asked")
	wait.register(c)
	return c
}

func (c *call) printRollback(name string, plan rollbackPlan) error {
	changed := 0
	for _, r := range plan.Resources {
		if r.Status == "Unchanged" {
			continue
		}
		changed++
		fmt.Fprintf(c.Out, "%-11s %s\n", output.Clean(r.Status), output.Clean(r.ObjectKey.String()))
	}
	d := plan.Deployment
	line := fmt.Sprintf("%s would go back to deployment %d (%s); %d of %d objects differ", name, d.ID, revisionText(model.Revision{Commit: d.Revision, Message: d.Message}), changed, len(plan.Resources))
	if plan.SetAside != nil {
		line += ", and " + short(plan.SetAside.Commit) + " would be set aside"
	}
	_, err := fmt.Fprintln(c.Out, output.Clean(line))
	return err
}

func newAppUnpin(s *session) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "unpin NAME", Short: "End a rollback: what Git says is wanted again", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			var pin model.Pin
			path := appPath(c.args[0]) + "/pin"
			if reason != "" {
				path += "?" + url.Values{"reason": {reason}}.Encode()
			}
			if err := c.api.Do(c.ctx, http.MethodDelete, path, nil, &pin); err != nil {
				return err
			}
			return c.one(pin, "", func() error {
				c.note("%q is not pinned to %s any more; %s is wanted again", c.args[0], pinnedTo(pin), short(pin.SetAside.Commit))
				return nil
			})
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the history")
	return c
}

// pinnedTo is what a pin holds: a deployment, or, of one that came by itself, a
// revision.
func pinnedTo(p model.Pin) string {
	if p.HistoryID == 0 {
		return short(p.Revision.Commit)
	}
	return fmt.Sprintf("deployment %d", p.HistoryID)
}

// confirmation is what the hub takes.
type confirmation struct {
	Kind         model.OperationKind `json:"kind"`
	Operation    model.OperationID   `json:"operation,omitempty"`
	ConfirmPrune *int                `json:"confirmPrune,omitempty"`
	Reason       string              `json:"reason,omitempty"`
}

// confirmed finds out what a confirmation is of, and says so: what somebody else
// asks for meanwhile is not approved of with it.
func (c *call) confirmed(name string, request *confirmation) error {
	var open list[model.OperationInfo]
	if err := c.get(appPath(name)+"/operations?open=true", &open); err != nil {
		return err
	}
	var deletion, sync *model.OperationInfo
	for i, op := range open.Items {
		switch op.Kind {
		case model.OperationDelete:
			deletion = &open.Items[i]
		case model.OperationSync:
			sync = &open.Items[i]
		}
	}
	if request.Kind == "" {
		switch {
		case deletion != nil && sync != nil:
			return fault.New(fault.Precondition, "confirmation_ambiguous", "operation %s deletes %q (asked for by %s), and its sync %s has not ended",
				deletion.ID, name, deletion.InitiatedBy, sync.ID).WithFix("say which is meant: --kind delete or --kind sync")
		case deletion != nil:
			request.Kind = model.OperationDelete
		default:
			request.Kind = model.OperationSync
		}
	}
	if request.Kind == model.OperationSync {
		c.note("%q is synced and prunes, also what says Prune=confirm", name)
		return nil
	}
	if deletion == nil {
		return fault.New(fault.NotFound, "operation_not_found", "%q is not being deleted", name)
	}
	request.Operation = deletion.ID
	c.note("%q is being deleted by operation %s, which %s asked for; what says Delete=confirm is deleted, too", name, deletion.ID, deletion.InitiatedBy)
	return nil
}

func newAppConfirmDeletion(s *session) *cobra.Command {
	var wait waitFlags
	var confirmPrune int
	var request confirmation
	c := &cobra.Command{
		Use:   "confirm-deletion NAME",
		Short: "Approve of deleting what says Prune=confirm or Delete=confirm",
		Long: `Approve of deleting the objects that ask for it: when the application is being
deleted, those that say Delete=confirm; else a sync prunes, also those that say
Prune=confirm. "hawser app get" shows what waits. --kind says which of both is meant;
without it the command says which it has found, and wants the choice when there is a
delete and a sync.`,
		Args: exactArgs("NAME"),
		PreRunE: func(c *cobra.Command, _ []string) error {
			if k := request.Kind; k != model.OperationSync && k != model.OperationDelete && c.Flags().Changed("kind") {
				return fault.New(fault.Invalid, "usage", "--kind is %q; allowed: sync, delete", string(k))
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			if c.cmd.Flags().Changed("confirm-prune") {
				request.ConfirmPrune = &confirmPrune
			}
			if err := c.confirmed(c.args[0], &request); err != nil {
				return err
			}
			return c.carryOut(appPath(c.args[0])+"/confirm-deletion", request, wait.waits(), "confirmation for %q", c.args[0])
		}),
	}
	c.Flags().IntVar(&confirmPrune, "confirm-prune", 0, "confirm that this many objects may be deleted, past the prune guard")
	c.Flags().StringVar(&request.Reason, "reason", "", "why, for the history")
	c.Flags().StringVar((*string)(&request.Kind), "kind", "", "what is approved of: sync or delete (default: the one that there is)")
	wait.register(c)
	return c
}

func newAppCancel(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "cancel NAME", Aliases: []string{"terminate", "terminate-op"}, Short: "Ask for the end of the application's running operation", Args: exactArgs("NAME"),
		Long: `Ask for the end of the application's running operation. One that no agent was given ends
at once. An agent that has it is asked to end it, and may have it done by then: the answer
says that it is asked for, and hawser operation get says how it ended.`,
		RunE: s.run(func(c *call) error { return c.operation(api.New(c.api).TerminateApplication) }),
	}
}

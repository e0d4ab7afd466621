package command

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newOperation(s *session) *cobra.Command {
	return group("operation", "Durable commands and how they ended", newOperationList(s), newOperationGet(s), newOperationTerminate(s))
}

func operationPath(id string) string {
	return "/operations/" + url.PathEscape(strings.TrimPrefix(id, "operation/"))
}

// operationListing says how operations are printed.
func operationListing(s *session) listing[model.OperationInfo] {
	return listing[model.OperationInfo]{
		kind: "OperationList",
		by:   []string{"filter"},
		name: func(op model.OperationInfo) string { return "operation/" + string(op.ID) },
		columns: []output.Column{
			{Title: "ID"}, {Title: "APPLICATION"}, {Title: "KIND"}, {Title: "PHASE", Status: true}, {Title: "AGE", Path: ".createdAt"}, {Title: "BY"},
			{Title: "CREATED", Wide: true}, {Title: "MESSAGE", Text: true},
		},
		row: func(op model.OperationInfo) []string {
			age, created := "", ""
			if op.CreatedAt != nil {
				age, created = output.Age(s.now(), op.CreatedAt), op.CreatedAt.Format(time.RFC3339)
			}
			return []string{string(op.ID), op.AppName, operationKind(op), string(op.Phase), age, op.InitiatedBy, created, op.Message}
		},
	}
}

func newOperationList(s *session) *cobra.Command {
	var app string
	operations := operationListing(s)
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "Operations, newest first", Args: exactArgs(),
		RunE: s.run(func(c *call) error {
			query := url.Values{}
			if app != "" {
				query.Set("app", strings.TrimPrefix(app, "app/"))
			}
			err := operations.fetchWith(c, "/operations", query)
			if app == "" || !fault.Is(err, fault.NotFound) {
				return err
			}
			got, err := c.operationsOfDeleted(query.Get("app"))
			if err != nil {
				return err
			}
			return operations.print(c, got.Items, got.AsOf)
		}),
	}
	operations.flags(s, c)
	operations.tableAt(s, "/operations")
	c.Flags().StringVar(&app, "app", "", "only this application; it may be deleted")
	return c
}

// newestOperations is the most that the hub answers at once.
const newestOperations = 500

// operationsOfDeleted finds what the hub keeps about an application that is
// gone. The hub knows it by name only in its operations, so the newest of all
// are looked through.
func (c *call) operationsOfDeleted(app string) (list[model.OperationInfo], error) {
	var got list[model.OperationInfo]
	if err := c.get(fmt.Sprintf("/operations?limit=%d", newestOperations), &got); err != nil {
		return got, err
	}
	got.Items = slices.DeleteFunc(got.Items, func(op model.OperationInfo) bool { return op.AppName != app })
	if len(got.Items) == 0 {
		return got, fault.New(fault.NotFound, "application_not_found",
			"there is no application %q, and the newest %d operations have none of it", app, newestOperations).WithFix("see hawser app list")
	}
	c.note("application %q is deleted; these are its operations among the newest %d", app, newestOperations)
	return got, nil
}

func newOperationGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get ID", Short: "One operation and its results", Args: exactArgs("ID"),
		RunE: s.run(func(c *call) error { return c.operation(api.New(c.api).GetOperation) }),
	}
}

func newOperationTerminate(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "terminate ID", Short: "End an operation", Args: exactArgs("ID"),
		RunE: s.run(func(c *call) error { return c.operation(api.New(c.api).TerminateOperation) }),
	}
}

// operation prints what the hub answers about the operation, or the application,
// that is named.
func (c *call) operation(ask func(ctx context.Context, name string, options ...api.Option) (model.OperationInfo, error)) error {
	name := strings.TrimPrefix(strings.TrimPrefix(c.args[0], "operation/"), "app/")
	op, err := ask(c.ctx, name)
	if err != nil {
		return err
	}
	if !c.documents() && c.format != output.Name {
		fmt.Fprintln(c.Out, output.Clean(operationOrigin(op)))
	}
	return c.printOperation(op)
}

// operationOrigin says who asked for an operation, when and why, how long it took
// and what it was about.
func operationOrigin(op model.OperationInfo) string {
	parts := []string{string(op.ID)}
	if op.InitiatedBy != "" {
		parts = append(parts, "by "+op.InitiatedBy)
	}
	if op.CreatedAt != nil {
		parts = append(parts, op.CreatedAt.Format(time.RFC3339))
	}
	if op.StartedAt != nil && op.FinishedAt != nil {
		parts = append(parts, "took "+op.FinishedAt.Sub(*op.StartedAt).Round(time.Millisecond).String())
	}
	if op.Result != nil && op.Result.Revision != "" {
		parts = append(parts, "revision "+short(op.Result.Revision))
	}
	if r := op.Spec.Rollback; r != nil {
		parts = append(parts, fmt.Sprintf("to deployment %d", r.HistoryID))
	}
	if op.Spec.Reason != "" {
		parts = append(parts, "reason: "+op.Spec.Reason)
	}
	return strings.Join(parts, "  ")
}

func (c *call) printOperation(op model.OperationInfo) error {
	return c.one(op, "operation/"+string(op.ID), func() error {
		if op.Result != nil {
			for _, r := range op.Result.Resources {
				fmt.Fprintf(c.Out, "%-11s %s\n", output.Clean(r.Status), output.Clean(resultText(r)))
			}
		}
		for _, a := range op.Amendments {
			line := amendmentText(a.What) + " by " + a.By
			if a.Reason != "" {
				line += ": " + a.Reason
			}
			fmt.Fprintf(c.Out, "%s %s\n", a.At.Format(time.RFC3339), output.Clean(line))
		}
		_, err := fmt.Fprintln(c.Out, output.Clean(strings.TrimSpace(fmt.Sprintf("%s %s: %s  %s", operationKind(op), op.AppName, op.Phase, op.Message))))
		return err
	})
}

// amendmentText is what was decided about an operation that is under way.
func amendmentText(what model.AmendmentKind) string {
	switch what {
	case model.AmendTerminate:
		return "asked to end"
	case model.AmendApprove:
		return "deletions approved"
	case model.AmendOrphan:
		return "deletion of the objects given up"
	}
	return output.Clean(string(what))
}

// operationKind is what an operation does, in one or two words.
func operationKind(op model.OperationInfo) string {
	switch {
	case op.Spec.DryRun:
		return string(op.Kind) + " (dry run)"
	case op.Spec.Rollback != nil:
		return "rollback"
	case op.Kind == model.OperationAction && op.Spec.Action != nil && op.Spec.Action.Delete != nil:
		return "delete object"
	case op.Kind == model.OperationAction && op.Spec.Action != nil:
		return "action " + op.Spec.Action.Name
	}
	return string(op.Kind)
}

// resultText is what became of one object: which, where in the sync when that is
// not its middle, and why.
func resultText(r model.ResourceResult) string {
	parts := []string{r.ObjectKey.String()}
	var where []string
	if r.Phase != "" && (r.Phase != "Sync" || r.HookPhase != "") {
		where = append(where, r.Phase)
	}
	if r.Wave != 0 {
		where = append(where, fmt.Sprintf("wave %d", r.Wave))
	}
	if r.HookPhase != "" {
		where = append(where, "hook "+r.HookPhase)
	}
	if len(where) > 0 {
		parts = append(parts, "("+strings.Join(where, ", ")+")")
	}
	if r.Message != "" {
		parts = append(parts, r.Message)
	}
	return strings.Join(parts, "  ")
}

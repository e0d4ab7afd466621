package command

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppDelete(s *session) *cobra.Command {
	var cascade, approve, wait bool
	var propagation string
	c := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete an application, with or without its objects",
		Long: `Delete an application. --cascade deletes its objects too; --cascade=false leaves
them running and takes the tracking mark from them. Without the flag a person is
asked; where there is nobody to ask the flag is needed, or --yes: then the
application's finalizer decides, as in Argo CD, and without one the objects stay.

A deletion with --cascade that is under way, and blocked perhaps, is given up by
--cascade=false: what is still there stays.`,
		Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			v, err := getApp(c.ctx, c.api, c.args[0])
			if err != nil {
				return err
			}
			chosen := c.cmd.Flags().Changed("cascade")
			query := url.Values{}
			if !s.yes {
				if err := s.confirmDelete(v, chosen, &cascade); err != nil {
					return err
				}
				chosen = true
			}
			if chosen {
				query.Set("cascade", fmt.Sprint(cascade))
			}
			if approve {
				query.Set("approveDeletions", "true")
			}
			if propagation != "" {
				query.Set("propagation", propagation)
			}
			var op model.OperationInfo
			if err := c.api.Do(c.ctx, http.MethodDelete, appPath(c.args[0])+suffix(query), nil, &op); err != nil {
				return err
			}
			switch {
			case chosen && cascade && !op.Spec.Cascade:
				c.note("%q is being deleted without its objects already; they stay", v.Name)
			case chosen && !cascade && givenUp(op):
				c.note("the deletion of the objects of %q is given up; what is still there stays", v.Name)
			}
			if !wait {
				c.note("deletion of %q accepted as operation %s", v.Name, op.ID)
				return c.printOperation(op)
			}
			return c.afterAll(func(c *call) error {
				ctx, cancel := c.limit(c.ctx, waitForOperation)
				defer cancel()
				err := c.conclude(ctx, op)
				if err != nil {
					c.noteConfirmation(v.Name)
				}
				return err
			})
		}),
	}
	c.Flags().BoolVar(&cascade, "cascade", false, "delete the application's objects too")
	c.Flags().StringVar(&propagation, "propagation-policy", "", "foreground or background (default: as the finalizer says, else foreground)")
	c.Flags().BoolVar(&approve, "approve-deletions", false, "delete also what says Delete=confirm")
	c.Flags().BoolVar(&wait, "wait", true, "wait until it is done")
	return s.asks(c)
}

// noteConfirmation says when a deletion waits for somebody's approval.
func (c *call) noteConfirmation(name string) {
	v, err := getApp(context.WithoutCancel(c.ctx), c.api, name)
	if err != nil {
		return
	}
	for _, condition := range v.Conditions {
		if condition.Code == "deletion_unconfirmed" {
			c.note("%s. Approve with `hawser app confirm-deletion %s`", condition.Message, name)
		}
	}
}

// givenUp reports whether a delete was to delete the objects too at first.
func givenUp(op model.OperationInfo) bool {
	return slices.ContainsFunc(op.Amendments, func(a model.Amendment) bool { return a.What == model.AmendOrphan })
}

// confirmDelete asks a person what is to become of the objects.
func (s *session) confirmDelete(v model.AppView, chosen bool, cascade *bool) error {
	var objects []model.ResourceStatus // those that there are
	for _, r := range v.Resources {
		if r.Health.Status != model.HealthMissing {
			objects = append(objects, r)
		}
	}
	if !s.attended() {
		if chosen {
			return nil
		}
		return fault.New(fault.Invalid, "delete_needs_choice", "nobody is there to ask what becomes of the %d objects of %q", len(objects), v.Name).
			WithFix("add --cascade to delete them, --cascade=false to leave them running, or --yes for what the finalizer says")
	}
	fmt.Fprintf(s.Err, "%q has %d objects on %s:\n", output.Clean(v.Name), len(objects), output.Clean(v.Cluster))
	for i, r := range objects {
		if i == 20 {
			fmt.Fprintf(s.Err, "  … and %d more\n", len(objects)-i)
			break
		}
		fmt.Fprintf(s.Err, "  %s\n", output.Clean(r.String()))
	}
	q := consent{cancelled: "nothing was deleted"}
	if !chosen {
		switch s.answer("Delete them too?", "yes", "no", "cancel") {
		case "yes":
			*cascade = true
		case "no":
			*cascade = false
		default:
			if err := s.interrupted(); err != nil {
				return err
			}
			return q.cancelledBy()
		}
		return nil
	}
	what := "leave them running and forget the application"
	if *cascade {
		what = "delete the application and all of them"
	}
	q.text = "This will " + what + ". Continue?"
	return s.ask(q)
}

// suffix is a query as the end of a path.
func suffix(query url.Values) string {
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}

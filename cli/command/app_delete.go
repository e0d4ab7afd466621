package command

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppDelete(s *session) *cobra.Command {
	var cascade, yes, wait bool
	var propagation string
	c := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete an application, with or without its objects",
		Long: `Delete an application. --cascade deletes its objects too; --cascade=false leaves
them running and takes the tracking mark from them. Without the flag a person is
asked; where there is nobody to ask the flag is needed.`,
		Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			v, err := getApp(c.ctx, c.api, c.args[0])
			if err != nil {
				return err
			}
			if err := s.confirmDelete(v, c.cmd.Flags().Changed("cascade"), &cascade, yes); err != nil {
				return err
			}
			query := url.Values{"cascade": {fmt.Sprint(cascade)}}
			if propagation != "" {
				query.Set("propagation", propagation)
			}
			var op model.OperationInfo
			if err := c.api.Do(c.ctx, http.MethodDelete, appPath(c.args[0])+"?"+query.Encode(), nil, &op); err != nil {
				return err
			}
			if !wait {
				c.note("deletion of %q accepted as operation %s", v.Name, op.ID)
				return c.printOperation(op)
			}
			ctx, cancel := c.limit(c.ctx, waitForOperation)
			defer cancel()
			return c.conclude(ctx, op)
		}),
	}
	c.Flags().BoolVar(&cascade, "cascade", false, "delete the application's objects too")
	c.Flags().StringVar(&propagation, "propagation-policy", "", "foreground or background (default: as the finalizer says, else foreground)")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&wait, "wait", true, "wait until it is done")
	return c
}

// confirmDelete asks a person what is to become of the objects.
func (s *session) confirmDelete(v model.AppView, chosen bool, cascade *bool, yes bool) error {
	if yes && chosen {
		return nil
	}
	if !s.Terminal {
		if chosen {
			return nil
		}
		return fault.New(fault.Invalid, "delete_needs_choice", "nobody is there to ask what becomes of the %d objects of %q", len(v.Resources), v.Name).
			WithFix("add --cascade to delete them, or --cascade=false to leave them running")
	}
	fmt.Fprintf(s.Err, "%q has %d objects on %s:\n", output.Clean(v.Name), len(v.Resources), output.Clean(v.Cluster))
	for i, r := range v.Resources {
		if i == 20 {
			fmt.Fprintf(s.Err, "  … and %d more\n", len(v.Resources)-i)
			break
		}
		fmt.Fprintf(s.Err, "  %s\n", output.Clean(r.String()))
	}
	var answer string
	if !chosen {
		fmt.Fprint(s.Err, "Delete them too? [yes, no, cancel] ")
		fmt.Fscanln(s.In, &answer)
		switch strings.ToLower(answer) {
		case "yes":
			*cascade = true
		case "no":
			*cascade = false
		default:
			return exitWith(ExitError, fault.New(fault.Precondition, "cancelled", "nothing was deleted"))
		}
		return nil
	}
	what := "leave them running and forget the application"
	if *cascade {
		what = "delete the application and all of them"
	}
	fmt.Fprintf(s.Err, "This will %s. Continue? [yes, no] ", what)
	fmt.Fscanln(s.In, &answer)
	if strings.ToLower(answer) != "yes" {
		return exitWith(ExitError, fault.New(fault.Precondition, "cancelled", "nothing was deleted"))
	}
	return nil
}

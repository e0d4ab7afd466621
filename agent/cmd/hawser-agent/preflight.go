package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/agent/app"
	"github.com/hawser-dev/hawser/agent/preflight"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// errPreflight: a check failed, and the table says which.
var errPreflight = errors.New("a check failed")

func preflightCommand() *cobra.Command {
	var cfg app.Config
	var format string
	c := &cobra.Command{
		Use: "preflight", Short: "Look at everything that an agent needs: the way to the hub, and the cluster", Args: cobra.NoArgs,
		Long: `Look at everything that an agent needs before it enrols: DNS, TCP, proxy, TLS and pin, clock and
token on the way to the hub; version, rights and a place for its state in the cluster.

Nothing is changed, and the token is not spent; with one that is good, the hub is told what was found.
The exit status is 0 when nothing failed, 1 when a check failed, and 2 when none could be made.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "table" && format != "json" {
				return fault.New(fault.Invalid, "output_invalid", "there is no output format %q", format).WithFix("-o table or -o json")
			}
			checks, err := app.Preflight(c.Context(), cfg)
			if err != nil {
				return err
			}
			if format == "json" {
				err = printChecks(os.Stdout, checks)
			} else {
				err = tableOfChecks(os.Stdout, checks)
			}
			if err == nil && preflight.Failed(checks) {
				err = errPreflight
			}
			return err
		},
	}
	cfg.Flags(c.Flags())
	c.Flags().StringVarP(&format, "output", "o", "table", "table or json")
	return c
}

func printChecks(w io.Writer, checks []model.PreflightCheck) error {
	type check struct {
		model.PreflightCheck
		ID string `json:"id,omitempty"`
	}
	out := struct {
		OK     bool    `json:"ok"`
		Checks []check `json:"checks"`
	}{OK: !preflight.Failed(checks)}
	for _, c := range checks {
		out.Checks = append(out.Checks, check{c, fault.ID(c.Code)})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}

// tableOfChecks writes a line for each check, and below one that failed its code and
// what to do.
func tableOfChecks(w io.Writer, checks []model.PreflightCheck) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range checks {
		outcome := string(c.Outcome)
		if c.Outcome == model.PreflightFailed {
			outcome = "FAILED"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", c.Check, outcome, c.Message)
		if c.Code != "" {
			fmt.Fprintf(tw, "\t\t%s\n", strings.TrimSpace(fault.ID(c.Code)+" "+c.Code))
		}
		if c.Fix != "" {
			fmt.Fprintf(tw, "\t\tfix: %s\n", c.Fix)
		}
	}
	return tw.Flush()
}

package command

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
)

func newClusterDiagnose(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "diagnose NAME", Short: "Why a cluster does not report or works badly, and what to do", Args: exactArgs("NAME"),
		Long: `Why a cluster does not report or works badly, and what to do: the causes that the hub
knows of, the one that is to be mended first at the top, then what may be and the hub
cannot see. Each has a code (see hawser explain CODE), what was seen and when, what to
do, and a command to copy; those of kubectl are for that cluster. A name for which
there is an enrolment token only is explained too. Exit status 1 when there are causes.

  hawser cluster diagnose prod-eu
  hawser cluster diagnose prod-eu -o json`,
		RunE: s.run(func(c *call) error {
			var d api.ClusterDiagnosis
			if err := c.get(clusterPath(c.args[0])+"/diagnosis", &d); err != nil {
				return err
			}
			if err := c.one(d, "cluster/"+d.Cluster, func() error { return c.printClusterDiagnosis(d) }); err != nil {
				return err
			}
			if !d.Healthy {
				return exitWith(ExitNegative, nil)
			}
			return nil
		}),
	}
}

// stateWords are how the command line writes the states of clusters.
var stateWords = map[string]string{
	"connected": "Connected", "offline": "Offline", "never": "NeverSeen", "held": "Held", "revoked": "Revoked", "enrolling": "Enrolling",
}

func (c *call) printClusterDiagnosis(d api.ClusterDiagnosis) error {
	state := stateWords[d.State]
	if state == "" {
		state = d.State
	}
	line := []string{output.Clean(d.Cluster), c.look().Status(output.Clean(state))}
	if d.LastSeen != nil {
		line = append(line, "seen "+output.Age(c.now(), d.LastSeen)+" ago")
	}
	if d.RoundTrip > 0 {
		line = append(line, "round trip "+roundTrip(d.RoundTrip))
	}
	line = append(line, output.Count(d.Reconnects, "reconnect", "reconnects")+" in the last hour")
	if d.Queued.Total > 0 {
		line = append(line, output.Count(d.Queued.Total, "change waits", "changes wait")+" for it")
	}
	if _, err := fmt.Fprintln(c.Out, strings.Join(line, "  ")); err != nil {
		return err
	}
	for i, x := range d.Causes {
		if i == 0 || x.Known != d.Causes[i-1].Known {
			heading := "What the hub knows"
			if !x.Known {
				heading = "What it may be"
			}
			fmt.Fprintf(c.Out, "\n%s:\n", heading)
		}
		fmt.Fprintf(c.Out, "%2d. %s\n", i+1, output.Clean(strings.TrimSpace(x.ID+" "+x.Title)+" ("+x.Code+")"))
		if x.Seen != "" {
			when := ""
			if x.At != nil {
				when = ", " + output.Age(c.now(), x.At) + " ago"
			}
			fmt.Fprintln(c.Out, "      seen: "+output.Clean(x.Seen)+when)
		}
		fmt.Fprintln(c.Out, "      fix:  "+output.Clean(x.Fix))
		if x.Command != "" {
			fmt.Fprintln(c.Out, "      run:  "+output.Clean(x.Command))
		}
	}
	if d.Healthy {
		c.note("nothing is known that is wrong with it")
	}
	return nil
}

// roundTrip is a number of milliseconds as people read it.
func roundTrip(ms float64) string { return strconv.FormatFloat(ms, 'f', -1, 64) + " ms" }

package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
)

func newFleet(s *session) *cobra.Command {
	return group("fleet", "All clusters and applications together", newFleetStatus(s))
}

func newFleetStatus(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "The fleet in numbers: who reports, what is healthy, what has drifted",
		Long: `The fleet in numbers, as far as one may see it. What was not confirmed lately is
counted as stale and in no other sum: a cluster that is silent has no healthy
applications. With -w it is printed again whenever a number changes.`,
		Args: exactArgs(),
		RunE: s.run(func(c *call) error {
			var got api.FleetSummary
			if err := c.get("/fleet/summary", &got); err != nil {
				return err
			}
			return c.one(got, "fleet", func() error { return c.printFleet(got) })
		}),
	}
}

// fewSilent clusters are named; -o wide names all that the hub does.
const fewSilent = 5

func (c *call) printFleet(f api.FleetSummary) error {
	look := c.look()
	clusters := fmt.Sprintf("%s reporting / %s", output.Thousands(f.Clusters.Reporting), output.Thousands(f.Clusters.Total))
	if n := f.Clusters.Silent; n > 0 {
		silent := f.Clusters.NotReporting
		if c.format != output.Wide && len(silent) > fewSilent {
			silent = silent[:fewSilent]
		}
		var names []string
		for _, x := range silent {
			names = append(names, fmt.Sprintf("%s (%s)", output.Clean(x.Name), output.Age(c.now(), x.LastSeen)))
		}
		if more := n - len(silent); more > 0 && len(silent) > 0 {
			names = append(names, fmt.Sprintf("and %s more", output.Thousands(more)))
		}
		text := output.Thousands(n) + " offline"
		if len(names) > 0 {
			text += ": " + strings.Join(names, " ")
		}
		clusters += gapOfLine + look.Mark("Offline", text)
	}
	a := f.Applications
	health := counted(look, a.Health, []state{{"healthy", "Healthy"}, {"degraded", "Degraded"}, {"progressing", "Progressing"},
		{"suspended", "Suspended"}, {"missing", "Missing"}, {"unknown", "Unknown"}})
	if a.Stale > 0 {
		health = append(health, look.Mark("Unknown", "stale "+output.Thousands(a.Stale)))
	}
	if a.Never > 0 {
		health = append(health, look.Mark("Unknown", "never reported "+output.Thousands(a.Never)))
	}
	sync := counted(look, a.Sync, []state{{"synced", "Synced"}, {"drifted", "Drifted"}, {"pending", "Pending"}, {"outofsync", "OutOfSync"}, {"unknown", "Unknown"}})
	if n := a.Unrendered; n > 0 {
		sync = append(sync, look.Mark("Failed", "not rendered "+output.Thousands(n)))
	}
	operations := maps.Clone(a.Operation)
	delete(operations, "none")
	for _, line := range [][2]string{
		{"CLUSTERS", clusters},
		{"APPS", strings.TrimSpace(output.Thousands(a.Total) + gapOfLine + strings.Join(health, " · "))},
		{"SYNC", strings.Join(sync, " · ")},
		{"OPERATIONS", strings.Join(counted(look, operations, []state{{"running", "Running"}, {"queued", "Queued"}, {"failed", "Failed"}, {"succeeded", "Succeeded"}}), " · ")},
		{"PROJECTS", output.Thousands(f.Projects)},
	} {
		if line[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(c.Out, "%-10s  %s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	if n := a.Unrendered; n > 0 {
		c.note("%s not follow Git, because the newest revision cannot be rendered: hawser app list --filter is:unrendered",
			output.Count(n, "application does", "applications do"))
	}
	if f.Away {
		c.warn("the hub's database does not answer; this is what was known at %s", f.AsOf.UTC().Format("15:04:05Z"))
	}
	if f.Clusters.Total == 0 {
		c.note("there is no cluster yet: %s cluster enroll NAME", c.Program)
	}
	return nil
}

const gapOfLine = "   "

// state is a word of the hub and the status whose sign it has.
type state struct{ word, sign string }

// counted are the counts that are not 0: the known words in their order, then
// what a newer hub knows besides.
func counted(look output.Look, counts map[string]int, order []state) []string {
	var out []string
	add := func(x state) {
		if n := counts[x.word]; n > 0 {
			out = append(out, look.Mark(x.sign, output.Clean(x.word)+" "+output.Thousands(n)))
		}
	}
	for _, x := range order {
		add(x)
	}
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		if !slices.ContainsFunc(order, func(x state) bool { return x.word == word }) {
			add(state{word: word})
		}
	}
	return out
}

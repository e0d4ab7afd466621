package command

import (
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/hawser-dev/hawser/cli/output"
)

// listDocument is the envelope of every list that is printed for programs.
func listDocument(kind string, items any, asOf time.Time) any {
	return struct {
		APIVersion string    `json:"apiVersion"`
		Kind       string    `json:"kind"`
		AsOf       time.Time `json:"asOf"`
		Items      any       `json:"items"`
	}{"cli.hawser.dev/v1", kind, asOf, items}
}

// describe prints name and value lines, leaving out empty values.
func (s *session) describe(fields [][2]string) error {
	tw := tabwriter.NewWriter(s.Out, 0, 4, 2, ' ', 0)
	for _, f := range fields {
		if f[1] != "" {
			fmt.Fprintf(tw, "%s:\t%s\n", f[0], output.Clean(f[1]))
		}
	}
	return tw.Flush()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func short(commit string) string {
	if len(commit) == 40 {
		return commit[:8]
	}
	return commit
}

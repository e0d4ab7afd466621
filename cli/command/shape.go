package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hawser-dev/hawser/cli/output"
)

// describe prints name and value lines, leaving out empty values. Further lines
// of a value are indented under its first.
func (s *session) describe(fields [][2]string) error {
	tw := tabwriter.NewWriter(s.Out, 0, 4, 2, ' ', 0)
	for _, f := range fields {
		if value := strings.TrimSpace(f[1]); value != "" {
			first, rest, more := strings.Cut(value, "\n")
			fmt.Fprintf(tw, "%s:\t%s\n", f[0], output.Clean(first))
			for line := range strings.SplitSeq(rest, "\n") {
				if more {
					fmt.Fprintf(tw, "\t  %s\n", output.Clean(line))
				}
			}
		}
	}
	return tw.Flush()
}

func labelText(labels map[string]string) string {
	parts := make([]string, 0, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, k+"="+labels[k])
	}
	return strings.Join(parts, ",")
}

func short(commit string) string {
	if len(commit) == 40 {
		return commit[:8]
	}
	return commit
}

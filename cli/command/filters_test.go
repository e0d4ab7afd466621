package command

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/filter"
)

// Whatever the command line offers or explains of filters is what the hub takes.
func TestFiltersAreThoseOfTheHub(t *testing.T) {
	s := &session{}
	for things, schema := range map[string]filter.Schema{"app": filter.Applications, "cluster": filter.Clusters, "project": filter.Projects, "repo": filter.Repositories, "operation": filter.Operations, "job": filter.Jobs} {
		parent, list := &cobra.Command{Use: things}, &cobra.Command{Use: "list"}
		parent.AddCommand(list)
		keys, _ := s.completeFilter(list, nil, "")
		var want []string
		for _, k := range schema.Names() {
			want = append(want, k+":")
		}
		slices.Sort(want)
		if !slices.Equal(keys, want) {
			t.Errorf("%s: offered %v, want %v", things, keys, want)
		}
		for _, k := range schema.Names() {
			if k == "project" || k == "cluster" { // asked of the hub
				continue
			}
			offered, _ := s.completeFilter(list, nil, "x -"+k+":")
			for _, o := range offered {
				if _, err := filter.Parse(o, schema, nil); err != nil {
					t.Errorf("%s: %q is offered: %v", things, o, err)
				}
			}
			if len(offered) != len(schema.Values(k)) {
				t.Errorf("%s: %d values of %s are offered, there are %d", things, len(offered), k, len(schema.Values(k)))
			}
		}
	}
	for _, k := range filter.Applications.Names() {
		if !strings.Contains(filtersHelp, "\n  "+k) {
			t.Errorf("hawser help filters does not name %s", k)
		}
	}
	for _, line := range regexp.MustCompile(`--filter '([^']*)'`).FindAllStringSubmatch(filtersHelp, -1) {
		if _, err := filter.Parse(line[1], filter.Applications, nil); err != nil {
			t.Error(err)
		}
	}
}

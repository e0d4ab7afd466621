package inventory

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
)

var update = flag.Bool("update", false, "write the keys into docs/filters.md")

var page = filepath.Join("..", "..", "docs", "filters.md")

// tables are the rows of the tables between <!-- name --> and <!-- end -->.
func tables(t *testing.T, text, name string) [][]string {
	t.Helper()
	var out [][]string
	inside, head := false, 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "<!-- "+name+" -->":
			inside, head = true, 2
		case line == "<!-- end -->":
			inside = false
		case inside && head > 0:
			head--
		case inside && line != "":
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
			}
			out = append(out, cells)
		}
	}
	if len(out) == 0 {
		t.Fatalf("the page has no %s", name)
	}
	return out
}

func age(t *testing.T, s string) time.Duration {
	t.Helper()
	if days, ok := strings.CutSuffix(s, "d"); ok {
		return 24 * age(t, days+"h")
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fleetOf makes the fleet that the page shows.
func fleetOf(t *testing.T, text string) *Index {
	t.Helper()
	s := newStore()
	for _, c := range tables(t, text, "fleet") {
		s.put(row(c[0], func(a *fleet.AppRow) {
			status, reason, _ := strings.Cut(c[3], "/")
			a.Project, a.Cluster, a.ClusterID = c[1], c[2], model.ClusterID("c-"+c[2])
			a.Sync = model.SyncFacet{Status: model.SyncStatus(status), Reason: model.SyncReason(reason)}
			a.Health.Status, a.RepoURL = model.Health(c[4]), c[8]
			switch c[5] {
			case "live":
			case "stale":
				a.ReportedAt, a.Report.Number = new(time.Time), 0 // of an earlier session
				*a.ReportedAt = start.Add(-time.Hour)
			case "never":
				a.ReportedAt = nil
			default:
				t.Fatalf("freshness %q", c[5])
			}
			a.Labels = map[string]string{}
			for _, l := range strings.Fields(c[6]) {
				k, v, _ := strings.Cut(l, "=")
				a.Labels[k] = v
			}
			if c[7] != "none" {
				a.Operation = &model.OperationInfo{Phase: model.OperationPhase(c[7])}
			}
			a.UpdatedAt = start.Add(-age(t, c[9]))
			a.CreatedAt = a.UpdatedAt
		}))
	}
	s.clusters = []model.Cluster{{ID: "c-eu", Name: "eu", Labels: map[string]string{"zone": "a"}}, {ID: "c-us", Name: "us", Labels: map[string]string{"zone": "b"}}}
	s.leases = []fleet.Lease{lease("c-eu", start), lease("c-us", start)}
	s.projects = []model.AppProject{{Metadata: model.ObjectMeta{Name: "shop"}}}
	return newIndex(t, s)
}

func TestExamplesOfThePage(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	x := fleetOf(t, string(b))
	for _, c := range tables(t, string(b), "fleet") {
		if got := names(t, x, fleet.ListQuery{Filter: `name:"` + c[0] + `" freshness:` + c[5]}); len(got) != 1 {
			t.Errorf("%s is not %s", c[0], c[5])
		}
	}
	for _, c := range tables(t, string(b), "examples") {
		got := strings.Join(names(t, x, fleet.ListQuery{Filter: c[0]}), ", ")
		if got != c[1] {
			t.Errorf("%s finds %q, the page says %q", c[0], got, c[1])
		}
	}
	for _, c := range tables(t, string(b), "errors") {
		if _, err := x.Applications(t.Context(), fleet.ListQuery{Filter: c[0], Limit: 1}); err == nil || fault.As(err).Message != c[1] {
			t.Errorf("%s answers\n%v\nthe page says\n%s", c[0], err, c[1])
		}
	}
}

var kindWords = map[filter.Kind]string{filter.Text: "text", filter.Age: "age", filter.Number: "number"}

// keysOf is the part of the page about what can be asked for.
func keysOf() string {
	var b strings.Builder
	sorts := map[string][]string{"applications": AppSorts, "clusters": ClusterSorts, "projects": ProjectSorts, "repositories": RepositorySorts, "operations": OperationSorts}
	facets := map[string][]string{"applications": append(slices.Clone(AppFacets), "label:NAME", "cluster.label:NAME"), "clusters": append(slices.Clone(ClusterFacets), "label:NAME"), "repositories": RepositoryFacets, "operations": OperationFacets}
	fields := map[string][]string{"applications": AppFields, "clusters": ClusterFields, "projects": ProjectFields, "repositories": RepositoryFields, "operations": OperationFields}
	for _, s := range []filter.Schema{filter.Applications, filter.Clusters, filter.Projects, filter.Repositories, filter.Operations, filter.Jobs} {
		fmt.Fprintf(&b, "### %s\n\n| key | takes |\n|---|---|\n", strings.ToUpper(s.Things[:1])+s.Things[1:])
		for _, k := range s.Keys {
			name := "`" + k.Name + "`"
			for _, a := range k.Aliases {
				name += ", `" + a + "`"
			}
			takes := kindWords[k.Kind]
			if k.Words != nil {
				takes = strings.Join(k.Words, ", ")
			}
			fmt.Fprintf(&b, "| %s | %s |\n", name, takes)
		}
		if s.States != nil {
			fmt.Fprintf(&b, "| `is`, `not` | %s |\n", strings.Join(s.States, ", "))
		}
		for _, l := range s.Labels {
			fmt.Fprintf(&b, "| `%s` | NAME, NAME=VALUE |\n", l)
		}
		if sorts[s.Things] == nil { // the newest is always first
			b.WriteString("\n")
			continue
		}
		fmt.Fprintf(&b, "\nsort: %s", strings.Join(sorts[s.Things], ", "))
		if f := facets[s.Things]; f != nil {
			fmt.Fprintf(&b, "<br>\nfacets: %s", strings.Join(f, ", "))
		}
		fmt.Fprintf(&b, "<br>\nfields: %s\n\n", strings.Join(fields[s.Things], ", "))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestKeysOfThePage(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), "<!-- keys -->\n")
	_, after, ended := strings.Cut(rest, "<!-- end -->")
	if !ok || !ended {
		t.Fatal("the page has no place for the keys")
	}
	want := before + "<!-- keys -->\n" + keysOf() + "<!-- end -->" + after
	if want == string(b) {
		return
	}
	if !*update {
		t.Fatal("the keys in docs/filters.md are not those of the schemas: go test ./hub/inventory -run KeysOfThePage -update")
	}
	if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

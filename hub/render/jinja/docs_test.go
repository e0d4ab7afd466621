package jinja

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/jinja.md")

const docsFile = "../../../docs/jinja.md"

// cell makes text fit into a cell of a table.
func cell(s string) string {
	s = strings.ReplaceAll(s, "|", "\\|")
	// GitHub shows a cell's code as it is, apart from "|" and line breaks.
	return "`` " + strings.ReplaceAll(s, "\n", "⏎") + " ``"
}

// tables of all cases, with what the engine makes of them now.
func tables(t *testing.T) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The variables of the examples are:\n\n```yaml%s```\n", caseValues)
	for _, g := range caseGroups {
		fmt.Fprintf(&b, "\n### %s\n\n| construct | supported? | example | output or error |\n|---|---|---|---|\n", g.title)
		for _, c := range g.cases {
			supported := "yes"
			out, err := run(c.template, c.files)
			result := cell(out)
			if err != nil {
				supported = "no"
				switch c.code {
				case codeUndefined, codeError, codePath:
					supported = "an error"
				}
				result = fmt.Sprintf("`%s` %s", c.code, cell(err.Error()))
			}
			if c.ours {
				supported += ", not as in Jinja2"
			}
			example := cell(c.template)
			for _, name := range slices.Sorted(maps.Keys(c.files)) {
				example += "<br>" + name + ": " + cell(c.files[name])
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", strings.ReplaceAll(c.construct, "|", "\\|"), supported, example, result)
		}
	}
	names := func(title string, all []string) {
		fmt.Fprintf(&b, "\n%s: `%s`.\n", title, strings.Join(all, "`, `"))
	}
	b.WriteString("\n### All names\n")
	names("Filters", slices.Sorted(maps.Keys(filters)))
	names("Tests", slices.Sorted(maps.Keys(tests)))
	functions := slices.DeleteFunc(slices.Sorted(maps.Keys(globals)), func(n string) bool { _, no := forbiddenFunctions[n]; return no })
	names("Functions", functions)
	names("Methods of strings", slices.Sorted(maps.Keys(stringMethods)))
	names("Methods of dicts", slices.Sorted(maps.Keys(dictMethods)))
	names("Methods of lists", slices.Sorted(maps.Keys(listMethods)))
	b.WriteString("\n| variable of the build environment | what it is |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		what := environmentHelp[environment[name]]
		if what == "" {
			t.Errorf("%s has no description", name)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, what)
	}
	b.WriteString("\n| not here | instead |\n|---|---|\n")
	for _, table := range []struct {
		before, after string
		names         map[string]string
	}{{"{% ", " %}", forbidden}, {"{% ", " %}", elsewhere}, {"\\|", "", noFilters}, {"is ", "", noTests}, {"", "()", forbiddenFunctions}} {
		for _, name := range slices.Sorted(maps.Keys(table.names)) {
			fmt.Fprintf(&b, "| `%s%s%s` | %s |\n", table.before, name, table.after, strings.ReplaceAll(strings.ReplaceAll(table.names[name], "|", "\\|"), "<", "&lt;"))
		}
	}
	return b.String()
}

var environmentHelp = map[string]string{
	"ARGOCD_APP_NAME": "name of the application", "ARGOCD_APP_NAMESPACE": "namespace that it is deployed to, as in Argo CD", "ARGOCD_APP_PROJECT_NAME": "its project",
	"ARGOCD_APP_REVISION": "commit that is rendered", "ARGOCD_APP_REVISION_SHORT": "its first 7 characters", "ARGOCD_APP_REVISION_SHORT_8": "its first 8 characters",
	"ARGOCD_APP_SOURCE_PATH": "`spec.source.path`", "ARGOCD_APP_SOURCE_REPO_URL": "`spec.source.repoURL`", "ARGOCD_APP_SOURCE_TARGET_REVISION": "`spec.source.targetRevision`",
	"KUBE_VERSION": "version of the cluster, such as 1.37.2; undefined until the cluster has reported", "KUBE_API_VERSIONS": "its APIs, with commas between them; undefined until the cluster has reported",
	"HAWSER_DESTINATION_NAMESPACE": "namespace that it is deployed to",
}

const (
	tablesBegin = "<!-- What follows is written by: go test ./hub/render/jinja -run TestDocs -update -->\n"
	tablesEnd   = "<!-- End of what is written by the test. -->\n"
)

func TestDocs(t *testing.T) {
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), tablesBegin)
	_, after, closed := strings.Cut(rest, tablesEnd)
	if !ok || !closed {
		t.Fatalf("%s has no place for the tables", docsFile)
	}
	want := before + tablesBegin + "\n" + tables(t) + "\n" + tablesEnd + after
	if want == string(data) {
		return
	}
	if *update {
		if err := os.WriteFile(docsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s is not what the engine does: run go test ./hub/render/jinja -run TestDocs -update", docsFile)
}

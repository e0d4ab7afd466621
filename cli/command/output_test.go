package command

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// streamsOnly are commands whose answer is a stream of lines, not a document: they
// print text or lines of JSON.
var streamsOnly = []string{"app logs", "logs", "app exec", "exec"}

// Every command that reads takes every -o, and what it prints is what was asked
// for. Which commands read is found out by what they ask of the hub.
func TestEveryReadCommandTakesEveryFormat(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	isJSON := func(out string) bool {
		var v any
		dec := json.NewDecoder(strings.NewReader(out))
		return dec.Decode(&v) == nil && dec.Decode(&v) == io.EOF
	}
	formats := []struct {
		flags []string
		fits  func(out string) bool
	}{
		{[]string{"-o", "table"}, func(string) bool { return true }},
		{[]string{"-o", "wide"}, func(string) bool { return true }},
		{[]string{"-o", "name"}, func(string) bool { return true }},
		{[]string{"-o", "json"}, isJSON},
		{[]string{"-o", "yaml"}, func(out string) bool { var v any; return yaml.Unmarshal([]byte(out), &v) == nil && v != nil }},
		{[]string{"-o", "ndjson"}, func(out string) bool {
			for line := range strings.Lines(out) {
				if !isJSON(line) {
					return false
				}
			}
			return true
		}},
		{[]string{"-o", "jsonpath={@}"}, isJSON},
		{[]string{"-o", "jsonpath-as-json={@}"}, isJSON},
		{[]string{"-o", "jsonpath-file=" + file("path", "{.nix}")}, func(out string) bool { return out == "" }},
		{[]string{"-o", "go-template=<{{len .}}>"}, func(out string) bool { return strings.HasPrefix(out, "<") && strings.HasSuffix(out, ">") }},
		{[]string{"-o", "go-template-file=" + file("template", "whole")}, func(out string) bool { return out == "whole" }},
		{[]string{"-o", "custom-columns=NAME:.name"}, func(out string) bool { return strings.HasPrefix(out, "NAME") }},
		{[]string{"-o", "custom-columns-file=" + file("columns", "NAME\n.name")}, func(out string) bool { return strings.HasPrefix(out, "NAME") }},
		{[]string{"--json", "FIRST", "--jq", "type"}, func(out string) bool { return out == "array\n" || out == "object\n" }},
		{[]string{"--jq", "."}, isJSON},
		{[]string{"--template", "whole"}, func(out string) bool { return out == "whole" }},
		{[]string{"--json"}, func(out string) bool { return !strings.ContainsAny(out, "{}") }},
	}
	tried := 0
	for _, c := range commandCases {
		words := strings.Fields(c.args)
		if c.code > 1 || c.out == "" || c.args == "app" || slices.ContainsFunc(words, func(w string) bool {
			return w == "-o" || w == "--help" || w == "help" || w == "-f" && strings.HasPrefix(c.args, "app ")
		}) || slices.ContainsFunc(streamsOnly, func(s string) bool { return strings.HasPrefix(c.args, s) }) {
			continue
		}
		hub := newHubOf(t, everything())
		if r := run(t, c.in, words...); r.code != c.code {
			t.Fatalf("%s: exit status %d: %s", c.args, r.code, r.err)
		}
		reads := true
		for line := range strings.Lines(hub.requests()) {
			reads = reads && strings.HasPrefix(line, "GET ")
		}
		if !reads {
			continue
		}
		tried++
		first, _, _ := strings.Cut(run(t, c.in, append(slices.Clone(words), "--json")...).out, "\n")
		if first == "" { // of what has no fields that are known beforehand
			first = "name"
		}
		for _, f := range formats {
			f.flags = slices.Clone(f.flags)
			if i := slices.Index(f.flags, "FIRST"); i >= 0 {
				f.flags[i] = first
			}
			r := run(t, c.in, append(slices.Clone(words), f.flags...)...)
			if r.code != c.code || !f.fits(r.out) {
				t.Errorf("%s %s: exit status %d, stdout\n%s\nstderr %s", c.args, strings.Join(f.flags, " "), r.code, r.out, r.err)
			}
		}
	}
	if tried < 30 {
		t.Errorf("only %d commands were found to read", tried)
	}
}

// What a list is not asked for it does not offer.
func TestTheFieldsOfAListAreThoseOfItsRows(t *testing.T) {
	newHubOf(t, everything())
	r := run(t, "", "app", "list", "--json")
	r.check(t, 0, "autoSync\ncluster\nclusterID\nconditions\n", "")
	if strings.Contains(r.out, "history") {
		t.Errorf("offered\n%s", r.out)
	}
}

// The envelope of lists is a contract: what is in it may be added to, not
// changed.
func TestTheEnvelopeOfLists(t *testing.T) {
	newHubOf(t, map[string]answer{"GET /clusters": {200, `{"items":[{"id":"i","name":"eu","connected":true,"freshness":"live","applications":4}],"total":1,"asOf":"2026-01-02T03:04:05Z","partial":["us"]}`}})
	for format, name := range map[string]string{"json": "clusters.json", "yaml": "clusters.yaml", "ndjson": "clusters.ndjson"} {
		want, err := os.ReadFile(filepath.Join("testdata", "golden", name))
		if err != nil {
			t.Fatal(err)
		}
		r := run(t, "", "cluster", "list", "-o", format)
		if r.code != 0 || r.out != string(want) {
			t.Errorf("%s: %d, got\n%s\nwant\n%s", format, r.code, r.out, want)
		}
	}
}

func TestErrorsForPrograms(t *testing.T) {
	newHubOf(t, map[string]answer{"PUT /applications/web": {400, `{"kind":"invalid","code":"a","detail":"first","errors":[{"code":"field_unknown","detail":"first","field":"spec.x","fix":"do so"},{"code":"b","detail":"second"}]}`}})
	r := run(t, "", "app", "create", "web", "--repo", "x", "--path", "p", "-o", "json", "--progress", "json")
	if r.code != 2 || r.out != "" {
		t.Fatalf("got %+v", r)
	}
	lines := strings.Split(strings.TrimSpace(r.err), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %s", r.err)
	}
	var first map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]any{"level": "error", "code": "field_unknown", "field": "spec.x", "message": "first", "fix": "do so", "exitCode": 2.0} {
		if first[k] != want {
			t.Errorf("%s is %v, want %v", k, first[k], want)
		}
	}
}

func TestListFlags(t *testing.T) {
	clusters := `{"items":[{"name":"eu-10","applications":3,"labels":{"env":"prod"}},{"name":"eu-2","applications":10},{"name":"us","applications":3}],"total":412` + asOf
	for _, c := range []struct{ args, out, err string }{
		{"--limit 2 -o name", "cluster/eu-10\ncluster/eu-2\n", ""},
		{"--sort-by name -o name", "cluster/eu-2\ncluster/eu-10\ncluster/us\n", ""},
		{"--sort-by -apps -o name", "cluster/eu-2\ncluster/eu-10\ncluster/us\n", ""},
		{"--sort-by .applications --limit 1 -o name", "cluster/eu-10\n", ""},
		{"--columns name,labels --no-headers", "eu-10  env=prod\neu-2\nus\n", "3 of 412"},
		{"--columns NAME", "NAME\neu-10\neu-2\nus\n", "3 of 412"},
		{"--columns name -q", "NAME\neu-10\neu-2\nus\n", ""},
	} {
		newHubOf(t, map[string]answer{"GET /clusters": {200, clusters}})
		r := run(t, "", append([]string{"cluster", "list"}, strings.Fields(c.args)...)...)
		if r.code != 0 || r.out != c.out || strings.TrimSpace(r.err) != c.err {
			t.Errorf("%s: %+v", c.args, r)
		}
	}
	for args, want := range map[string]string{
		"--columns nix":    "choose from name, state",
		"--sort-by nix":    "(sort_unknown)",
		"--limit -1":       "less than nothing",
		"--color blue":     "use auto, always, never",
		"--colr never":     "did you mean --color?",
		"--debug=all":      `"all" is not known`,
		"--outptu json":    "did you mean --output?",
		"-o jsonpath={.a":  "(output_invalid)",
		"-o tree":          "no tree",
		"--frobnicate-all": "see hawser cluster list --help",
	} {
		r := run(t, "", append([]string{"cluster", "list"}, strings.Fields(args)...)...)
		if r.code != ExitError || r.out != "" || !strings.Contains(r.err, want) || strings.Count(r.err, "\n") > 3 {
			t.Errorf("%s: %+v", args, r)
		}
	}
}

func TestAnEmptyListOfWhatIsNotThere(t *testing.T) {
	answers := map[string]answer{
		"GET /applications": {200, `{"items":[]` + asOf}, "GET /projects": {200, `{"items":[` + project + `]` + asOf}, "GET /projects/shop": {200, project},
		"GET /clusters": {200, `{"items":[` + eu + `]` + asOf},
	}
	newHubOf(t, answers)
	run(t, "", "app", "list", "-p", "shpo").check(t, 3, "", "there is no project \"shpo\" (project_not_found)\n  fix: did you mean \"shop\"?")
	run(t, "", "app", "list", "-c", "ue").check(t, 3, "", `there is no cluster "ue"`)
	run(t, "", "app", "list", "-p", "shop").check(t, 0, "NAME", "")
	run(t, "", "app", "list", "-p", "sh*").check(t, 0, "NAME", "")
	run(t, "", "app", "list").check(t, 0, "NAME", "")
}

// TestTheHubNarrows: what narrows a list is asked of the hub, and what it answers
// is what there is.
func TestTheHubNarrows(t *testing.T) {
	for line, want := range map[string]string{
		"cluster list --filter state:offline":                  "GET /clusters?filter=state%3Aoffline&limit=500",
		"cluster list -l env=prod -p shop":                     "GET /clusters?limit=500&project=shop&selector=env%3Dprod",
		"repo list --filter type:git -p shop":                  "GET /repositories?filter=type%3Agit&limit=500&project=shop",
		"project list --filter apps:>3":                        "GET /projects?filter=apps%3A%3E3&limit=500",
		"app list --filter health:degraded -c eu -l a=b -p sh": "GET /applications?cluster=eu&filter=health%3Adegraded&limit=500&project=sh&selector=a%3Db",
	} {
		hub := newHubOf(t, everything())
		run(t, "", strings.Fields(line)...)
		if !strings.Contains(hub.requests(), want) {
			t.Errorf("%s: the hub was asked %s", line, hub.requests())
		}
	}
}

func TestDebugTellsNoTokens(t *testing.T) {
	newHubOf(t, everything())
	for _, flag := range []string{"-v", "--debug=http"} {
		r := run(t, "", "cluster", "list", flag)
		r.check(t, 0, "eu", "debug: GET https://")
		if http := flag == "--debug=http"; strings.Contains(r.err, "(17 characters, not shown)") != http {
			t.Errorf("%s: %s", flag, r.err)
		}
	}
}

func TestLooksOfTerminals(t *testing.T) {
	newHubOf(t, everything())
	for _, c := range []struct {
		name     string
		terminal bool
		env      map[string]string
		flags    string
		colour   bool
		icons    bool
	}{
		{"a pipe", false, nil, "", false, false},
		{"a terminal", true, nil, "", true, true},
		{"a dumb one", true, map[string]string{"TERM": "dumb"}, "", false, false},
		{"NO_COLOR", true, map[string]string{"NO_COLOR": "1"}, "", false, true},
		{"CLICOLOR=0", true, map[string]string{"CLICOLOR": "0"}, "", false, true},
		{"CLICOLOR_FORCE", false, map[string]string{"CLICOLOR_FORCE": "1"}, "", true, false},
		{"CLICOLOR_FORCE=0", false, map[string]string{"CLICOLOR_FORCE": "0"}, "", false, false},
		{"NO_COLOR wins", true, map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, "", false, true},
		{"the flag wins", false, map[string]string{"NO_COLOR": "1"}, "--color=always", true, false},
		{"never", true, nil, "--color=never", false, true},
		{"no UTF-8", true, map[string]string{"LC_ALL": "C"}, "", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "LC_CTYPE", "LANG"} {
				t.Setenv(name, "")
			}
			t.Setenv("LC_ALL", "C.UTF-8")
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			r := runAs(t.Context(), Streams{In: strings.NewReader(""), OutTerminal: c.terminal, Width: 200}, append([]string{"cluster", "list"}, strings.Fields(c.flags)...)...)
			if strings.Contains(r.out, "\x1b[32m") != c.colour || strings.Contains(r.out, "✔ Connected") != c.icons {
				t.Errorf("got %q", r.out)
			}
			if c.terminal && !strings.Contains(r.err, "1\n") {
				t.Errorf("no footer: %q", r.err)
			}
		})
	}
}

package output

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

const twoApps = `{"apiVersion":"cli.hawser.dev/v1","kind":"AppList","asOf":"2026-01-02T03:04:05Z","items":[
{"name":"web","project":"shop","n":10,"labels":{"a":"1"}},{"name":"db","project":"shop","n":9007199254740993}]}`

// raw is JSON that encodes as itself.
type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

func TestPrinters(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name string
		Options
		want string
	}{
		{"jsonpath", Options{Output: "jsonpath={.items[*].name}"}, "web db"},
		{"relaxed jsonpath", Options{Output: "jsonpath=.items[0].name"}, "web"},
		{"a missing key is nothing", Options{Output: "jsonpath={.items[0].nix}"}, ""},
		{"a range", Options{Output: `jsonpath={range .items[*]}{.name}{"\n"}{end}`}, "web\ndb\n"},
		{"numbers stay whole", Options{Output: "jsonpath={.items[1].n}"}, "9007199254740993"},
		{"jsonpath as json", Options{Output: "jsonpath-as-json={.items[*].labels}"}, "[\n    {\n        \"a\": \"1\"\n    }\n]\n"},
		{"jsonpath of a file", Options{Output: "jsonpath-file=" + file("p", "{.kind}\n")}, "AppList"},
		{"template", Options{Output: "go-template={{range .items}}{{.name}} {{end}}"}, "web db "},
		{"template of a file", Options{Output: "go-template-file=" + file("t", "{{len .items}}")}, "2"},
		{"template as kubectl takes it", Options{Output: "go-template", Template: "{{.kind}}"}, "AppList"},
		{"template alone", Options{Template: `{{range .items}}{{json .labels}}{{end}}`}, `{"a":"1"}null`},
		{"custom columns", Options{Output: "custom-columns=NAME:.name,A:.labels.a"}, "NAME  A\nweb   1\ndb    <none>\n"},
		{"custom columns without a header", Options{Output: "custom-columns=N:.name", NoHeaders: true}, "web\ndb\n"},
		{"custom columns of a file", Options{Output: "custom-columns-file=" + file("c", "NAME  SIZE\n.name .n\n")}, "NAME  SIZE\nweb   10\ndb    9007199254740993\n"},
		{"lines", Options{Output: "ndjson"}, `{"labels":{"a":"1"},"n":10,"name":"web","project":"shop"}` + "\n" + `{"n":9007199254740993,"name":"db","project":"shop"}` + "\n"},
		{"fields", Options{Fields: []string{"name", "nix"}}, "[\n  {\n    \"name\": \"web\",\n    \"nix\": null\n  },\n  {\n    \"name\": \"db\",\n    \"nix\": null\n  }\n]\n"},
		{"fields and jq", Options{Fields: []string{"name", "project"}, JQ: ".[]|[.project,.name]|@tsv"}, "shop\tweb\nshop\tdb\n"},
		{"jq of the whole", Options{JQ: ".items|length"}, "2\n"},
		{"jq with objects", Options{JQ: ".items[0].labels"}, `{"a":"1"}` + "\n"},
		{"fields and a template", Options{Fields: []string{"name"}, Template: "{{range .}}{{.name}};{{end}}"}, "web;db;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := NewPrinter(c.Options)
			if err != nil {
				t.Fatal(err)
			}
			if !p.Documents() {
				t.Error("it is taken for a table")
			}
			var b strings.Builder
			if err := p.Print(&b, raw(twoApps)); err != nil || b.String() != c.want {
				t.Errorf("%v, got\n%s\nwant\n%s", err, b.String(), c.want)
			}
		})
	}
}

func TestPrintersThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		Options
		code string
	}{
		{Options{Output: "xml"}, "output_unknown"},
		{Options{Output: "json=x"}, "output_invalid"},
		{Options{Output: "jsonpath"}, "output_invalid"},
		{Options{Output: "jsonpath={.a"}, "output_invalid"},
		{Options{Output: "go-template={{"}, "output_invalid"},
		{Options{Output: "custom-columns=NAME"}, "output_invalid"},
		{Options{Output: "custom-columns-file=/nix/nix"}, "file_unreadable"},
		{Options{Output: "yaml", JQ: "."}, "output_invalid"},
		{Options{JQ: "[", Fields: []string{"a"}}, "output_invalid"},
		{Options{JQ: "input_filename|$__loc__|$ENV_nix"}, "output_invalid"},
		{Options{JQ: ".", Template: "x"}, "output_invalid"},
	} {
		if _, err := NewPrinter(c.Options); !fault.HasCode(err, c.code) {
			t.Errorf("%+v: %v", c.Options, err)
		}
	}
}

// A template that fails half way must not leave half an answer.
func TestAPrinterThatFailsPrintsNothing(t *testing.T) {
	for _, o := range []Options{{Output: "go-template=a{{.items.nix.nix}}"}, {Output: "jsonpath={.items[7].name}"}, {Output: "custom-columns=A:.name[3]"}} {
		p, err := NewPrinter(o)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := p.Print(&b, raw(twoApps)); !fault.HasCode(err, "output_failed") || b.String() != "" {
			t.Errorf("%+v: %v, printed %q", o, err, b.String())
		}
	}
}

// A jq expression sees neither the environment nor files.
func TestJQSeesNothingElse(t *testing.T) {
	t.Setenv("CANARY", "secret")
	p, err := NewPrinter(Options{JQ: "env|length"})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := p.Print(&b, raw(twoApps)); err != nil || b.String() != "0\n" {
		t.Errorf("%v %q", err, b.String())
	}
}

func TestSort(t *testing.T) {
	type x struct {
		Name string `json:"name"`
		N    *int   `json:"n,omitempty"`
	}
	n := func(i int) *int { return &i }
	items := []x{{"b", n(10)}, {"a", n(9)}, {"c", nil}}
	for _, c := range []struct {
		path       string
		descending bool
		want       string
	}{{"n", false, "cab"}, {".n", true, "bac"}, {"{.name}", false, "abc"}} {
		key, err := NewSortKey(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := Sort(items, key, c.descending); err != nil {
			t.Fatal(err)
		}
		if got := items[0].Name + items[1].Name + items[2].Name; got != c.want {
			t.Errorf("%s: %s, want %s", c.path, got, c.want)
		}
	}
	key, _ := NewSortKey("nix")
	if err := Sort(items, key, false); !fault.HasCode(err, "sort_unknown") {
		t.Errorf("got %v", err)
	}
}

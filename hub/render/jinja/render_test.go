package jinja

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

func configMap(name, data string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata:\n" + data
}

// rendered renders a source and returns its objects as "name data", in order.
func rendered(f files, options *model.JinjaSource, dir *model.DirectoryOption) (string, *workspace.Workspace, *workspace.Memory, error) {
	w, host := testWorkspace(f)
	w.Source.Jinja, w.Source.Directory = options, dir
	w.Refs = []string{"common"}
	host.Trees["ref:common"] = files{"values/web.yaml": "from: ref\nref: true\n"}
	host.Files = map[string]string{"https://config.example/web.yaml": "from: download\ndownloaded: true\n"}
	out, err := Render(w, func(w *workspace.Workspace, path string) ([]manifest.Object, error) {
		return manifest.Parse(path, []byte(configMap("from-jsonnet", "  a: b\n")), manifest.Limits{})
	})
	var all []string
	for _, o := range out.Objects {
		all = append(all, o.Key.Name+" "+string(manifest.AppendJSON(nil, o.Body["data"])))
	}
	return strings.Join(all, "\n"), w, host, err
}

func TestTemplatesAndManifestsTogether(t *testing.T) {
	f := files{
		"app/web.yaml.j2":   "{% from \"_m.j2\" import cm %}\n{% for n in names %}\n---\n{{ cm(n) }}\n{% endfor %}\n",
		"app/_m.j2":         "{% macro cm(n) %}\n" + configMap("{{ n }}", "  size: \"{{ n|length }}\"\n") + "{% endmacro %}",
		"app/plain.yaml":    configMap("plain", "  braces: \"{{ not a template }}\"\n"),
		"app/values.yaml":   "names: [a, bb]\n",
		"app/x.jsonnet":     "{}",
		"app/notes.txt":     "{{ no }}",
		"app/list.json.j2":  `{"apiVersion": "v1", "kind": "List", "items": [{% for n in names %}{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": {{ n|tojson }}}}{{ "," if not loop.last }}{% endfor %}]}`,
		"app/skipped.j2":    "# +argocd:skip-file-rendering\n{{ nope }}",
		"app/empty.j2":      "{% set x = 1 %}\n\n",
		"app/sub/deep.j2":   configMap("deep", "  app: {{ ARGOCD_APP_NAME }}\n"),
		"app/sub/draft.j2":  "{{ nope }}",
		"app/sub/_part.j2":  "{{ nope }}",
		"app/.argocd-x.j2":  configMap("dot", "  a: b\n"),
		"other/outside.j2":  "{{ nope }}",
		"app/values-b.yaml": "names: [c]\n",
	}
	options := &model.JinjaSource{ValueFiles: []string{"values.yaml"}}
	got, w, _, err := rendered(f, options, &model.DirectoryOption{Exclude: "values-b.yaml"})
	want := "dot {\"a\":\"b\"}\na null\nbb null\nplain {\"braces\":\"{{ not a template }}\"}\na {\"size\":\"1\"}\nbb {\"size\":\"2\"}\nfrom-jsonnet {\"a\":\"b\"}"
	if sorted(got) != sorted(want) || err != nil || len(w.Warnings()) > 0 {
		t.Errorf("got\n%s\n%v %v", got, err, w.Warnings())
	}
	got, _, _, err = rendered(f, options, &model.DirectoryOption{Recurse: true, Include: "*.j2", Exclude: "{*draft*,skipped.j2}"})
	want = "dot {\"a\":\"b\"}\na null\nbb null\ndeep {\"app\":\"web\"}\na {\"size\":\"1\"}\nbb {\"size\":\"2\"}"
	if sorted(got) != sorted(want) || err != nil {
		t.Errorf("got\n%s\n%v", got, err)
	}
	out, err := Render(w, nil)
	if err != nil && out.Tool != Tool {
		t.Error(out.Tool, err)
	}
}

func sorted(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		for j := range i {
			if lines[i] < lines[j] {
				lines[i], lines[j] = lines[j], lines[i]
			}
		}
	}
	return strings.Join(lines, "\n")
}

func TestADirectoryWithoutTemplates(t *testing.T) {
	for name, tt := range map[string]struct {
		files files
		dir   *model.DirectoryOption
		fix   string
	}{
		"nothing":       {files{"app/README.md": ""}, nil, "manifests are files named"},
		"only partials": {files{"app/_m.j2": "{{ nope }}"}, nil, "templates whose names begin with"},
		"excluded":      {files{"app/a.j2": ""}, &model.DirectoryOption{Exclude: "*"}, "1 files are there, but"},
		"below":         {files{"app/sub/a.j2": ""}, nil, "spec.source.directory.recurse"},
	} {
		_, w, _, err := rendered(tt.files, nil, tt.dir)
		warned := w.Warnings()
		if err != nil || len(warned) != 1 || warned[0].Code != "no_manifests" || !strings.HasPrefix(warned[0].Message, "app contains no manifest: ") || !strings.Contains(warned[0].Message, tt.fix) {
			t.Errorf("%s: %v, warnings %v", name, err, warned)
		}
	}
	// Templates that put nothing out are a result.
	if got, _, _, err := rendered(files{"app/a.j2": "{% if false %}x{% endif %}"}, nil, nil); got != "" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

// What is wrong with the result is told with the line of the template.
func TestProblemsOfTheResultNameTheTemplate(t *testing.T) {
	tests := []struct{ name, template, code, message string }{
		{"tab", "a: 1\n\n{% for p in [1, 2] %}\n\tb: {{ p }}\n{% endfor %}\n", "yaml_invalid", "app/t.yaml.j2:4: tab used for indentation; use spaces (line 4 of what it renders to)"},
		{"duplicate key", "{% set x = 'k' %}\n{{ x }}: 1\nother: 2\n{{ x }}: 3\n", "yaml_duplicate_key", "app/t.yaml.j2:4: \"k\" is already set at line 2 (line 4 of what it renders to)"},
		{"after a loop that grew", "{% for i in range(10) -%}\nk{{ i }}: 1\n{% endfor %}\n\ta: b\n", "yaml_invalid", "app/t.yaml.j2:4: tab used"},
		{"in a value of several lines", "{{ \"a: 1\\nb: 2\\n\\tc: 3\" }}\n", "yaml_invalid", "app/t.yaml.j2:1: tab used for indentation; use spaces (line 3"},
		{"in an included template", "a: 1\n{% include '_part.j2' %}", "yaml_invalid", "app/_part.j2:2: tab used"},
		{"no kind", "a: 1\n---\nb: 1\n", "manifest_incomplete", "app/t.yaml.j2 document 1: \"apiVersion\" is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, _, err := rendered(files{"app/t.yaml.j2": tt.template, "app/_part.j2": "b: 1\n\tc: 2\n"}, nil, nil)
			e := fault.As(err)
			if e == nil || e.Code != tt.code || !strings.HasPrefix(e.Message, tt.message) {
				t.Errorf("%v", err)
			}
		})
	}
	// Several files with problems are told together.
	_, _, _, err := rendered(files{"app/a.j2": "{{ x }}", "app/b.j2": "{% now %}", "app/c.yaml": "a: ["}, nil, nil)
	var list fault.List
	if !errors.As(err, &list) || len(list) != 3 || list[0].Code != codeUndefined || list[1].Code != codeForbidden || list[2].Code != "yaml_invalid" {
		t.Errorf("%v", err)
	}
}

func TestOriginsAreThoseOfTheTemplate(t *testing.T) {
	w, _ := testWorkspace(files{"app/a.j2": configMap("x", "  a: b\n") + "---\n" + configMap("z", "  a: b\n")})
	out, err := Render(w, nil)
	if err != nil || len(out.Objects) != 2 || out.Objects[1].Origin != "app/a.j2#2" || out.Tool != "Jinja" {
		t.Errorf("%+v %v", out, err)
	}
}

// dump shows variables.
const dump = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: dump}\ndata: {\"v\": {{ v|tojson|quote }}}\n"

func TestVariables(t *testing.T) {
	base := files{
		"app/t.j2": dump, "app/a.yaml": "v: {from: a, a: 1, deep: {x: 1, y: 1}, list: [1, 2]}\n", "app/web/b.yaml": "v: {from: b, b: 1, deep: {y: 2}, list: [3]}\n",
		"shared/c.yaml": "v: {from: shared}\n", "app/env-web.yaml": "v: {from: env}\n", "app/empty.yaml": "# nothing\n", "app/d.json": "{\"v\": {\"from\": \"json\"}}",
	}
	tests := []struct {
		name    string
		options model.JinjaSource
		want    string
	}{
		{"one file", model.JinjaSource{ValueFiles: []string{"a.yaml"}}, `{"a": 1, "deep": {"x": 1, "y": 1}, "from": "a", "list": [1, 2]}`},
		{"later files win, mappings are merged", model.JinjaSource{ValueFiles: []string{"a.yaml", "web/b.yaml"}}, `{"a": 1, "b": 1, "deep": {"x": 1, "y": 2}, "from": "b", "list": [3]}`},
		{"in the other order", model.JinjaSource{ValueFiles: []string{"web/b.yaml", "a.yaml"}}, `{"a": 1, "b": 1, "deep": {"x": 1, "y": 1}, "from": "a", "list": [1, 2]}`},
		{"inline values win", model.JinjaSource{ValueFiles: []string{"a.yaml"}, Values: "v: {from: inline, a: null}\n"}, `{"a": null, "deep": {"x": 1, "y": 1}, "from": "inline", "list": [1, 2]}`},
		{"an object replaces values", model.JinjaSource{Values: "v: {x: 1}\n", ValuesObject: json.RawMessage(`{"v": {"from": "object"}}`)}, `{"from": "object"}`},
		{"from the root", model.JinjaSource{ValueFiles: []string{"/shared/c.yaml"}}, `{"from": "shared"}`},
		{"up and down", model.JinjaSource{ValueFiles: []string{"../shared/./c.yaml"}}, `{"from": "shared"}`},
		{"build environment in the name", model.JinjaSource{ValueFiles: []string{"env-$ARGOCD_APP_NAME.yaml"}}, `{"from": "env"}`},
		{"build environment in braces", model.JinjaSource{ValueFiles: []string{"env-${ARGOCD_APP_NAME}.yaml"}}, `{"from": "env"}`},
		{"an empty file", model.JinjaSource{ValueFiles: []string{"empty.yaml"}, Values: "v: 1\n"}, `1`},
		{"JSON", model.JinjaSource{ValueFiles: []string{"d.json"}}, `{"from": "json"}`},
		{"missing, on request", model.JinjaSource{ValueFiles: []string{"nope.yaml", "a.yaml", "web"}, IgnoreMissingValueFiles: true}, `{"a": 1, "deep": {"x": 1, "y": 1}, "from": "a", "list": [1, 2]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, _, err := rendered(base, &tt.options, &model.DirectoryOption{Include: "*.j2"})
			want := "dump " + string(manifest.AppendJSON(nil, map[string]any{"v": tt.want}))
			if got != want || err != nil {
				t.Errorf("got %s, %v\nwant %s", got, err, want)
			}
		})
	}
	f := files{"app/t.j2": strings.ReplaceAll(dump, "v|", "[from, ref|default(0), downloaded|default(0)]|")}
	for entry, want := range map[string]string{
		"$common/values/web.yaml":         `["ref", true, 0]`,
		"$common/values/$x/../web.yaml":   "",
		"https://config.example/web.yaml": `["download", 0, true]`,
	} {
		got, _, _, err := rendered(f, &model.JinjaSource{ValueFiles: []string{entry}}, nil)
		if want != "" && (err != nil || got != "dump "+string(manifest.AppendJSON(nil, map[string]any{"v": want}))) {
			t.Errorf("%s: %s %v", entry, got, err)
		}
	}
}

func TestRefusedVariables(t *testing.T) {
	f := files{"app/t.j2": dump, "app/list.yaml": "- a\n", "app/dup.yaml": "a: 1\na: 2\n", "app/two.yaml": "a: 1\n---\nb: 1\n", "app/bomb.yaml": "a: &a [" + strings.Repeat("x,", 50) + "]\n" + strings.Repeat("b", 1) + ": &b [" + strings.Repeat("*a,", 5000) + "]\nc: [" + strings.Repeat("*b,", 5000) + "]\n"}
	for entry, want := range map[string]string{
		"nope.yaml":                      "jinja_values_not_found spec.source.jinja.valueFiles[1] values file \"nope.yaml\" not found (app/nope.yaml); set ignoreMissingValueFiles to allow",
		"../../etc/passwd":               "path_escapes_repo spec.source.jinja.valueFiles[1] ",
		"/../x":                          "path_escapes_repo spec.source.jinja.valueFiles[1] ",
		"file:///etc/passwd":             "path_escapes_repo spec.source.jinja.valueFiles[1] ",
		"$common/../../x":                "path_escapes_repo spec.source.jinja.valueFiles[1] ",
		"$other/x.yaml":                  "jinja_values_not_found spec.source.jinja.valueFiles[1] ",
		"http://config.example/web.yaml": "repo_insecure spec.source.jinja.valueFiles[1] value files over plain http are refused; use https",
		"https://config.example/nope":    "remote_base_forbidden  ",
		".":                              "values_invalid spec.source.jinja.valueFiles[1] ",
		"list.yaml":                      "values_invalid  app/list.yaml: variables are a mapping, this is a list",
		"dup.yaml":                       "yaml_duplicate_key  app/dup.yaml:2:1: \"a\" is already set at line 1",
		"two.yaml":                       "values_invalid  app/two.yaml:3:1: ",
		"bomb.yaml":                      "yaml_alias_limit  app/bomb.yaml:",
	} {
		dir := "app"
		w, host := testWorkspace(f)
		if entry == "." {
			dir = ""
		}
		w.Dir, w.Refs = dir, []string{"common"}
		w.Source.Jinja = &model.JinjaSource{ValueFiles: []string{"/ok.yaml", entry}}
		host.Trees[""]["ok.yaml"] = "a: 1\n"
		_, err := Render(w, nil)
		e := fault.As(err)
		if e == nil || !strings.HasPrefix(e.Code+" "+e.Field+" "+e.Message, want) {
			t.Errorf("%s: %+v", entry, e)
		}
	}
	for _, options := range []model.JinjaSource{{Values: "- a"}, {Values: "a: ["}, {ValuesObject: json.RawMessage(`[1]`)}} {
		_, _, _, err := rendered(f, &options, nil)
		if e := fault.As(err); e == nil || !strings.HasPrefix(e.Message, "spec.source.jinja.values") {
			t.Errorf("%v", err)
		}
	}
}

func TestOneTemplateDoesNotChangeTheNext(t *testing.T) {
	f := files{
		"app/a.j2": "{% do v.append(9) %}{% do d.update(x=1) %}" + strings.ReplaceAll(dump, "dump", "a"),
		"app/b.j2": strings.ReplaceAll(strings.ReplaceAll(dump, "dump", "b"), "v|", "[v, d]|"),
	}
	got, _, _, err := rendered(f, &model.JinjaSource{Values: "v: [1]\nd: {}\n"}, nil)
	if err != nil || got != "a {\"v\":\"[1, 9]\"}\nb {\"v\":\"[[1], {}]\"}" {
		t.Errorf("%s %v", got, err)
	}
}

// The order of keys is what was written, and does not change from run to run.
func TestOrderOfKeysIsKept(t *testing.T) {
	f := files{"app/t.j2": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  order: \"{{ v|join }}{% for k, x in v.items() %}{{ k }}{% endfor %}\"\n"}
	for range 5 {
		got, w, _, err := rendered(f, &model.JinjaSource{Values: "v: {z: 1, a: 2, m: 3, b: 4, y: 5, \"on\": 6}\n"}, nil)
		if err != nil || got != `x {"order":"zambyonzambyon"}` || w.Varies() {
			t.Fatalf("%s %v", got, err)
		}
	}
}

func TestOnlyWhatIsUsedIsAsked(t *testing.T) {
	f := files{"app/t.j2": configMap("x", "  a: \"{{ HAWSER_REVISION }}\"\n") + "{% if false %}{% include 'never.j2' %}{{ ARGOCD_APP_PROJECT_NAME }}{% endif %}", "app/never.j2": "", "app/_m.j2": "", "app/v.yaml": "ARGOCD_APP_NAME: shadowed\n", "app/other.txt": ""}
	_, _, host, err := rendered(f, &model.JinjaSource{ValueFiles: []string{"v.yaml"}}, &model.DirectoryOption{Exclude: "never.j2"})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(host.Asked, ", "); got != "stat /app/v.yaml, read /app/v.yaml, list /app, stat /app/t.j2, read /app/t.j2, fact ARGOCD_APP_REVISION" {
		t.Errorf("asked %s", got)
	}
}

// What toyaml and quote write is read back as it was, whatever it is.
func TestValuesSurviveYAML(t *testing.T) {
	for _, s := range []string{
		"", " ", "a", "yes", "no", "on", "y", "N", "null", "~", "1", "01", "0x1F", "1e3", "1_000", ".5", "-", "- a", "a: b", "a:b", "# x", "a # b", "'", "\"", "\\", "{{ x }}", "{a", "[a", "@a", "`a`", "!a", "&a", "*a", "%a", "|", ">",
		"a\nb", "a\nb\n", "\na", "a\n\n", " a\nb", "a \nb", "a\tb", "\ta", "a\n\tb", "---", "--- a", "...", "2001-01-01", "é", "😀", "\u2028", "a\rb", "<<", "=", "true", "TRUE", "12:30", "a\n---\nkind: ClusterRoleBinding\n",
	} {
		f := files{"app/t.j2": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  quoted: {{ s|quote }}\n  json: {{ s|tojson }}\n  {{ {'yaml': s, s ~ '-key': [s, {'k': s}]}|toyaml|indent(2) }}\n"}
		object, err := json.Marshal(map[string]any{"s": s})
		if err != nil {
			t.Fatal(err)
		}
		w, _ := testWorkspace(f)
		w.Source.Jinja = &model.JinjaSource{ValuesObject: object}
		out, err := Render(w, nil)
		if err != nil || len(out.Objects) != 1 {
			t.Errorf("%q: %d objects, %v", s, len(out.Objects), err)
			continue
		}
		want := string(manifest.AppendJSON(nil, map[string]any{"quoted": s, "json": s, "yaml": s, s + "-key": []any{s, map[string]any{"k": s}}}))
		if got := string(manifest.AppendJSON(nil, out.Objects[0].Body["data"])); got != want {
			t.Errorf("%q became %s, want %s", s, got, want)
		}
	}
}

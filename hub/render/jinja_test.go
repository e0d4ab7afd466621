package render

import (
	"context"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func refsOf(name string, snap Snapshot) map[string]func(context.Context) (Snapshot, error) {
	return map[string]func(context.Context) (Snapshot, error){name: func(context.Context) (Snapshot, error) { return snap, nil }}
}

func jinjaSource(values string) model.Source {
	return model.Source{Path: "app", Jinja: &model.JinjaSource{Values: values}}
}

func TestTemplatesRenderInWorkers(t *testing.T) {
	r := newRenderer(t, Options{Workers: 2})
	snap := snapshotOf(map[string]string{
		"app/web.yaml.j2": "{% from '_m.j2' import cm with context %}\n{% for n in names %}\n---\n{{ cm(n) }}\n{% endfor %}", "app/_m.j2": "{% macro cm(n) %}\n" + configMap("{{ n }}-{{ ARGOCD_APP_NAME }}") + "{% endmacro %}",
		"app/plain.yaml": configMap("plain"), "app/sub/deep.j2": configMap("deep"), "app/values.yaml": "names: [one]\n", "app/unused.txt": "1",
	})
	src := jinjaSource("names: [a, b]")
	src.Jinja.ValueFiles = []string{"values.yaml", "$common/more.yaml"}
	common := snapshotOf(map[string]string{"more.yaml": "names: [x]\n"})
	req := Request{AppName: "web", Source: src, Snapshot: snap, Refs: refsOf("common", common)}
	res, err := r.Render(t.Context(), req)
	if err != nil || names(res.Objects) != "a-web b-web plain" || res.Tool != "Jinja" {
		t.Fatalf("%q %s %v", names(res.Objects), res.Tool, err)
	}
	// Detected by itself, with the options of a directory, and with no variable.
	alone := snapshotOf(map[string]string{"app/web.j2": configMap("{{ ARGOCD_APP_NAME }}"), "app/_x.j2": "{{ nope }}"})
	if res, err := r.Render(t.Context(), Request{AppName: "web", Source: model.Source{Path: "app"}, Snapshot: alone}); err != nil || names(res.Objects) != "web" || res.Tool != "Jinja" {
		t.Errorf("%q %s %v", names(res.Objects), res.Tool, err)
	}
	recursive := src
	recursive.Directory = &model.DirectoryOption{Recurse: true, Exclude: "web*"}
	if res, err := r.Render(t.Context(), Request{AppName: "web", Source: recursive, Snapshot: snap, Refs: refsOf("common", common)}); err != nil || names(res.Objects) != "deep plain" {
		t.Errorf("%q %v", names(res.Objects), err)
	}
	// What it did not ask for makes no difference, what it did makes one.
	req.PreviousKey = res.Key
	jobs := r.pool.Stats().Jobs
	for name, tt := range map[string]struct {
		change    []string
		unchanged bool
	}{
		"a file of no use":     {[]string{"app/unused.txt", "2"}, true},
		"a template elsewhere": {[]string{"app/sub/deep.j2", "{{ nope }}"}, true},
		"a macro":              {[]string{"app/_m.j2", "{% macro cm(n) %}\n" + configMap("{{ n }}-changed") + "{% endmacro %}"}, false},
		"a value file":         {[]string{"app/values.yaml", "names: [two]\n"}, false},
	} {
		changed := req
		changed.Snapshot = snap.with(tt.change...)
		if res, err := r.Render(t.Context(), changed); err != nil || res.Unchanged != tt.unchanged {
			t.Errorf("%s: unchanged %v, %v", name, res.Unchanged, err)
		}
	}
	if got := r.pool.Stats().Jobs - jobs; got != 2 {
		t.Errorf("%d renders", got)
	}
}

func TestProblemsOfTemplatesComeOutOfWorkers(t *testing.T) {
	r := newRenderer(t, Options{Workers: 1})
	for template, want := range map[string]string{
		"\n{{ replica_count }}":                           "jinja_undefined app/web.yaml.j2:2: \"replica_count\" is undefined (defined: replicas, image)",
		"{% ssi '/etc/passwd' %}":                         "jinja_tag_forbidden app/web.yaml.j2:1: {% ssi %} is not allowed",
		"{{ image|nope }}":                                "jinja_unsupported app/web.yaml.j2:1: there is no filter \"nope\"",
		"{% include '/proc/self/environ' %}":              "jinja_error app/web.yaml.j2:1: template \"/proc/self/environ\" does not exist",
		"{% include '../../x' %}":                         "template_path_forbidden app/web.yaml.j2:1: ",
		"{{ 'x' * 10**9 }}":                               "too_large app/web.yaml.j2:1: a value of more than 16 MiB",
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}": "jinja_error app/web.yaml.j2:1: templates and macros inside each other, more than 50 deep",
		"a:\n\tb: 1":                                      "yaml_invalid app/web.yaml.j2:2: tab used for indentation; use spaces",
		"":                                                "",
	} {
		res, err := r.Render(t.Context(), Request{Source: jinjaSource("replicas: 3\nimage: x"), Snapshot: snapshotOf(map[string]string{"app/web.yaml.j2": template})})
		e := fault.As(err)
		switch {
		case want == "" && (err != nil || !res.Empty):
			t.Errorf("%q: %v", template, err)
		case want != "" && (e == nil || e.Kind != fault.Unprocessable || !strings.HasPrefix(e.Code+" "+e.Message, want)):
			t.Errorf("%q: %v", template, err)
		}
	}
	if s := r.pool.Stats(); s.Crashed != 0 || s.Started != 1 {
		t.Errorf("%+v", s)
	}
}

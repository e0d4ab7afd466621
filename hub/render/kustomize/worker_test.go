package kustomize_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// TestABuildWithoutEndCostsThatRenderOnly grows an object by its own copy, again
// and again. The library has no limit for it; that of the process ends it.
func TestABuildWithoutEndCostsThatRenderOnly(t *testing.T) {
	var steps strings.Builder
	for i := range 60 {
		fmt.Fprintf(&steps, "- {source: {kind: ConfigMap, name: a, fieldPath: data}, targets: [{select: {kind: ConfigMap, name: a}, fieldPaths: [data.c%d], options: {create: true}}]}\n", i)
	}
	object := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: " + strings.Repeat("v", 100) + "}\n"
	snapshot := openDisk(t, set{files: map[string]string{
		"grow/kustomization.yaml": "resources: [a.yaml]\nreplacements:\n" + steps.String(), "grow/a.yaml": object,
		"good/kustomization.yaml": "resources: [a.yaml]\n", "good/a.yaml": object,
	}}.write(t))
	r := newRenderer(t, render.Options{MemoryLimit: 400 << 20})
	_, err := r.Render(t.Context(), render.Request{Source: model.Source{Path: "grow"}, Snapshot: snapshot})
	if !fault.HasCode(err, "render_crashed") {
		t.Fatalf("got %v", err)
	}
	res, err := r.Render(t.Context(), render.Request{Source: model.Source{Path: "good"}, Snapshot: snapshot})
	if err != nil || len(res.Objects) != 1 {
		t.Errorf("afterwards %v", err)
	}
}

// fetcher has one base, and fetches nothing else.
type fetcher struct {
	base  disk
	asked []string
}

func (f *fetcher) Chart(_ context.Context, repository, name, version string) (render.Snapshot, string, error) {
	f.asked = append(f.asked, "chart "+repository+" "+name+" "+version)
	return nil, "", fault.New(fault.Denied, "repo_not_permitted", "%s is not permitted", repository)
}

func (f *fetcher) Base(_ context.Context, url string) (render.Snapshot, string, error) {
	f.asked = append(f.asked, "base "+url)
	if !strings.Contains(url, "allowed") {
		return nil, "", fault.New(fault.Denied, "remote_base_forbidden", "%s is remote", url)
	}
	return f.base, "deploy", nil
}

func (f *fetcher) Download(_ context.Context, url string) ([]byte, error) {
	f.asked = append(f.asked, "download "+url)
	return nil, fault.New(fault.Denied, "remote_base_forbidden", "%s is remote", url)
}

func TestTheHubFetchesForAWorker(t *testing.T) {
	base := openDisk(t, set{files: map[string]string{
		"deploy/kustomization.yaml": "resources: [../common]\nnamePrefix: b-\n", "common/kustomization.yaml": "configMapGenerator: [{name: c, literals: [a=b]}]\n",
	}}.write(t))
	snapshot := openDisk(t, set{files: map[string]string{
		"good/kustomization.yaml":  "resources: ['github.com/allowed/repo//deploy?ref=v1']\n",
		"base/kustomization.yaml":  "resources: [github.com/other/repo]\n",
		"file/kustomization.yaml":  "resources: ['https://files.example.com/all.yaml']\n",
		"chart/kustomization.yaml": "helmCharts: [{name: x, version: 1.0.0, repo: 'https://charts.example.com', releaseName: x}]\n",
	}}.write(t))
	r := newRenderer(t, render.Options{})
	f := &fetcher{base: base}
	for _, tt := range []struct{ dir, code, asked string }{
		{"good", "", "base github.com/allowed/repo//deploy?ref=v1"},
		{"base", "remote_base_forbidden", "base github.com/other/repo"},
		{"file", "remote_base_forbidden", "download https://files.example.com/all.yaml"},
		{"chart", "repo_not_permitted", "chart https://charts.example.com x 1.0.0"},
	} {
		f.asked = nil
		res, err := r.Render(t.Context(), render.Request{Source: model.Source{Path: tt.dir}, Snapshot: snapshot, Fetch: f})
		if tt.code != "" {
			if !fault.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.dir+"/kustomization.yaml: ") {
				t.Errorf("%s: %v", tt.dir, err)
			}
		} else if err != nil || len(res.Objects) != 1 || !strings.HasPrefix(res.Objects[0].Key.Name, "b-c-") {
			t.Errorf("%s: %v", tt.dir, err)
		}
		if got := strings.Join(f.asked, ", "); got != tt.asked {
			t.Errorf("%s asked for %s", tt.dir, got)
		}
	}
}

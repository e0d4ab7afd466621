package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// scriptedPreviews answers with objects by what was asked for.
type scriptedPreviews struct {
	// rendering is told of each render, which ends with one of rendered; nil: at once.
	rendering, rendered chan struct{}
	stored              []manifest.Object
	tried               []manifest.Object
	err                 error
	asked               map[int]string
	files               string
	path                string
}

func (p *scriptedPreviews) Stored(context.Context, fleet.App) ([]manifest.Object, model.Revision, error) {
	return p.stored, model.Revision{Commit: "aaaa"}, nil
}

func (p *scriptedPreviews) Heads(app fleet.App) ([]SourceHead, bool) {
	var out []SourceHead
	for _, s := range app.Application.Spec.AllSources() {
		out = append(out, SourceHead{Source: s, Head: "cccc", Err: p.err})
	}
	return out, true
}

func (p *scriptedPreviews) AtRevisions(_ context.Context, _ fleet.App, revisions map[int]string) (Preview, error) {
	if p.rendering != nil {
		p.rendering <- struct{}{}
		<-p.rendered
		return Preview{}, nil
	}
	p.asked = revisions
	return Preview{Objects: p.tried, Revision: model.Revision{Commit: "bbbb"}}, p.err
}

func (p *scriptedPreviews) OfFiles(_ context.Context, _ fleet.App, source int, path string, tar io.Reader) (Preview, error) {
	b, err := io.ReadAll(tar)
	p.files, p.path, p.asked = string(b), path, map[int]string{source: "files"}
	return Preview{Objects: p.tried, Revision: model.Revision{Commit: "local"}}, errors.Join(p.err, err)
}

func objectOf(kind, name string, fields map[string]any) manifest.Object {
	body := map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name}}
	for k, v := range fields {
		body[k] = v
	}
	return manifest.Object{Key: model.ObjectKey{Kind: kind, Namespace: "shop-web", Name: name}, Version: "v1", Body: body}
}

func previewWorld(t *testing.T) (*world, *scriptedPreviews) {
	t.Helper()
	p := &scriptedPreviews{
		stored: []manifest.Object{
			objectOf("ConfigMap", "same", nil),
			objectOf("ConfigMap", "changes", map[string]any{"data": map[string]any{"a": "1"}}),
			objectOf("ConfigMap", "goes", nil),
			objectOf("Secret", "s", map[string]any{"stringData": map[string]any{"p": "CANARY"}}),
		},
		tried: []manifest.Object{
			objectOf("ConfigMap", "same", nil),
			objectOf("ConfigMap", "changes", map[string]any{"data": map[string]any{"a": "2"}}),
			objectOf("ConfigMap", "new", nil),
			objectOf("Secret", "s", map[string]any{"stringData": map[string]any{"p": "CANARY2"}}),
		},
	}
	w := newWorld(t, func(o *Options) { o.Previews = p })
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	return w, p
}

func TestManifestsHaveNoSecrets(t *testing.T) {
	w, p := previewWorld(t)
	var got manifestsAnswer
	a := w.call("GET", "/api/v1/applications/web/manifests", "").ok(200)
	a.into(&got)
	if len(got.Items) != 4 || got.Revision.Commit != "aaaa" || got.Source != "git" || p.asked != nil {
		t.Errorf("got %s", a.body)
	}
	if strings.Contains(a.body, "CANARY") || !strings.Contains(a.body, "redacted:") || !strings.Contains(a.body, `"namespace":"shop-web"`) {
		t.Errorf("got %s", a.body)
	}
	if _, ok := p.stored[0].Body["metadata"].(map[string]any)["namespace"]; ok {
		t.Error("the stored object was changed")
	}
	w.call("GET", "/api/v1/applications/web/manifests?revision=v2", "").ok(200).into(&got)
	if got.Revision.Commit != "bbbb" || p.asked[0] != "v2" {
		t.Errorf("got %+v, asked %v", got.Revision, p.asked)
	}
	w.call("GET", "/api/v1/applications/web/manifests?revision=v2&position=3&revision=v1&position=1", "").ok(200)
	if p.asked[2] != "v2" || p.asked[0] != "v1" {
		t.Errorf("asked %v", p.asked)
	}
}

func TestComparisons(t *testing.T) {
	w, p := previewWorld(t)
	var got comparisonAnswer
	a := w.call("POST", "/api/v1/applications/web/compare?revision=v2", "").ok(200)
	a.into(&got)
	var lines []string
	for _, x := range got.Items {
		lines = append(lines, x.Status+" "+x.Name)
	}
	if want := []string{"Pruned goes", "Unchanged same", "Configured changes", "Created new", "Configured s"}; !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
	if strings.Contains(a.body, "CANARY") {
		t.Errorf("a secret is in %s", a.body)
	}
	if s := got.Items[4]; bytes.Equal(s.From, s.To) {
		t.Error("a changed Secret is shown as if it had not changed")
	}
	w.call("POST", "/api/v1/applications/web/compare?path=deploy/eu", "files", "Content-Type: application/gzip").ok(200)
	if p.files != "files" || p.path != "deploy/eu" || p.asked[0] != "files" {
		t.Errorf("got %q %q %v", p.files, p.path, p.asked)
	}
}

func TestComparisonsThatAreRefused(t *testing.T) {
	w, p := previewWorld(t)
	for _, c := range []struct {
		path, body, media string
		status            int
		code              string
	}{
		{path: "compare", status: 400, code: "revision_missing"},
		{path: "compare", body: "x", media: "text/plain", status: 400, code: "unsupported_media_type"},
		{path: "compare?revision=", status: 400, code: "revision_invalid"},
		{path: "compare?revision=a&revision=b", status: 400, code: "position_missing"},
		{path: "compare?revision=a&position=1&position=2", status: 400, code: "position_missing"},
		{path: "compare?revision=a&position=0", status: 400, code: "source_position_unknown"},
		{path: "compare?position=x", body: "x", media: "application/gzip", status: 400, code: "source_position_unknown"},
		{path: "compare?revision=a", body: "x", media: "application/gzip", status: 400, code: "value_unknown"},
		{path: "compare", body: strings.Repeat("x", maxFiles+1), media: "application/gzip", status: 413, code: "body_too_large"},
	} {
		a := w.call("POST", "/api/v1/applications/web/"+c.path, c.body, "Content-Type: "+c.media)
		if a.status == http.StatusUnsupportedMediaType {
			c.status = a.status
		}
		a.problem(c.status, c.code)
	}
	for path, code := range map[string]string{
		"manifests?source=etcd": "value_unknown", "manifests?source=live&revision=a": "value_unknown", "manifests?revision=a%0Ab": "revision_invalid",
	} {
		w.call("GET", "/api/v1/applications/web/"+path, "").problem(400, code)
	}
	w.call("POST", "/api/v1/applications/nix/compare?revision=a", "").problem(404, "application_not_found")
	p.err = fault.New(fault.Denied, "signature_required", "unsigned")
	w.call("POST", "/api/v1/applications/web/compare", "x", "Content-Type: application/gzip").problem(403, "signature_required")

	none := newWorld(t)
	none.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	none.call("GET", "/api/v1/applications/web/manifests", "").problem(409, "previews_unsupported")
	none.call("POST", "/api/v1/applications/web/compare?revision=a", "").problem(409, "previews_unsupported")
}

func TestLiveManifests(t *testing.T) {
	w, k := lookWorld(t, func(s *scripted) {
		switch s.request.Object.Name {
		case "gone":
			s.end(fault.New(fault.NotFound, "object_not_found", "it was deleted meanwhile"))
		case "s":
			s.say(model.AccessAnswer{Object: []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"p":"CANARY"}}`)})
			s.end(nil)
		default:
			s.say(model.AccessAnswer{Object: []byte(`{"apiVersion":"v1","kind":"ConfigMap",`)})
			s.say(model.AccessAnswer{Object: []byte(`"metadata":{"name":"c"}}`)})
			s.end(nil)
		}
	})
	if a := w.call("GET", "/api/v1/applications/web", ""); a.status == 404 {
		w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	}
	w.store.resources = []model.ResourceStatus{
		{ObjectKey: model.ObjectKey{Kind: "ConfigMap", Name: "c"}}, {ObjectKey: model.ObjectKey{Kind: "Secret", Name: "s"}},
		{ObjectKey: model.ObjectKey{Kind: "ConfigMap", Name: "gone"}},
		{ObjectKey: model.ObjectKey{Kind: "Job", Name: "hook"}, Hook: "PreSync"},
		{ObjectKey: model.ObjectKey{Kind: "ConfigMap", Name: "not yet"}, Health: model.HealthFacet{Status: model.HealthMissing}},
	}
	var got manifestsAnswer
	a := w.call("GET", "/api/v1/applications/web/manifests?source=live", "").ok(200)
	a.into(&got)
	if len(got.Items) != 2 || len(got.Missing) != 1 || got.Missing[0].Name != "gone" || strings.Contains(a.body, "CANARY") {
		t.Errorf("got %s", a.body)
	}
	if n := k.open(); n != 0 {
		t.Errorf("%d streams are open", n)
	}
}

func TestAPlanHoldsUntilSomethingMoves(t *testing.T) {
	w, _ := previewWorld(t)
	w.store.resources = []model.ResourceStatus{{ObjectKey: model.ObjectKey{Kind: "ConfigMap", Name: "c"}, UID: "1", Sync: model.SyncFacet{Status: model.SyncOutOfSync},
		Differences: []model.FieldDifference{{Path: ".data.a", Desired: `"1"`, Live: `"2"`}}}}
	state := func() string {
		t.Helper()
		var got resourcesAnswer
		w.call("GET", "/api/v1/applications/web/resources", "").ok(200).into(&got)
		if got.State == "" || got.Total != 1 {
			t.Fatalf("got %+v", got)
		}
		return got.State
	}
	planned := state()
	w.store.resources[0].Health.Status = model.HealthDegraded
	if state() != planned {
		t.Error("health is part of a plan")
	}
	w.store.resources[0].Differences[0].Live = `"3"`
	w.call("POST", "/api/v1/applications/web/sync?state="+planned, "").problem(409, "stale_plan")
	if len(w.store.ops) != 0 {
		t.Errorf("an operation was stored: %+v", w.store.ops)
	}
	w.call("POST", "/api/v1/applications/web/sync?state="+state(), "").ok(202)
}

func TestSourcesSayWhereTheyAre(t *testing.T) {
	w, p := previewWorld(t)
	p.err = fault.New(fault.Unavailable, "repository_unreachable", "https://u:CANARY@git/x does not answer")
	app := w.store.apps["web"]
	app.Source.Sources = []fleet.SourceAt{{Commit: "aaaa"}}
	w.store.apps["web"] = app
	var got list[sourceState]
	a := w.call("GET", "/api/v1/applications/web/sources", "").ok(200)
	a.into(&got)
	if len(got.Items) != 1 || got.Items[0].Head != "cccc" || got.Items[0].Rendered != "aaaa" || !got.Items[0].Settled || got.Items[0].Code != "repository_unreachable" {
		t.Errorf("got %s", a.body)
	}
	if strings.Contains(a.body, "CANARY") {
		t.Errorf("a secret is in %s", a.body)
	}
}

package api

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

const hiddenFields = `apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: base}
spec:
  inheritedBy: {}
  sensitiveFields: [{group: "", kind: ConfigMap, jsonPointers: [/data/*]}]
`

// Manifests and comparisons have tags in place of what the project hides, also when
// that is inherited.
func TestP13_ManifestsHaveNoSensitiveFields(t *testing.T) {
	w, p := previewWorld(t)
	p.stored = append(p.stored, objectOf("ConfigMap", "token", map[string]any{"data": map[string]any{"t": "CANARY1"}}))
	p.tried = append(p.tried, objectOf("ConfigMap", "token", map[string]any{"data": map[string]any{"t": "CANARY2"}}), objectOf("ConfigMap", "added", map[string]any{"data": map[string]any{"t": "CANARY3"}}))
	p.stored = append(p.stored, objectOf("ConfigMap", "removed", map[string]any{"data": map[string]any{"t": "CANARY4"}}))
	routes := [][2]string{{"GET", "manifests"}, {"GET", "manifests?revision=v2"}, {"POST", "compare?revision=v2"}}
	for _, r := range routes {
		if a := w.call(r[0], "/api/v1/applications/web/"+r[1], "").ok(200); !strings.Contains(a.body, "CANARY") {
			t.Errorf("%s hides what nothing says is to be hidden: %s", r[1], a.body)
		}
	}
	w.call("PUT", "/api/v1/projects/base", hiddenFields).ok(201)
	for _, r := range routes {
		a := w.call(r[0], "/api/v1/applications/web/"+r[1], "").ok(200)
		if strings.Contains(a.body, "CANARY") || !strings.Contains(a.body, `"data":{"t":"redacted:`) {
			t.Errorf("%s: %s", r[1], a.body)
		}
	}
	var got comparisonAnswer
	w.call("POST", "/api/v1/applications/web/compare?revision=v2", "").ok(200).into(&got)
	changed := false
	for _, x := range got.Items {
		changed = changed || x.Name == "token" && x.Status == "Configured" && string(x.From) != string(x.To)
	}
	if !changed {
		t.Errorf("the change does not show: %+v", got.Items)
	}
	if manifest.Hash(p.stored[4].Body) != manifest.Hash(objectOf("ConfigMap", "token", map[string]any{"data": map[string]any{"t": "CANARY1"}}).Body) {
		t.Error("what is stored was changed")
	}
}

// Live objects of an agent that does not hide what the project does, or does not
// know it, are hidden by the hub.
func TestP13_LiveObjectsHaveNoSensitiveFields(t *testing.T) {
	w, _ := lookWorld(t, func(s *scripted) {
		if s.request.Object.Name == "gone" {
			s.end(fault.New(fault.NotFound, "object_not_found", "it was deleted meanwhile"))
			return
		}
		s.say(model.AccessAnswer{Object: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"t":"CANARY","kept":"redacted:01234567"}}`)})
		s.end(nil)
	})
	w.store.resources = []model.ResourceStatus{{ObjectKey: model.ObjectKey{Kind: "ConfigMap", Name: "c"}}}
	routes := []string{"resource?kind=ConfigMap&resourceName=c", "manifests?source=live"}
	for _, r := range routes {
		if a := w.call("GET", "/api/v1/applications/web/"+r, "").ok(200); !strings.Contains(a.body, "CANARY") {
			t.Errorf("%s hides what nothing says is to be hidden: %s", r, a.body)
		}
	}
	w.call("PUT", "/api/v1/projects/base", hiddenFields).ok(201)
	for _, r := range routes {
		a := w.call("GET", "/api/v1/applications/web/"+r, "").ok(200)
		if strings.Contains(a.body, "CANARY") || !strings.Contains(a.body, `"redacted:01234567"`) || !strings.Contains(a.body, `"t":"redacted:"`) {
			t.Errorf("%s: %s", r, a.body)
		}
	}
}

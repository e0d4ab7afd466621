package lua

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// typicalHealth is how most health checks look: conditions are searched, and a
// message is put together.
const typicalHealth = `
local hs = {}
if obj.status ~= nil then
  if obj.metadata.generation ~= nil and obj.status.observedGeneration ~= nil and obj.status.observedGeneration < obj.metadata.generation then
    hs.status = "Progressing"
    hs.message = "Waiting for the controller"
    return hs
  end
  if obj.status.conditions ~= nil then
    for i, condition in ipairs(obj.status.conditions) do
      if condition.type == "Issuing" and condition.status == "True" then
        hs.status = "Progressing"
        hs.message = "Issuing: " .. condition.message
        return hs
      end
    end
    for i, condition in ipairs(obj.status.conditions) do
      if condition.type == "Ready" and condition.status == "False" then
        hs.status = "Degraded"
        hs.message = condition.message
        return hs
      end
      if condition.type == "Ready" and condition.status == "True" then
        hs.status = "Healthy"
        hs.message = condition.reason .. ": " .. condition.message
        return hs
      end
    end
  end
end
hs.status = "Progressing"
hs.message = "Waiting for a status"
return hs
`

var benchKind = model.GroupKind{Group: "example.com", Kind: "Thing"}

// benchObject is a typical object, made larger by n entries of its spec and n
// managed fields.
func benchObject(n int) map[string]any {
	items, managed := []any{}, map[string]any{}
	for i := range n {
		items = append(items, map[string]any{"name": fmt.Sprintf("item-%d", i), "value": fmt.Sprintf("the value of number %d", i), "weight": int64(i), "enabled": true})
		managed[fmt.Sprintf("k:{\"name\":\"item-%d\"}", i)] = map[string]any{".": map[string]any{}, "f:name": map[string]any{}, "f:value": map[string]any{}}
	}
	condition := func(kind, status string) any {
		return map[string]any{
			"type": kind, "status": status, "reason": "SomeReason", "observedGeneration": int64(3),
			"message": "this is what the controller has to say about it", "lastTransitionTime": "2026-03-04T05:06:07Z",
		}
	}
	return map[string]any{
		"apiVersion": "example.com/v1", "kind": "Thing",
		"metadata": map[string]any{
			"name": "thing", "namespace": "default", "uid": "0d2c5f0e-8a3f-4b58-a2cf-7c1d4b1d6f3a", "generation": int64(3), "resourceVersion": "123456",
			"creationTimestamp": "2026-03-04T05:06:07Z", "labels": map[string]any{"app": "thing", "team": "a"},
			"annotations":   map[string]any{"argocd.argoproj.io/tracking-id": "app:example.com/Thing:default/thing", "note": "some text that somebody wrote here"},
			"managedFields": []any{map[string]any{"manager": "hawser", "operation": "Apply", "fieldsV1": map[string]any{"f:spec": map[string]any{"f:items": managed}}}},
		},
		"spec": map[string]any{"items": items, "secretName": "thing-tls", "issuerRef": map[string]any{"name": "issuer", "kind": "ClusterIssuer"}, "dnsNames": []any{"a.example.com", "b.example.com"}},
		"status": map[string]any{
			"observedGeneration": int64(3), "notAfter": "2026-06-04T05:06:07Z", "revision": int64(1),
			"conditions": []any{condition("Synced", "True"), condition("Reconciling", "False"), condition("Ready", "True")},
		},
	}
}

func benchScripts(b testing.TB, source string) *Scripts {
	p, err := compile("bench.lua", source)
	if err != nil {
		b.Fatal(err)
	}
	s := newScripts()
	s.health.add(benchKind.Group, benchKind.Kind, p)
	return s
}

func BenchmarkHealth(b *testing.B) {
	for _, c := range []struct {
		name   string
		n      int
		source string
	}{
		{"2KB", 1, typicalHealth},
		{"100KB", 450, typicalHealth},
		{"100KB-all", 450, `local n = 0 for _, i in ipairs(obj.spec.items) do if i.enabled and i.weight >= 0 then n = n + #i.name end end return {status = "Healthy", message = tostring(n)}`},
		{"constant", 1, `return {status = "Healthy"}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			obj := benchObject(c.n)
			text, _ := json.Marshal(obj)
			s := benchScripts(b, c.source)
			if f, _ := s.Health(benchKind, obj); f.Status != model.HealthHealthy {
				b.Fatal(f)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Health(benchKind, obj)
			}
			b.ReportMetric(float64(len(text)), "object-bytes")
		})
	}
}

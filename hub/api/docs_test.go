package api

import (
	"encoding/json"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestTheDocumentIsServed(t *testing.T) {
	w := newWorld(t)
	a := w.call("GET", "/openapi.json", "", "Authorization:").ok(200)
	if a.body != string(openAPIDocument) {
		t.Error("the document is not the committed one")
	}
	b := w.call("GET", "/openapi.yaml", "", "Authorization:").ok(200)
	asJSON, err := yaml.YAMLToJSON([]byte(b.body))
	if err != nil {
		t.Fatal(err)
	}
	var x, y any
	if json.Unmarshal(asJSON, &x) != nil || json.Unmarshal([]byte(a.body), &y) != nil || !sameJSON(x, y) {
		t.Error("both forms say different things")
	}
	if got := w.call("GET", "/openapi.json", "", "Authorization:", "If-None-Match: "+a.header.Get("ETag")); got.status != 304 || got.body != "" {
		t.Errorf("unchanged: %d %q", got.status, got.body)
	}
}

func TestThePageIsReadableAndHarmless(t *testing.T) {
	w := newWorld(t)
	a := w.call("GET", "/api/docs", "", "Authorization:").ok(200)
	for _, r := range Routes() {
		if !strings.Contains(a.body, `<details id="`+r.ID+`">`) {
			t.Errorf("the page has no %s", r.ID)
		}
	}
	for _, bad := range []string{"<script", "style=", "onclick", "http://", "<no value>", "ZgotmplZ"} {
		if strings.Contains(a.body, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if p := a.header.Get("Content-Security-Policy"); p != docsPolicy || strings.Contains(p, "unsafe") {
		t.Errorf("policy %q", p)
	}
	w.call("GET", "/api/docs.css", "", "Authorization:").ok(200)
}

package api

import (
	"strings"
	"testing"
)

func TestAProjectIsWrittenOverTheVersionThatIsMeant(t *testing.T) {
	w := newWorld(t)
	const body = `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"team"},"spec":{"description":"one"}}`
	first := w.call("PUT", "/api/v1/projects/team", body).ok(201).header.Get("ETag")
	if first == "" {
		t.Fatal("no ETag")
	}
	got := w.call("GET", "/api/v1/projects/team", "").ok(200)
	if got.header.Get("ETag") != first {
		t.Errorf("ETag %s and %s", first, got.header.Get("ETag"))
	}
	if same := w.call("GET", "/api/v1/projects/team", "", "If-None-Match: "+first); same.status != 304 || same.body != "" {
		t.Errorf("unchanged: %d %q", same.status, same.body)
	}
	second := w.call("PUT", "/api/v1/projects/team", strings.Replace(body, "one", "two", 1), "If-Match: "+first).ok(200).header.Get("ETag")
	if second == first {
		t.Error("a change has the old version")
	}
	w.call("PUT", "/api/v1/projects/team", strings.Replace(body, "one", "three", 1), "If-Match: "+first).problem(412, "version_conflict")
	w.call("PUT", "/api/v1/projects/none", strings.Replace(body, "team", "none", 1), `If-Match: "1"`).problem(412, "version_conflict")
	w.call("PUT", "/api/v1/projects/team", body, "If-Match: odd").problem(400, "etag_invalid")
	w.call("GET", "/api/v1/projects/team", "", "If-None-Match: "+first).ok(200)
}

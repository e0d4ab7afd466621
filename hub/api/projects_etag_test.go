package api

import (
	"slices"
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

func TestAFieldWithoutEffectIsWarnedOfWhenItIsWritten(t *testing.T) {
	w := newWorld(t)
	project := func(more string) string {
		return `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"pay"},"spec":{"sourceRepos":["https://a.example.com/b"]` + more + `}}`
	}
	both := project(`,"signatureKeys":[{"keyID":"D56C4FCA57A46444"}],"sourceIntegrity":{"git":{"policies":[{"repos":[{"url":"*"}],"gpg":{"mode":"head","keys":["D56C4FCA57A46444"]}}]}}`)
	ofKeys := func(s string) bool { return strings.Contains(s, "spec.signatureKeys: ") }
	if a := w.call("PUT", "/api/v1/projects/pay", project("")).ok(201); slices.ContainsFunc(a.header.Values("Warning"), ofKeys) {
		t.Errorf("warned: %q", a.header.Values("Warning"))
	}
	if a := w.call("PUT", "/api/v1/projects/pay", both).ok(200); !slices.ContainsFunc(a.header.Values("Warning"), ofKeys) {
		t.Errorf("warned: %q", a.header.Values("Warning"))
	}
	var got appliedAnswer
	w.call("POST", "/api/v1/apply", both).ok(200).into(&got)
	if len(got.Items) != 1 || !slices.ContainsFunc(got.Items[0].Warnings, ofKeys) {
		t.Errorf("got %+v", got.Items)
	}
	var preview projectPreview
	w.call("PUT", "/api/v1/projects/pay?dryRun=true", both).ok(200).into(&preview)
	if !slices.ContainsFunc(preview.Warnings, ofKeys) {
		t.Errorf("previewed: %q", preview.Warnings)
	}
}

package api

import (
	"strings"
	"testing"
)

// Whoever writes over a version writes over no other; whoever has an answer does
// not get it again.
func TestWritesOverTheVersionThatIsMeant(t *testing.T) {
	w := newWorld(t)
	w.call("POST", "/api/v1/repositories", `{"url":"https://git.example.com/team/app","skipTest":true}`).ok(201)
	w.call("POST", "/api/v1/repository-templates", `{"url":"https://git.example.com/team","username":"bot","password":"x"}`).ok(201)
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	for _, c := range []struct{ read, method, write, body, other string }{
		{"/repositories/repo-1", "PATCH", "/repositories/repo-1", `{"name":"one","skipTest":true}`, `{"name":"two","skipTest":true}`},
		{"/repository-templates/template-1", "PATCH", "/repository-templates/template-1", `{"username":"one"}`, `{"username":"two"}`},
		{"/clusters/eu", "PUT", "/clusters/eu/labels", `{"labels":{"a":"1"}}`, `{"labels":{"a":"2"}}`},
		{"/clusters/eu", "PUT", "/clusters/eu/aliases", `{"aliases":["https://one"]}`, `{"aliases":["https://two"]}`},
		{"/applications/web", "PUT", "/applications/web", strings.Replace(application("web"), "path: deploy", "path: one", 1), strings.Replace(application("web"), "HEAD", "v2", 1)},
	} {
		read, write := "/api/v1"+c.read, "/api/v1"+c.write
		tag := w.call("GET", read, "").ok(200).header.Get("ETag")
		if tag == "" {
			t.Errorf("%s has no ETag", read)
			continue
		}
		for _, have := range []string{tag, "W/" + tag, `"other", ` + tag} {
			if got := w.call("GET", read, "", "If-None-Match: "+have); got.status != 304 || got.body != "" {
				t.Errorf("%s, whoever has it: %d %q", read, got.status, got.body)
			}
		}
		w.call("GET", read, "", `If-None-Match: "other"`).ok(200)
		w.call(c.method, write, c.body, "If-Match: odd").problem(400, "etag_invalid")
		after := w.call(c.method, write, c.body, "If-Match: "+tag).ok(200).header.Get("ETag")
		if after == "" || after == tag {
			t.Errorf("%s: ETag %q after %q", write, after, tag)
		}
		w.call(c.method, write, c.other, "If-Match: "+tag).problem(412, "version_conflict")
		w.call("GET", read, "", "If-None-Match: "+tag).ok(200)
		w.call(c.method, write, c.other, "If-Match: "+after).ok(200)
	}
}

// Health and the like change without the version, and are answered then.
func TestWhatIsObservedIsPartOfAnETag(t *testing.T) {
	w := newWorld(t)
	first := w.call("GET", "/api/v1/clusters/eu", "").ok(200).header.Get("ETag")
	w.store.mu.Lock()
	w.store.clusters[w.store.findCluster("eu")].Nodes += 7
	w.store.mu.Unlock()
	second := w.call("GET", "/api/v1/clusters/eu", "", "If-None-Match: "+first).ok(200).header.Get("ETag")
	if first == second {
		t.Errorf("ETag %s twice", first)
	}
	w.call("PUT", "/api/v1/clusters/eu/labels", `{"labels":{"a":"1"}}`, "If-Match: "+first).ok(200)
}

func TestAConditionThatIsNotLookedAtIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, condition := range []string{`If-Match: "1"`, "If-None-Match: *"} {
		w.call("DELETE", "/api/v1/tokens/x", "", condition).problem(400, "condition_unsupported")
		w.call("POST", "/api/v1/repositories", `{"url":"https://git.example.com/team/app","skipTest":true}`, condition).problem(400, "condition_unsupported")
	}
	w.call("GET", "/api/v1/clusters/eu", "").ok(200)
}

// Whoever deletes what he has looked at deletes nothing that was changed since.
func TestDeletesOverTheVersionThatIsMeant(t *testing.T) {
	w := newWorld(t)
	w.call("POST", "/api/v1/repositories", `{"url":"https://git.example.com/team/app","skipTest":true}`).ok(201)
	w.call("POST", "/api/v1/repository-templates", `{"url":"https://git.example.com/team","username":"bot","password":"x"}`).ok(201)
	w.call("PUT", "/api/v1/projects/shop", `{"apiVersion":"hawser.dev/v1alpha1","kind":"AppProject","metadata":{"name":"shop"},"spec":{"sourceRepos":["*"]}}`).ok(200)
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	for _, c := range []struct {
		path, method, write, body string
		status                    int
	}{
		{"/repositories/repo-1", "PATCH", "/repositories/repo-1", `{"name":"one","skipTest":true}`, 204},
		{"/repository-templates/template-1", "PATCH", "/repository-templates/template-1", `{"username":"one"}`, 204},
		{"/projects/shop", "PUT", "/projects/shop", `{"apiVersion":"hawser.dev/v1alpha1","kind":"AppProject","metadata":{"name":"shop"},"spec":{"sourceRepos":["https://one"]}}`, 204},
		{"/clusters/us", "PUT", "/clusters/us/labels", `{"labels":{"a":"1"}}`, 204},
		{"/applications/web", "PUT", "/applications/web", strings.Replace(application("web"), "path: deploy", "path: one", 1), 202},
	} {
		path := "/api/v1" + c.path
		seen := w.call("GET", path, "").ok(200).header.Get("ETag")
		w.call(c.method, "/api/v1"+c.write, c.body).ok(200)
		w.call("DELETE", path, "", "If-Match: odd").problem(400, "etag_invalid")
		w.call("DELETE", path, "", "If-Match: "+seen).problem(412, "version_conflict")
		w.call("DELETE", path, "", "If-Match: "+w.call("GET", path, "").ok(200).header.Get("ETag")).ok(c.status)
	}
}

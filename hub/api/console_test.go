package api

import (
	"net/http"
	"strings"
	"testing"
)

// fakeConsole serves pages to who takes HTML, and one file.
type fakeConsole struct{ asked []string }

func (f *fakeConsole) Serves(r *http.Request) bool {
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	return r.URL.Path == "/assets/a.js" || strings.Contains(r.Header.Get("Accept"), "text/html")
}

func (f *fakeConsole) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; frame-ancestors 'none'")
	if r.Header.Get("If-None-Match") == `"a"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte("<title>console</title>"))
	}
}

// The console has what no route has, and only that; what it does not serve is told
// as ever.
func TestPathsWithoutARouteAreOfTheConsole(t *testing.T) {
	pages := &fakeConsole{}
	w := newWorld(t, func(o *Options) { o.Console = pages })
	const html = "Accept: text/html"
	for _, path := range []string{"/", "/clusters", "/applications/web", "/assets/a.js"} {
		a := w.call("GET", path, "", html, "Authorization:")
		a.ok(200)
		if !strings.Contains(a.body, "console") || !strings.Contains(a.header.Get("Content-Security-Policy"), "script-src") {
			t.Errorf("%s: %s %v", path, a.body, a.header)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "X-Request-Id": "request-1"} {
			if a.header.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, a.header.Get(name))
			}
		}
		head := w.call("HEAD", path, "", html, "Authorization:")
		if head.status != 200 || head.body != "" {
			t.Errorf("HEAD %s: %d %s", path, head.status, head.body)
		}
		if same := w.call("GET", path, "", html, `If-None-Match: "a"`); same.status != 304 || same.body != "" {
			t.Errorf("%s unchanged: %d %s", path, same.status, same.body)
		}
	}
	w.call("GET", "/clusters", "").problem(404, "route_unknown")
	w.call("GET", "/assets/b.js", "").problem(404, "route_unknown")

	pages.asked = nil
	w.call("GET", "/livez", "", html).ok(200)
	if a := w.call("GET", FirstLoginPath, "", html, "Authorization:"); !strings.Contains(a.body, "First login") {
		t.Error(a.body)
	}
	w.call("GET", "/api/docs", "", html).ok(200)
	w.call("GET", "/api/v1/whoami", "", html).ok(200)
	w.call("GET", "/api/v1/whoami", "", html, "Authorization:").problem(401, "token_missing")
	w.call("PATCH", "/api/v1/version", "", html).problem(405, "method_not_allowed")
	if len(pages.asked) > 0 {
		t.Errorf("the console was asked about routes: %v", pages.asked)
	}
	w.call("POST", "/clusters", `{}`, html, "Origin: https://evil.example").problem(403, "cross_origin_blocked")
}

package api

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// Texts of strangers, wherever they come from, are data: JSON that no browser takes
// for a page, which has no tag in it even if one did, under a policy without scripts.
func TestS08_TextsOfStrangersAreNoPages(t *testing.T) {
	const evil = `<script>alert(1)</script><img src=x onerror=alert(1)>` + "\u2028\x1b[2J"
	w := newWorld(t)
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	w.store.mu.Lock()
	app := w.store.apps["web"]
	app.Application.Metadata.Annotations = map[string]string{"example.org/note": evil}
	app.Application.Spec.Info = []model.Info{{Name: evil, Value: evil}}
	app.Source.Error = &model.Condition{Type: "ComparisonError", Code: "path_not_found", Message: evil}
	app.Source.Sources = []fleet.SourceAt{{Commit: evil, Tag: evil}}
	w.store.apps["web"] = app
	w.store.mu.Unlock()
	said := 0
	for _, path := range []string{
		"/api/v1/applications/web", "/api/v1/applications/web/spec", "/api/v1/applications", "/api/v1/applications?filter=%3Cscript%3E", "/api/v1/applications/%3Cscript%3E",
		"/%3Cscript%3Ealert(1)%3C/script%3E", "/api/v1/applications?sort=%3Cscript%3E", "/api/v1/applications?cursor=%3Cscript%3E", "/api/v1/clusters/%3Cscript%3E",
	} {
		a := w.call(http.MethodGet, path, "")
		if media := a.header.Get("Content-Type"); !strings.HasPrefix(media, "application/json") && !strings.HasPrefix(media, "application/problem+json") {
			t.Errorf("%s: %d as %q", path, a.status, media)
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Content-Security-Policy") != "default-src 'none'; frame-ancestors 'none'" {
			t.Errorf("%s: a browser may guess, or run it: %v", path, a.header)
		}
		if strings.ContainsAny(a.body, "<>\x1b\u2028") {
			t.Errorf("%s: there is a tag in %s", path, a.body)
		}
		if strings.Contains(a.body, `\u003cscript\u003ealert`) {
			said++
		}
	}
	if said == 0 {
		t.Error("nothing was said that could have been one")
	}
}

// Whatever a stranger's event does to its handler ends that request, and no other.
func TestA43_AHandlerThatPanicsEndsItsRequest(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Webhook = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			var none []string
			_ = none[len(r.Header)] // as a parser that takes the first of nothing
		})
	})
	for range 3 {
		w.call("POST", "/api/webhook", `{}`, "Authorization:").problem(500, "internal")
		w.call("GET", "/livez", "", "Authorization:").ok(200)
	}
	if !strings.Contains(w.logged(), "index out of range") {
		t.Error("the log does not say what happened")
	}
}

// What a tool is called with is not anybody's to say: options are fields with types,
// and there is none for a command, a flag or a path of a program.
func TestA46_ThereIsNoWayToSayACommand(t *testing.T) {
	w := newWorld(t)
	for _, source := range []string{
		`kustomize: {buildOptions: "--enable-helm --helm-command=/bin/sh"}`, `kustomize: {helmCommand: /bin/sh}`, `kustomize: {options: ["--helm-command=/bin/sh"]}`,
		`helm: {command: /bin/sh}`, `helm: {postRenderer: /bin/sh}`, `helm: {extraArgs: ["--post-renderer=/bin/sh"]}`, `directory: {exec: /bin/sh}`,
		`plugin: {name: x, generate: {command: [/bin/sh]}}`, `plugin: {name: x, init: {command: [/bin/sh]}}`,
	} {
		body := application("evil", "path: deploy}", "path: deploy, "+source+"}")
		for _, path := range []string{"POST /api/v1/applications", "PUT /api/v1/applications/evil", "POST /api/v1/apply"} {
			method, path, _ := strings.Cut(path, " ")
			a := w.call(method, path, body)
			if !strings.Contains(a.body, "unknown_field") || a.status != http.StatusBadRequest && path != "/api/v1/apply" {
				t.Errorf("%s %s with %s: %d %.300s", method, path, source, a.status, a.body)
			}
		}
	}
	if len(w.store.apps) != 0 {
		t.Errorf("there are %d applications", len(w.store.apps))
	}
	for _, keys := range []string{`{"customizations":{"kustomize.buildOptions":"--enable-helm --helm-command=/bin/sh"}}`} {
		if a := w.call("PUT", "/api/v1/settings/customizations", keys); a.status/100 == 2 {
			t.Errorf("the settings take %s: %s", keys, a.body)
		}
	}
}

// A request that two readers divide differently, or that comes as two people, is not
// followed by another on its connection, or is nobody's.
func TestS10_RequestsThatMeanTwoThings(t *testing.T) {
	w := newWorld(t)
	s := w.serveLoad(t)
	send := func(text string) string {
		t.Helper()
		conn, err := net.Dial("tcp", strings.TrimPrefix(s, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Fatalf("the connection stays open after %s", all)
		}
		return string(all)
	}
	const behind = "GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	for _, path := range []string{"/api/v1/projects", "/k8s/clusters/eu/api/v1/namespaces/a/configmaps"} {
		head := "POST " + path + " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + w.token + "\r\nContent-Type: application/json\r\n"
		for name, body := range map[string]string{
			"a length and pieces": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"pieces and a length": "Transfer-Encoding: chunked\r\nContent-Length: 400\r\n\r\n0\r\n\r\n",
			"two lengths":         "Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}  ",
		} {
			if got := send(head + body + behind); strings.Count(got, "HTTP/1.1 ") != 1 || strings.Contains(got, `{"ok":true}`) {
				t.Errorf("%s, %s: what is behind was answered: %s", path, name, got)
			}
		}
	}
	for _, second := range []string{"Bearer " + w.token, "Bearer hwt_wrong", "Basic YTpi", ""} {
		got := send("GET /api/v1/whoami HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer " + w.token + "\r\nAuthorization: " + second + "\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 401 ") {
			t.Errorf("with two tokens, the second %.14q, somebody is in: %.80s", second, got)
		}
	}
}

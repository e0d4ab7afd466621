package argocd

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// manyApps is a hub with n applications, of which each request answers at most
// most.
func manyApps(t *testing.T, n, most int) *fake {
	hub := newFake(t)
	hub.first = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || r.URL.Path != "/api/v1/applications" {
			return false
		}
		hub.mu.Lock()
		hub.asked = append(hub.asked, "GET "+r.URL.RequestURI())
		hub.mu.Unlock()
		var from int
		_, _ = fmt.Sscan(r.URL.Query().Get("cursor"), &from)
		names := r.URL.Query()["name"]
		if names == nil {
			for i := range n {
				names = append(names, fmt.Sprintf("app-%03d", i))
			}
		}
		var rows []string
		for _, name := range names[from:min(from+most, len(names))] {
			rows = append(rows, strings.ReplaceAll(webApp, `"name":"web"`, `"name":"`+name+`"`))
		}
		next := ""
		if from+most < len(names) {
			next = fmt.Sprintf(`"nextCursor":"%d",`, from+most)
		}
		_, _ = io.WriteString(w, `{`+next+`"items":[`+strings.Join(rows, ",")+`]}`)
		return true
	}
	return hub
}

// A list of a few hundred takes a handful of requests, whatever is shown of them.
func TestAListReadsNoApplicationByItself(t *testing.T) {
	for _, c := range []struct{ args, each string }{
		{"app list", "argocd/app-%03d  eu       n          shop     OutOfSync  Healthy  Auto-Prune  SyncError   https://git/x  deploy  main\n"},
		{"app list -o name", "argocd/app-%03d\n"},
		{"app list -o json", `"name": "app-%03d"`},
		{"app list -o yaml", "name: app-%03d\n"},
	} {
		hub := manyApps(t, 250, 100)
		code, out, errs := run(t, strings.Fields(c.args)...)
		if code != 0 || len(hub.asked) != 3 {
			t.Errorf("%s: exit status %d, %s; the hub was asked %d times: %q", c.args, code, errs, len(hub.asked), hub.asked)
		}
		for i := range 250 {
			if want := fmt.Sprintf(c.each, i); !strings.Contains(out, want) {
				t.Fatalf("%s: no %q in\n%s", c.args, want, out[:min(len(out), 2000)])
			}
		}
	}
	manyApps(t, 250, 100)
	if _, out, _ := run(t, "app", "list", "-p", "other", "-o", "name"); out != "" {
		t.Errorf("of another project: %s", out)
	}
}

// An object in a list is the one that app get shows, but for the images, which
// only the answer for one has.
func TestAListShowsWhatGetShows(t *testing.T) {
	newFake(t)
	_, one, _ := run(t, "app", "get", "web", "-o", "json")
	_, all, _ := run(t, "app", "list", "-o", "json")
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
	one = strings.Replace(squeeze(one), `"images":["nginx:1"]`, `"images":[]`, 1)
	if squeeze(all) != "["+one+"]" {
		t.Errorf("list\n%s\nget\n%s", squeeze(all), one)
	}
}

// A hub that answers the same page for ever is an error and no endless loop.
func TestAListEnds(t *testing.T) {
	hub := newFake(t)
	hub.first = func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.WriteString(w, `{"nextCursor":"a","items":[]}`)
		return true
	}
	if code, _, errs := run(t, "app", "list"); code != ExitError || !strings.Contains(errs, "same page") {
		t.Errorf("%d %s", code, errs)
	}
}

// After sync and wait the selected applications are shown, those that matched
// before anything was done, without a read of each, and nothing is asked.
func TestSelectedApplicationsAreShown(t *testing.T) {
	for _, args := range []string{"app wait -l a=b --operation", "app wait -l a=b --operation -o json"} {
		hub := newFake(t)
		code, out, errs := run(t, strings.Fields(args)...)
		want := "Name:               argocd/web\n"
		if strings.Contains(args, "json") {
			want = `"kind": "Application"`
		}
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: %d %s %s", args, code, out, errs)
		}
		if !slices.ContainsFunc(hub.asked, func(s string) bool { return strings.Contains(s, "name=web") && strings.Contains(s, "resources") }) {
			t.Errorf("%s: the hub was asked %q", args, hub.asked)
		}
	}
	hub := manyApps(t, 3, 100)
	all := hub.first
	hub.first = func(w http.ResponseWriter, r *http.Request) bool {
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, "/api/v1/applications/app-") && strings.HasSuffix(path, "/sync"):
			_, _ = io.WriteString(w, op)
		case strings.HasPrefix(path, "/api/v1/applications/app-"):
			_, _ = io.WriteString(w, webApp)
		default:
			return all(w, r)
		}
		return true
	}
	code, out, errs := run(t, "app", "sync", "-l", "a=b")
	if code != 0 || strings.Count(out, "Name: ") != 3 || !strings.Contains(out, "argocd/app-002\n") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	code, out, _ = run(t, "app", "sync", "-l", "a=b", "--async")
	if code != 0 || strings.Contains(out, "Name: ") {
		t.Errorf("%d %s", code, out)
	}
}

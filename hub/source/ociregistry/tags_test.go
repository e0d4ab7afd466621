package ociregistry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/source/sourcetest"
	"github.com/hawser-dev/hawser/shared/fault"
)

func open(t *testing.T, h http.Handler, path string) *Repository {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	r, err := Open(strings.TrimPrefix(server.URL, "http://"), path, Options{Transport: http.DefaultTransport, PlainHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTagsComeInPages(t *testing.T) {
	reg := &sourcetest.Registry{PageSize: 7}
	for i := range 50 {
		reg.Push("a/b", []string{fmt.Sprintf("1.%d.0", i)}, nil, sourcetest.Layer{Type: sourcetest.LayerType, Data: []byte{byte(i)}})
	}
	r := open(t, reg, "a/b")
	tags, err := r.Tags(t.Context())
	if err != nil || len(tags) != 50 {
		t.Errorf("%d tags, %v", len(tags), err)
	}
	if n := len(reg.Asked()); n != 8 {
		t.Errorf("%d requests", n)
	}
	if found, err := r.Find(t.Context(), "~1.4", ""); err != nil || found.Tag != "1.4.0" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestListsWithoutEndAreGivenUp(t *testing.T) {
	page := 0
	endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page++
		w.Header().Set("Link", fmt.Sprintf(`</v2/a/b/tags/list?last=%d>; rel="next"`, page))
		var tags []string
		for i := range 500 {
			tags = append(tags, fmt.Sprintf(`"t%d-%d"`, page, i))
		}
		_, _ = fmt.Fprintf(w, `{"tags":[%s]}`, strings.Join(tags, ","))
	})
	if _, err := open(t, endless, "a/b").Tags(t.Context()); !fault.HasCode(err, "too_large") {
		t.Errorf("%v", err)
	}
	empty := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page++
		w.Header().Set("Link", fmt.Sprintf(`</v2/a/b/tags/list?last=%d>; rel="next"`, page))
		_, _ = fmt.Fprint(w, `{"tags":[]}`)
	})
	if _, err := open(t, empty, "a/b").Tags(t.Context()); !fault.HasCode(err, "too_large") {
		t.Errorf("%v", err)
	}
	elsewhere := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", `<http://127.0.0.1:1/v2/a/b/tags/list>; rel="next"`)
		_, _ = fmt.Fprint(w, `{"tags":["a"]}`)
	})
	if _, err := open(t, elsewhere, "a/b").Tags(t.Context()); !fault.HasCode(err, "registry_invalid") {
		t.Errorf("%v", err)
	}
}

func TestNamesOfRepositories(t *testing.T) {
	for name, good := range map[string]bool{
		"127.0.0.1:5000/a/b": true, "docker.io/library/nginx": true, "r.example.com/a__b/c-d.e": true,
		"r.example.com/": false, "r.example.com/A": false, "r.example.com/a/../b": false, "r.example.com/a?b": false, "a b/c": false, "/a": false,
	} {
		host, path, _ := strings.Cut(name, "/")
		r, err := Open(host, path, Options{})
		if (err == nil) != good || !good && !fault.HasCode(err, "repo_url_invalid") {
			t.Errorf("%s: %v", name, err)
		}
		if good && r.Name() != "oci://"+name {
			t.Errorf("%s: %s", name, r.Name())
		}
	}
	if r, err := Open("docker.io", "library/x", Options{}); err != nil || r.Host() != "registry-1.docker.io" {
		t.Errorf("%v", err)
	}
}

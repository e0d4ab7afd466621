package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// The problem documents are an interface: programs read them.
func TestGoldenProblems(t *testing.T) {
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
	}{
		{name: "unknown_field", method: "PUT", path: "/api/v1/applications/web", body: application("web", "spec:", "spec:\n  syncPolicy: {automatd: {}}")},
		{name: "several_problems", method: "PUT", path: "/api/v1/applications/web", body: application("Web", "name: eu, ", "", "path: deploy", "path: ../x")},
		{name: "denied", method: "PUT", path: "/api/v1/applications/web", body: application("web", "project: default", "project: shop", "shop/web", "other/web")},
		{name: "project_unknown", method: "PUT", path: "/api/v1/applications/web", body: application("web", "project: default", "project: shp")},
		{name: "not_found", method: "GET", path: "/api/v1/applications/web"},
		{name: "not_logged_in", method: "GET", path: "/api/v1/applications", headers: []string{"Authorization:"}},
		{name: "route_unknown", method: "GET", path: "/api/v1/x"},
		{name: "method_not_allowed", method: "PATCH", path: "/api/v1/clusters"},
		{name: "unsupported_media_type", method: "POST", path: "/api/v1/apply", body: "x", headers: []string{"Content-Type: text/plain"}},
		{name: "yaml_invalid", method: "POST", path: "/api/v1/apply", body: "a:\n\tb: c\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a := w.call(c.method, c.path, c.body, c.headers...)
			var got bytes.Buffer
			if err := json.Indent(&got, []byte(a.body), "", "  "); err != nil {
				t.Fatalf("%v: %s", err, a.body)
			}
			got.WriteByte('\n')
			file := filepath.Join("testdata", "problems", c.name+".json")
			if *update {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("got\n%s\nwant\n%s", got.Bytes(), want)
			}
		})
	}
}

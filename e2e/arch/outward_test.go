package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dials are the packages of the hub that open connections of their own, and to
// whom. Another one has to think of what S15 and G08 are about: who says where to,
// and what is there that only the hub can reach.
var dials = map[string]string{
	"hub/auth/oidc":          "identity providers, whom administrators set",
	"hub/source":             "Git servers, of the repositories that projects allow",
	"hub/source/web":         "charts, registries and their tokens, for the same",
	"hub/source/ociregistry": "the same",
	"hub/audit":              "receivers of audit records, which a flag of the hub names",
	"hub/cache":              "Redis, which a flag of the hub names",
	"hub/plugin":             "plugins, by sockets of the hub's own pod",
}

// templates are the packages of the hub that run templates: those of charts, in a
// worker.
var templates = []string{"hub/render/kustomize", "hub/api"}

// TestS15_NobodyElseIsCalled: the hub has no notifications and calls no webhooks of
// others, with no texts out of templates.
func TestS15_NobodyElseIsCalled(t *testing.T) {
	root := filepath.Join("..", "..")
	call := regexp.MustCompile(`http\.(Client|Transport)\{|new\(http\.(Client|Transport)\)|\bvar \w+ http\.(Client|Transport)\b|http\.Default(Client|Transport)|http\.(Get|Post|PostForm|Head)\(|net\.Dial|tls\.(Dial|Client\()|grpc\.(NewClient|Dial)|websocket\.Dial|smtp\.|rest\.HTTPClientFor`)
	template := regexp.MustCompile(`"(text|html)/template"`)
	called, made := map[string]bool{}, map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "hub"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "node_modules" {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		dir = filepath.ToSlash(dir)
		if call.Match(text) {
			called[dir] = true
		}
		if template.Match(text) {
			made[dir] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir := range called {
		if dials[dir] == "" {
			t.Errorf("%s opens connections", dir)
		}
	}
	for dir := range dials {
		if !called[dir] {
			t.Errorf("%s opens no connections any more", dir)
		}
	}
	for dir := range made {
		if !slices.Contains(templates, dir) {
			t.Errorf("%s has templates", dir)
		}
	}
}

package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hawser-dev/hawser/"

// pure packages decide and do nothing; their neighbours may import them.
var pure = []string{
	"hub/fleet",
	"hub/permission",
	"agent/live", "agent/diff", "agent/health", "agent/journal", "agent/sync", "agent/lua", "agent/action",
}

// parts are packages below another package of the same half that only that
// package, app and the listed ones may import.
var parts = map[string][]string{
	"hub/gateway/ca": {"hub/gateway"},
	"hub/worker":     {"hub/source", "hub/render"},
	// What chart repositories and registries have in common.
	"hub/source/versions": {"hub/source/helmrepo", "hub/source/ociregistry"},
	"hub/source/web":      {"hub/source/helmrepo", "hub/source/ociregistry"},
	// The frame that renders whole directories; templates and Jsonnet fill it.
	"hub/render/directory": {"hub/render/jinja", "hub/render/jsonnet"},
	// What render tools see of the world.
	"hub/render/workspace": {"hub/render/directory", "hub/render/helm", "hub/render/jinja", "hub/render/jsonnet", "hub/render/kustomize"},
}

type pkg struct {
	ImportPath   string
	Doc          string
	Name         string
	Imports      []string
	TestImports  []string
	XTestImports []string
	GoFiles      []string
}

func load(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	var pkgs []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 20 {
		t.Fatalf("go list found only %d packages", len(pkgs))
	}
	return pkgs
}

func half(path string) string {
	h, _, _ := strings.Cut(path, "/")
	return h
}

// allowed decides whether from may import to; both are paths inside the module.
func allowed(from, to string) bool {
	hf, ht := half(from), half(to)
	switch hf {
	case "e2e":
		return true
	case "shared":
		return ht == "shared" || ht == "proto"
	case "proto", "migrations", "charts":
		return ht == hf
	}
	switch ht {
	case "shared", "proto":
		return true
	case "migrations", "charts":
		return hf == "hub"
	case hf:
	default:
		return false // hub, agent and cli never import each other, nobody imports e2e
	}
	if hf == "cli" {
		return true // one small program; its packages are its layers
	}
	switch {
	case strings.HasPrefix(from, hf+"/cmd/"), from == hf+"/app":
		return true
	case slices.Contains(pure, to):
		return true
	case strings.HasPrefix(to, from+"/"):
		return true // a package's own parts
	case slices.Contains(parts[to], from):
		return true
	}
	return false
}

func TestImportRule(t *testing.T) {
	for _, p := range load(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, module)
			if ours && !allowed(from, to) {
				t.Errorf("%s imports %s; packages of one half meet in its app, and halves meet in shared", from, to)
			}
		}
	}
}

func TestModelImportsNothingOfOurs(t *testing.T) {
	for _, p := range load(t) {
		if p.ImportPath != module+"shared/model" {
			continue
		}
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, module) || imp == "os" || imp == "net" || imp == "net/http" {
				t.Errorf("shared/model imports %s; it is the vocabulary and does no I/O", imp)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range load(t) {
		if len(p.GoFiles) == 0 || strings.Contains(p.ImportPath, "/proto/gen/") {
			continue
		}
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(p.Doc, want) {
			t.Errorf("%s has no package comment that begins with %q", p.ImportPath, want)
		}
	}
}

func TestTheRuleItself(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"hub/api", "hub/store", false},
		{"hub/api", "hub/fleet", true},
		{"hub/app", "hub/store", true},
		{"hub/cmd/hawser-hub", "hub/app", true},
		{"hub/gateway", "agent/link", false},
		{"agent/reconcile", "agent/sync", true},
		{"agent/reconcile", "agent/observe", false},
		{"cli/command", "hub/api", false},
		{"shared/policy", "hub/fleet", false},
		{"hub/store", "migrations", true},
		{"agent/link", "e2e/testbed", false},
		{"hub/gateway", "hub/gateway/ca", true},
		{"hub/api", "hub/gateway/ca", false},
		{"hub/source", "hub/worker", true},
	} {
		if got := allowed(c.from, c.to); got != c.want {
			t.Errorf("allowed(%s, %s) = %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

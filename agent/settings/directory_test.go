package settings

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hawser-dev/hawser/shared/customization"
	"github.com/hawser-dev/hawser/shared/fault"
)

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func TestADirectoryInArgosLayout(t *testing.T) {
	c, err := Directory(files(
		"argoproj.io/Rollout/health.lua", "return 1",
		"argoproj.io/Rollout/health_test.yaml", "tests: []",
		"argoproj.io/Rollout/testdata/health.lua", "not this one",
		"argoproj.io/Rollout/actions/discovery.lua", "return {}",
		"argoproj.io/Rollout/actions/pause/action.lua", "return \"é\\n\"",
		"argoproj.io/Rollout/actions/resume/action.lua", "return 2",
		"argoproj.io/Rollout/actions/testdata/x.yaml", "",
		"apps/Deployment/actions/lost/action.lua", "nothing discovers it",
		"ConfigMap/health.lua", "return 3",
		"_.crossplane.io/_/health.lua", "return 4",
		"health.lua", "at the top: of no kind",
		"a/b/c/health.lua", "too deep",
		".git/x/health.lua", "hidden",
		"README.md", "words",
	))
	if err != nil {
		t.Fatal(err)
	}
	const p = "resource.customizations."
	want := []string{p + "actions.argoproj.io_Rollout", p + "health.*.crossplane.io_*", p + "health.ConfigMap", p + "health.argoproj.io_Rollout"}
	if got := slices.Sorted(maps.Keys(c)); !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
	if c[p+"health.argoproj.io_Rollout"] != "return 1" {
		t.Errorf("%q", c[p+"health.argoproj.io_Rollout"])
	}
	if a := c[p+"actions.argoproj.io_Rollout"]; !strings.Contains(a, `"name":"pause"`) || !strings.Contains(a, `"name":"resume"`) || !strings.Contains(a, "é") {
		t.Errorf("%s", a)
	}
	if err := customization.Check(c); err != nil {
		t.Error(err)
	}
	if c, err := Directory(files()); err != nil || len(c) != 0 {
		t.Errorf("an empty directory: %v %v", c, err)
	}
}

// A volume with a ConfigMap in it is a directory of links.
func TestADirectoryOfLinks(t *testing.T) {
	dir := t.TempDir()
	real := filepath.Join(dir, "..2026", "apps", "Deployment")
	if err := os.MkdirAll(real, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(real, "health.lua"), []byte("return {}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"..data": "..2026", "apps": filepath.Join("..data", "apps")} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Directory(os.DirFS(dir))
	if err != nil || len(c) != 1 {
		t.Errorf("%v %v", c, err)
	}
}

type broken struct{ fstest.MapFS }

func (b broken) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, ".lua") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return b.MapFS.Open(name)
}

func TestMistakesInADirectory(t *testing.T) {
	many := fstest.MapFS{}
	for i := range 80 {
		many[fmt.Sprint("A", i, "/health.lua")] = &fstest.MapFile{Data: []byte(strings.Repeat("x", maxScript))}
	}
	for name, c := range map[string]struct {
		dir           fs.FS
		code, message string
	}{
		"empty discovery": {files("apps/Deployment/actions/discovery.lua", ""), "customization_invalid", "no discovery.lua"},
		"empty action":    {files("apps/Deployment/actions/discovery.lua", "x", "apps/Deployment/actions/x/action.lua", ""), "customization_invalid", "no action.lua"},
		"too large":       {many, "overrides_too_large", "together"},
		"one too large":   {files("A/health.lua", strings.Repeat("x", maxScript+1)), "overrides_too_large", "A/health.lua is larger than"},
		"not UTF-8":       {files("A/health.lua", "\xff"), "customization_invalid", "UTF-8"},
		"not readable":    {broken{files("A/health.lua", "x")}, "overrides_unreadable", "A/health.lua cannot be read: permission denied"},
		"no directory":    {os.DirFS(filepath.Join(t.TempDir(), "nix")), "overrides_unreadable", "cannot be read"},
	} {
		_, err := Directory(c.dir)
		if !fault.HasCode(err, c.code) || !strings.Contains(fmt.Sprint(err), c.message) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

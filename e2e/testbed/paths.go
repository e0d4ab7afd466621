package testbed

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// mainModule is the module path that marks the root of the repository; the
// nested module of the control plane binaries has another one.
const mainModule = "github.com/hawser-dev/hawser"

// RepoRoot is the directory of the main module: the nearest parent of the
// working directory, else of this source file, whose go.mod names it.
func RepoRoot() (string, error) {
	var starts []string
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		starts = append(starts, filepath.Dir(file))
	}
	for _, start := range starts {
		for dir := start; ; dir = filepath.Dir(dir) {
			if moduleOf(filepath.Join(dir, "go.mod")) == mainModule {
				return dir, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", errors.New("testbed: no go.mod of module " + mainModule + " above the working directory; run inside a clone of the repository")
}

func moduleOf(goMod string) string {
	f, err := os.Open(goMod)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, ok := strings.CutPrefix(strings.TrimSpace(s.Text()), "module "); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// ToolsDir is where built and fetched programs are shared between runs:
// HAWSER_TOOLS_DIR, else .tools in the root of the repository. It is created.
func ToolsDir() (string, error) {
	dir := os.Getenv("HAWSER_TOOLS_DIR")
	if dir == "" {
		root, err := RepoRoot()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(root, ".tools")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("testbed: tools directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("testbed: tools directory: %w", err)
	}
	return dir, nil
}

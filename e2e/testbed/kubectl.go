package testbed

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Kubectl makes sure that there is a kubectl of the same version as the control
// planes and returns where it is. It is built like they are, once.
func Kubectl(ctx context.Context, log io.Writer) (string, error) {
	if log == nil {
		log = io.Discard
	}
	root, err := RepoRoot()
	if err != nil {
		return "", err
	}
	tools, err := ToolsDir()
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, "e2e", "testbed", "controlplane")
	version, key, err := buildKey(module)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(tools, "kubectl-"+key)
	program := func(dir string) string { return filepath.Join(dir, "kubectl") }
	complete := func(dir string) bool {
		info, err := os.Stat(program(dir))
		return err == nil && info.Mode().IsRegular() && info.Size() > 0
	}
	return program(dir), BuildOnce(ctx, "kubectl", dir, log, complete, func(tmp string) error {
		cmd := GoCommand(ctx, module, "build", "-ldflags", ldflags(version), "-o", program(tmp), "k8s.io/kubernetes/cmd/kubectl")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("testbed: build of kubectl failed: %w\n%s", err, out)
		}
		return nil
	})
}

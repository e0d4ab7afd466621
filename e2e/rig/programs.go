package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// WithFailpoints makes a directory with the three programs, of which the agent is
// built with failpoints (shared/failpoint). hawser and hawser-hub are taken from
// the directory bin, or built as well when bin is empty. remove deletes it.
func WithFailpoints(ctx context.Context, bin string) (dir string, remove func(), err error) {
	root, err := testbed.RepoRoot()
	if err != nil {
		return "", nil, err
	}
	if dir, err = os.MkdirTemp("", "hawser-failpoints-"); err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			remove()
		}
	}()
	// The private Postgres may run as another user, and starts through the hub's
	// own program.
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", nil, err
	}
	packages := []string{"./agent/cmd/hawser-agent"}
	if bin == "" {
		packages = append(packages, "./hub/cmd/hawser-hub", "./cli/cmd/hawser")
	} else {
		for _, name := range []string{"hawser", "hawser-hub"} {
			path, err := filepath.Abs(filepath.Join(bin, name))
			if err != nil {
				return "", nil, err
			}
			if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
				return "", nil, err
			}
		}
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-tags", "failpoints", "-o", dir + string(filepath.Separator)}, packages...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return dir, remove, nil
}

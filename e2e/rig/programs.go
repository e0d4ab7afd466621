package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// Programs is the directory of the three programs that a test runs: HAWSER_BIN, or
// where they were built for this test.
func Programs(t testbed.TB) string {
	t.Helper()
	bin, remove, err := Build(t.Context())
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(remove)
	return bin
}

// Build is Programs for those who have no test; remove deletes what was built.
func Build(ctx context.Context) (dir string, remove func(), err error) {
	if bin := os.Getenv("HAWSER_BIN"); bin != "" {
		return bin, func() {}, nil
	}
	if dir, remove, err = emptyDir("hawser-bin-"); err != nil {
		return "", nil, err
	}
	if err := build(ctx, dir, "./hub/cmd/hawser-hub", "./agent/cmd/hawser-agent", "./cli/cmd/hawser"); err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}

// emptyDir makes a directory that other users can pass: the private Postgres may run
// as another, and starts through the hub's own program.
func emptyDir(pattern string) (dir string, remove func(), err error) {
	if dir, err = os.MkdirTemp("", pattern); err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	if err := os.Chmod(dir, 0o755); err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}

// build builds packages, or whatever go build takes, into a directory.
func build(ctx context.Context, dir string, packages ...string) error {
	root, err := testbed.RepoRoot()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-o", dir + string(filepath.Separator)}, packages...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return nil
}

// WithFailpoints makes a directory with the three programs, of which the agent is
// built with failpoints (shared/failpoint). hawser and hawser-hub are taken from
// the directory bin, or built as well when bin is empty. remove deletes it.
func WithFailpoints(ctx context.Context, bin string) (dir string, remove func(), err error) {
	if dir, remove, err = emptyDir("hawser-failpoints-"); err != nil {
		return "", nil, err
	}
	clean := remove
	defer func() {
		if err != nil {
			clean()
			dir, remove = "", nil
		}
	}()
	what := []string{"-tags", "failpoints", "./agent/cmd/hawser-agent"}
	if bin == "" {
		return dir, remove, build(ctx, dir, append(what, "./hub/cmd/hawser-hub", "./cli/cmd/hawser")...)
	}
	for _, name := range []string{"hawser", "hawser-hub"} {
		path, err := filepath.Abs(filepath.Join(bin, name))
		if err != nil {
			return dir, remove, err
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			return dir, remove, err
		}
	}
	return dir, remove, build(ctx, dir, what...)
}

package testbed

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// BuildOnce makes a directory of programs in the tools directory unless complete
// says that it is there. One process builds at a time; others wait and find what
// it made. build fills a temporary directory, which takes the name of dir when it
// is complete, so a build that is killed leaves nothing that looks like one. kind
// names the lock and the temporary directories.
func BuildOnce(ctx context.Context, kind, dir string, log io.Writer, complete func(dir string) bool, build func(tmp string) error) error {
	if complete(dir) {
		return nil
	}
	tools := filepath.Dir(dir)
	release, err := lockFile(ctx, filepath.Join(tools, kind+".lock"), log)
	if err != nil {
		return err
	}
	defer release()
	if complete(dir) {
		return nil
	}
	// Under the lock nobody else builds: what lies there is of a killed builder.
	if left, err := filepath.Glob(filepath.Join(tools, kind+"-building-*")); err == nil {
		for _, dir := range left {
			os.RemoveAll(dir)
		}
	}
	tmp, err := os.MkdirTemp(tools, kind+"-building-")
	if err != nil {
		return fmt.Errorf("testbed: build: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := build(tmp); err != nil {
		return err
	}
	if !complete(tmp) {
		return fmt.Errorf("testbed: build: the go command succeeded but left an incomplete set of programs for %s", kind)
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return fmt.Errorf("testbed: build: %w", err)
	}
	// An incomplete directory under the final name is from an older layout.
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("testbed: build: %w", err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("testbed: build: %w", err)
	}
	return nil
}

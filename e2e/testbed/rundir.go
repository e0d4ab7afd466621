package testbed

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	runDirPrefix = "hawser-testbed-"
	runDirLock   = "owner.lock"
)

// runDir makes the directory of one instance under the system's temporary
// directory and holds a lock in it for as long as the process lives. On the way
// it removes directories whose owner was killed before it could.
func runDir(name string) (dir string, release func(), err error) {
	sweepRunDirs(os.TempDir(), time.Now())
	dir, err = os.MkdirTemp("", runDirPrefix+name+"-")
	if err != nil {
		return "", nil, fmt.Errorf("testbed: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, runDirLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = tryLock(f)
	}
	if err != nil {
		return "", nil, fmt.Errorf("testbed: owning %s: %w", dir, err)
	}
	return dir, func() {
		os.RemoveAll(dir)
		f.Close()
	}, nil
}

// sweepRunDirs removes instance directories that nobody owns any more. Young
// ones are left alone: their owner may not have taken the lock yet.
func sweepRunDirs(in string, now time.Time) {
	dirs, err := filepath.Glob(filepath.Join(in, runDirPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || now.Sub(info.ModTime()) < time.Minute {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, runDirLock), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if tryLock(f) == nil {
			os.RemoveAll(dir)
		}
		f.Close()
	}
}

// emptyDir makes sure that a directory named by the caller exists and holds
// nothing yet: leftovers of an earlier run would mix into this one.
func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("testbed: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("testbed: %w", err)
	}
	defer f.Close()
	if _, err := f.Readdirnames(1); err != io.EOF {
		return fmt.Errorf("testbed: directory %s is not empty; give a new or empty one", dir)
	}
	return nil
}

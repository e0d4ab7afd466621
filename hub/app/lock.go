package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// lockPatience is how long a starting hub waits for one that is just ending.
const lockPatience = 3 * time.Second

// lockDataDir makes this process the only hub on the data directory: two would
// share the private Postgres and the Git objects, and each would hold sessions
// that the other cannot wake. The lock ends with the process, however it ends.
func lockDataDir(ctx context.Context, dir string) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "hub.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "data_dir_unusable", "the data directory cannot be written").
			WithFix("choose another with --data, or make it writable")
	}
	for deadline := time.Now().Add(lockPatience); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			_ = f.Close()
			return nil, fault.Wrap(err, fault.Invalid, "data_dir_unusable", "the data directory cannot be locked").
				WithFix("choose one on a local disk with --data")
		case !time.Now().Before(deadline):
			_ = f.Close()
			return nil, fault.New(fault.Conflict, "data_dir_in_use", "another hub runs on this data directory").
				WithFix("stop it, or choose another directory with --data")
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

package policy

import (
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// WindowOpen reports whether a window is open at a moment; one that cannot be
// read is open when it denies.
func WindowOpen(w model.SyncWindow, at time.Time) bool {
	c := compileWindow(w)
	return c.open(at)
}

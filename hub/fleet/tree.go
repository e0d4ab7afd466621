package fleet

import (
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// TreeVersion tells the states of an application's resource tree apart: two that are
// the same mean the same tree. The zero value says nothing, and is equal to none.
type TreeVersion struct {
	App    model.AppUID
	Digest string // of its text
	At     time.Time
}

// Known reports whether it says which tree it is.
func (v TreeVersion) Known() bool { return v.App != "" && v.Digest != "" && !v.At.IsZero() }

// Tree is the newest resource tree that was reported of an application.
type Tree struct {
	model.ResourceTree
	Version TreeVersion
	// ObservedAt is the newest time at which it was known to hold.
	ObservedAt time.Time
}

// TreeState is what there is to say of an application's tree without reading it.
type TreeState struct {
	App       model.AppUID
	Project   string
	Version   TreeVersion
	Freshness model.Freshness
	// ObservedAt is nil when nothing was reported.
	ObservedAt *time.Time
}

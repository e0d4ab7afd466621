package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/hawser-dev/hawser/shared/model"
)

// Pin is a rollback that is in force: what model.Pin shows, and what decides
// how long it holds.
type Pin struct {
	model.Pin
	// Bundle that is desired while the pin holds.
	Bundle      model.Digest `json:"bundle"`
	BundleBytes int64        `json:"bundleBytes"`
	// Sources of the deployment that was gone back to, at the commits that it was
	// rendered from; nil when they are not known.
	Sources []SourceAt `json:"sources,omitempty"`
	// Aside are the application's sources at the time of the rollback, at the
	// commits that are not to be deployed again.
	Aside []SourceAt `json:"aside"`
	// Options are the application's other inputs (OptionsOf) that Bundle stands
	// for. At first those of the time of the rollback, although the deployment
	// may have had others: going back means going back in these, too.
	Options model.Digest `json:"options"`
}

// OptionsOf identifies what a render depends on besides the places and commits
// of the sources: the options of tools, and the destination's namespace.
func OptionsOf(spec model.ApplicationSpec) model.Digest {
	options := struct {
		Namespace string
		Sources   []model.Source
	}{spec.Destination.Namespace, slices.Clone(spec.AllSources())}
	for i := range options.Sources {
		s := &options.Sources[i]
		s.RepoURL, s.Chart, s.Path, s.Ref, s.TargetRevision, s.TagPrefix, s.Name = "", "", "", "", "", "", ""
	}
	b, err := json.Marshal(options)
	if err != nil {
		panic(err) // only values that were decoded from JSON are in it
	}
	sum := sha256.Sum256(b)
	return model.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// PinVerdict is what a look at a pinned application does.
type PinVerdict int

// The verdicts.
const (
	// PinHolds: the pin's bundle stays desired.
	PinHolds PinVerdict = iota
	// PinRenders: the options were changed. The deployment's commits are
	// rendered with the new ones, and the pin holds that.
	PinRenders
	// PinOutdated: the options were changed, and the deployment was of other
	// sources than the application has: the two do not go together. The pin's
	// bundle stays, and people are told.
	PinOutdated
	// PinMoved: a source is resolved to another revision than the one that was
	// set aside. Unless it renders to the very same manifests, it is deployed, and
	// the pin is released with that.
	PinMoved
	// PinEnded: the application names other sources or revisions than when it
	// was rolled back. That is a wish: it is deployed, and the pin is released
	// with that.
	PinEnded
)

// PinFacts is what Decide decides on.
type PinFacts struct {
	// Sources of the application now, at what they are resolved to; a commit is
	// empty as long as that is not known, or cannot be found out.
	Sources []SourceAt
	Options model.Digest
	// SameContent: the sources, at these commits, render to what they render to
	// at the commits that were set aside. So it is with a commit that changes
	// nothing that the application reads.
	SameContent bool
}

// Decide says whether a pin holds. Not to know a revision releases nothing.
func (p Pin) Decide(f PinFacts) PinVerdict {
	if !SamePlaces(p.Aside, f.Sources) {
		return PinEnded
	}
	for i, s := range f.Sources {
		if s.Commit != "" && s.Commit != p.Aside[i].Commit && !f.SameContent {
			return PinMoved
		}
	}
	switch {
	case p.Options == f.Options:
		return PinHolds
	case SamePlaces(p.Sources, f.Sources) && allResolved(p.Sources):
		return PinRenders
	}
	return PinOutdated
}

func allResolved(sources []SourceAt) bool {
	return !slices.ContainsFunc(sources, func(s SourceAt) bool { return s.Commit == "" })
}

// Deploy is what an operation wants deployed in place of what is desired now:
// a past deployment, or again what was set aside.
type Deploy struct {
	// AppVersion is the App.Version that it was decided for.
	AppVersion int64
	// Expected is the generation that must be the desired one; 0 for any.
	Expected model.Generation
	Content
	// Pin is to be in force from then on; nil releases the present one. The
	// store fills its Generation, Operation and At.
	Pin *Pin
}

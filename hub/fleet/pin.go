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
	// AsideBundle is what the sources gave at these commits with AsideOptions:
	// what they are told by when the commits cannot be rendered any more. Both are
	// empty when that is not known.
	AsideBundle  model.Digest `json:"asideBundle,omitempty"`
	AsideOptions model.Digest `json:"asideOptions,omitempty"`
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
	// PinMoved: a source is resolved to a revision that is neither the one that
	// was set aside nor the one that was gone back to, and that no earlier rollback
	// has set aside. Unless it renders to the very same manifests as what was set
	// aside, it is deployed, and the pin is released with that.
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
	// SetAside is what earlier rollbacks have set aside (App.SetAside).
	SetAside [][]SourceAt
}

// MaxSetAside is how many commits an application remembers that rollbacks have
// set aside.
const MaxSetAside = 10

// WasSetAside reports whether the sources are resolved to exactly what a
// rollback has set aside that is over. So it is when a branch is set back, when a
// mirror lags, or when a push is undone: nobody has said that it is wanted.
func WasSetAside(aside [][]SourceAt, now []SourceAt) bool {
	return allResolved(now) && slices.ContainsFunc(aside, func(a []SourceAt) bool { return SameSources(a, now) })
}

// Decide says whether a pin holds. Not to know a revision releases nothing.
func (p Pin) Decide(f PinFacts) PinVerdict {
	if !SamePlaces(p.Aside, f.Sources) {
		return PinEnded
	}
	if !f.SameContent && p.moved(f) {
		return PinMoved
	}
	switch {
	case p.Options == f.Options:
		return PinHolds
	case SamePlaces(p.Sources, f.Sources) && allResolved(p.Sources):
		return PinRenders
	}
	return PinOutdated
}

// moved reports whether a source is at a revision that is newer, as far as that
// can be told without asking for the history of its repository. A branch that is
// at what was gone back to was set back. It brings nothing new, and may be set
// forth again. The pin that nobody asked for (HistoryID 0) ends with that.
func (p Pin) moved(f PinFacts) bool {
	if WasSetAside(f.SetAside, f.Sources) {
		return false
	}
	back := p.HistoryID != 0 && SamePlaces(p.Sources, f.Sources)
	for i, s := range f.Sources {
		if s.Commit != "" && s.Commit != p.Aside[i].Commit && !(back && s.Commit == p.Sources[i].Commit) {
			return true
		}
	}
	return false
}

// Tells reports whether what was set aside can be told by AsideBundle from a
// render with these options.
func (p Pin) Tells(options model.Digest) bool {
	return p.AsideBundle != "" && p.AsideOptions == options
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

package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// SourceAt is a source of an application and what it was read at. The options
// of its tools are no part of it: two sources are the same place when they say
// where to look and which revision to follow.
type SourceAt struct {
	RepoURL        string `json:"repoURL"`
	Chart          string `json:"chart,omitempty"`
	Path           string `json:"path,omitempty"`
	Ref            string `json:"ref,omitempty"`
	TargetRevision string `json:"targetRevision,omitempty"`
	TagPrefix      string `json:"tagPrefix,omitempty"`
	// Commit is what the revision was resolved to: a commit of Git, or what
	// stands for a version. Empty when it is not known.
	Commit string `json:"commit,omitempty"`
	// Tag is the annotated tag of Git that named the commit, which may be what is
	// signed; empty for none, and where it was not kept. It is another name of the
	// commit: no two sources differ by it.
	Tag string `json:"tag,omitempty"`
}

// Place is where a source is, without what it was read at.
func (s SourceAt) Place() SourceAt {
	s.Commit, s.Tag = "", ""
	return s
}

// PlacesOf are the sources of an application, without commits. A source of Git
// that names no revision follows HEAD.
func PlacesOf(spec model.ApplicationSpec) []SourceAt {
	sources := spec.AllSources()
	out := make([]SourceAt, len(sources))
	for i, s := range sources {
		revision := s.TargetRevision
		if revision == "" && TargetOf(s).Type() == Git {
			revision = "HEAD"
		}
		out[i] = SourceAt{RepoURL: s.RepoURL, Chart: s.Chart, Path: s.Path, Ref: s.Ref, TargetRevision: revision, TagPrefix: s.TagPrefix}
	}
	return out
}

// SamePlaces reports whether two lists name the same sources, whatever they are
// resolved to.
func SamePlaces(a, b []SourceAt) bool {
	return slices.EqualFunc(a, b, func(x, y SourceAt) bool {
		return x.Place() == y.Place()
	})
}

// SameSources reports whether two lists name the same sources at the same commits.
func SameSources(a, b []SourceAt) bool {
	return slices.EqualFunc(a, b, func(x, y SourceAt) bool {
		return x.Place() == y.Place() && x.Commit == y.Commit
	})
}

// Untagged are sources without the tags: so what is set aside is stored, which is
// told by its commits.
func Untagged(sources []SourceAt) []SourceAt {
	out := slices.Clone(sources)
	for i := range out {
		out[i].Tag = ""
	}
	return out
}

// Content is the content of a desired state: manifests, and where they are from.
type Content struct {
	// Bundle is empty when the hub does not hold the manifests, as of what an
	// agent deployed before the hub kept a history.
	Bundle      model.Digest
	BundleBytes int64
	Revision    model.Revision
	// Sources it was rendered from; nil when that is not known.
	Sources []SourceAt
}

// same reports whether two contents are the same manifests, read at the same
// revisions.
func (c Content) same(o Content) bool {
	return c.Bundle != "" && c.Bundle == o.Bundle && c.Revision.Commit == o.Revision.Commit && slices.Equal(c.Revision.Sources, o.Revision.Sources)
}

// Cause says who brought about a deployment, and why.
type Cause struct {
	InitiatedBy string
	Reason      string
	Operation   model.OperationID
	Rollback    *model.RollbackSpec
}

// Issued is a desired state that the hub has written, with the cause where it is
// the hub that knows it.
type Issued struct {
	Generation model.Generation
	Content
	Cause
}

// Deployment is one deployment of an application, as an agent reported it.
type Deployment struct {
	// ID numbers the deployments of an application from 1; it never changes.
	ID         int64
	Generation model.Generation
	Content
	Cause
	// StartedAt and DeployedAt are times of the agent's clock.
	StartedAt, DeployedAt time.Time
}

// Entry is the deployment as people see it.
func (d Deployment) Entry() model.HistoryEntry {
	return model.HistoryEntry{
		ID: d.ID, Generation: d.Generation, Revision: d.Revision.Commit, Sources: d.Revision.Sources, Message: d.Revision.Message,
		StartedAt: d.StartedAt, DeployedAt: d.DeployedAt,
		InitiatedBy: d.InitiatedBy, Reason: d.Reason, Operation: d.Operation, Rollback: d.Rollback, Held: d.Bundle != "",
	}
}

// DefaultHistoryLimit is how many deployments are kept when the application
// does not say; Argo CD's default.
const DefaultHistoryLimit = 10

// HistoryLimit is how many deployments of an application are kept.
func HistoryLimit(spec model.ApplicationSpec) int {
	if n := spec.RevisionHistoryLimit; n != nil && *n >= 0 {
		return int(min(*n, 1<<20))
	}
	return DefaultHistoryLimit
}

// maxHistoryText bounds, in bytes, what an agent may add to a deployment in
// words.
const maxHistoryText = 1024

// HistoryMark is how far an application's history was taken from its agent.
type HistoryMark struct {
	// ID is the highest ever given to a deployment.
	ID int64
	// Generation and DeployedAt of the newest entry that was taken.
	Generation model.Generation
	DeployedAt time.Time
}

// before reports whether an agent's entry is newer than the mark.
func (m HistoryMark) before(e model.HistoryEntry) bool {
	return e.Generation > m.Generation || e.Generation == m.Generation && e.DeployedAt.After(m.DeployedAt)
}

// HistoryFacts is what Observe decides on.
type HistoryFacts struct {
	// Issued are the desired states of which a deployment may still be reported.
	Issued []Issued
	// Deployments, by their ids.
	Deployments []Deployment
	Mark        HistoryMark
	// Highest generation that the hub ever issued, or was shown by an agent when
	// the session opened. An agent cannot have deployed more.
	Highest model.Generation
	Limit   int
}

// HistoryChange is what becomes of an application's history.
type HistoryChange struct {
	Add    []Deployment
	Remove []int64
	Mark   HistoryMark
}

// Observe takes an agent's history. The hub is the truth about content, which it
// issued, and the agent about what was deployed, and when. What the hub does not
// know, because its database is an older copy, is kept without manifests. An
// automated sync of a generation that only carried another policy, with the
// manifests of the deployment before it, is no deployment; a sync that somebody
// asked for is one. changed is false when there is nothing new.
func Observe(f HistoryFacts, reported []model.HistoryEntry) (c HistoryChange, changed bool) {
	c.Mark = f.Mark
	reported = slices.Clone(reported)
	for i := range reported {
		// As the database keeps them, so that the mark can be compared.
		e := &reported[i]
		e.StartedAt, e.DeployedAt = e.StartedAt.UTC().Truncate(time.Microsecond), e.DeployedAt.UTC().Truncate(time.Microsecond)
	}
	slices.SortStableFunc(reported, func(a, b model.HistoryEntry) int {
		return cmp.Or(cmp.Compare(a.Generation, b.Generation), a.DeployedAt.Compare(b.DeployedAt))
	})
	all := slices.Clone(f.Deployments)
	for _, e := range reported {
		if e.Generation <= 0 || e.Generation > f.Highest || !c.Mark.before(e) {
			continue
		}
		c.Mark.Generation, c.Mark.DeployedAt, changed = e.Generation, e.DeployedAt, true
		if d, ok := deployment(f.Issued, all, e); ok {
			c.Mark.ID++
			d.ID = c.Mark.ID
			all = append(all, d)
		}
	}
	for i, keep := range kept(all, f.Limit) {
		switch d := all[i]; {
		case !keep && d.ID <= f.Mark.ID:
			c.Remove = append(c.Remove, d.ID)
		case keep && d.ID > f.Mark.ID:
			c.Add = append(c.Add, d)
		}
	}
	return c, changed
}

// kept says which deployments stay in a history of that length. Those go first
// that the next one has repeated, or else ten syncs of the same bad manifests
// would leave nothing to go back to; then the oldest.
func kept(all []Deployment, limit int) []bool {
	out := make([]bool, len(all))
	over := len(all) - limit
	for i := range all {
		out[i] = true
		if over > 0 && i+1 < len(all) && all[i].sameManifests(all[i+1].Content) {
			out[i] = false
			over--
		}
	}
	for i := range all {
		if over > 0 && out[i] {
			out[i] = false
			over--
		}
	}
	return out
}

// sameManifests reports whether two contents are the same manifests, as far as
// is known: where the hub does not hold those of both, by their revisions.
func (c Content) sameManifests(o Content) bool {
	if c.Bundle != "" && o.Bundle != "" {
		return c.Bundle == o.Bundle
	}
	if c.Revision.Commit != o.Revision.Commit {
		return false
	}
	// An agent's own entry names one revision.
	return c.Revision.Sources == nil || o.Revision.Sources == nil || slices.Equal(c.Revision.Sources, o.Revision.Sources)
}

// deployment is what an agent's entry adds to the deployments so far; ok is
// false when that is nothing.
func deployment(issued []Issued, all []Deployment, e model.HistoryEntry) (d Deployment, ok bool) {
	own := Cause{
		InitiatedBy: cutText(e.InitiatedBy), Reason: cutText(e.Reason), Operation: model.OperationID(cutText(string(e.Operation))),
	}
	if r := e.Rollback; r != nil {
		own.Rollback = &model.RollbackSpec{HistoryID: r.HistoryID, SetAside: cutText(r.SetAside)}
	}
	d = Deployment{Generation: e.Generation, StartedAt: e.StartedAt, DeployedAt: e.DeployedAt, Cause: own,
		Content: Content{Revision: model.Revision{Commit: cutText(e.Revision)}}}
	var last *Deployment
	if n := len(all); n > 0 {
		last = &all[n-1]
	}
	again := last != nil && last.Generation == e.Generation
	// When another revision was deployed under the generation, what the hub has
	// is of another life of its database.
	agrees := func(c Content) bool { return e.Revision == "" || e.Revision == c.Revision.Commit }
	i := slices.IndexFunc(issued, func(s Issued) bool { return s.Generation == e.Generation })
	switch {
	case i >= 0 && agrees(issued[i].Content):
		d.Content = issued[i].Content
		if !again {
			// The agent may have brought about by itself what somebody asked the
			// hub for.
			s := issued[i].Cause
			d.InitiatedBy, d.Reason, d.Operation = cmp.Or(s.InitiatedBy, d.InitiatedBy), cmp.Or(s.Reason, d.Reason), cmp.Or(s.Operation, d.Operation)
			if s.Rollback != nil {
				d.Rollback = s.Rollback
			}
		}
	case again && agrees(last.Content):
		d.Content = last.Content
	}
	switch {
	case again && d.Operation != "" && d.Operation == last.Operation:
		return d, false // known by what the hub added to an automated sync
	case last != nil && d.Operation == "" && d.Rollback == nil && last.Content.same(d.Content):
		return d, false
	}
	return d, true
}

func cutText(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxHistoryText)], "")
}

// RollbackFacts is what RollbackTarget decides on.
type RollbackFacts struct {
	App string // its name, for messages
	// History are the deployments, oldest first.
	History []Deployment
	// Desired is what the application's agent is to have now.
	Desired model.Desired
	// Source is the bundle of what the sources gave last.
	Source model.Digest
	Pin    *Pin
}

// RollbackTarget chooses the deployment that a rollback goes back to: the one
// with the id, or with 0 the newest one before what is desired now. Being
// pinned, that is one older than the pin's, and never what was set aside.
//
// Codes: deployment_unknown (NotFound), already_deployed and
// no_older_deployment (Precondition).
func RollbackTarget(f RollbackFacts, id int64) (Deployment, error) {
	desired := Content{Bundle: f.Desired.Bundle, Revision: f.Desired.Revision}
	same := func(d Deployment) bool { return d.sameManifests(desired) }
	if id != 0 {
		for _, d := range f.History {
			if d.ID != id {
				continue
			}
			if same(d) {
				return d, fault.New(fault.Precondition, "already_deployed", "deployment %d of %q has the manifests that are desired now; there is nothing to go back to", id, f.App).
					WithField("historyID")
			}
			return d, nil
		}
		e := fault.New(fault.NotFound, "deployment_unknown", "application %q has no deployment %d in its history", f.App, id).
			WithField("historyID").WithFound(fmt.Sprint(id), listIDs(f.History)).WithFix("choose one of: hawser app history %s", f.App)
		return Deployment{}, e
	}
	for _, d := range slices.Backward(f.History) {
		if f.Pin != nil && (f.Pin.HistoryID != 0 && d.ID >= f.Pin.HistoryID || d.Bundle != "" && d.Bundle == f.Source) {
			continue
		}
		if !same(d) {
			return d, nil
		}
	}
	e := fault.New(fault.Precondition, "no_older_deployment", "application %q has no deployment with other manifests before the present one", f.App)
	if f.Pin != nil && f.Pin.HistoryID != 0 {
		e.Message = fmt.Sprintf("application %q was rolled back to deployment %d, and its history has no older one", f.App, f.Pin.HistoryID)
	}
	return Deployment{}, e.WithFix("look at: hawser app history %s", f.App)
}

// listIDs names the deployments that there are.
func listIDs(history []Deployment) string {
	if len(history) == 0 {
		return "none"
	}
	ids := make([]string, len(history))
	for i, d := range history {
		ids[i] = fmt.Sprint(d.ID)
	}
	return strings.Join(ids, ", ")
}

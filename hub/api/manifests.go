package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// Previews renders what is not deployed. Its methods block while repositories are
// read and tools run; errors are for the user.
type Previews interface {
	// Stored are the objects that are desired of an application now.
	Stored(ctx context.Context, app fleet.App) ([]manifest.Object, model.Revision, error)
	// Heads are what the sources of an application are at, in order. settled: they
	// were looked at, and what was to come of that has come. It does not block.
	Heads(app fleet.App) (heads []SourceHead, settled bool)
	// AtRevisions renders an application with other revisions of its sources, by
	// their index, and asks its project about the result.
	AtRevisions(ctx context.Context, app fleet.App, revisions map[int]string) (Preview, error)
	// OfFiles renders an application with the files of a gzipped tar in place of
	// the source with that index. path is where the source is in it, "" for where
	// the application says.
	OfFiles(ctx context.Context, app fleet.App, source int, path string, tar io.Reader) (Preview, error)
}

// SourceHead is what is known of one source. Head is "" as long as that is not
// known, and Err is why.
type SourceHead struct {
	Source model.Source
	Head   string
	Err    error
}

// Preview is what would be desired.
type Preview struct {
	Objects  []manifest.Object
	Revision model.Revision
	Warnings []model.Condition
}

const (
	// maxFiles bounds the gzipped tar of a directory that is compared.
	maxFiles = 16 << 20
	// maxLiveObjects are read one by one from a cluster for one answer.
	maxLiveObjects = 1000
	// liveAtOnce is how many of them are asked for at a time.
	liveAtOnce = 4
	// maxManifests bounds the manifests of one answer.
	maxManifests = 64 << 20
)

// manifestsAnswer are the objects of an application, values of Secrets redacted.
type manifestsAnswer struct {
	Source   string            `json:"source"` // git or live
	Revision *model.Revision   `json:"revision,omitempty"`
	Items    []json.RawMessage `json:"items"`
	// Missing are objects that could not be read live, with the reason.
	Missing  []missingObject   `json:"missing,omitempty"`
	Warnings []model.Condition `json:"warnings,omitempty"`
}

type missingObject struct {
	model.ObjectKey
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// getManifests answers the manifests of an application: those that are desired
// now, those that other revisions have, or the live objects.
func (a *api) getManifests(c *gin.Context) {
	from := cmp.Or(c.Query("source"), "git")
	revisions, given, err := revisionsIn(c)
	switch {
	case err != nil:
	case from != "git" && from != "live":
		err = fault.New(fault.Invalid, "value_unknown", "source is %q; allowed: git, live", cut(from)).WithField("source").WithFound(cut(from), "git, live")
	case from == "live" && given:
		err = fault.New(fault.Invalid, "value_unknown", "live objects have no revision").WithField("revision").WithFix("leave out revision, or source=live")
	case from == "git" && a.opts.Previews == nil:
		err = errNoPreviews
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	if from == "live" {
		a.liveManifests(c)
		return
	}
	ctx := c.Request.Context()
	app, err := a.store.Application(ctx, c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	var p Preview
	if given {
		var done func()
		if done, err = a.previewing.begin(c); err == nil {
			p, err = a.opts.Previews.AtRevisions(ctx, app, revisions(app))
			done()
		}
	} else {
		p.Objects, p.Revision, err = a.opts.Previews.Stored(ctx, app)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	sensitive, err := a.sensitiveFields(ctx, app.Project)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := manifestsAnswer{Source: from, Revision: &p.Revision, Items: make([]json.RawMessage, 0, len(p.Objects)), Warnings: p.Warnings}
	for _, o := range p.Objects {
		out.Items = append(out.Items, a.shownObject(o, sensitive))
	}
	c.JSON(http.StatusOK, out)
}

var errNoPreviews = fault.New(fault.Precondition, "previews_unsupported", "this hub cannot render what is not deployed")

// sensitiveFields are those of a project, with what it inherits.
func (a *api) sensitiveFields(ctx context.Context, project string) ([]model.SensitiveFields, error) {
	all, err := a.store.Projects(ctx)
	if err != nil {
		return nil, err
	}
	i := indexOfProject(all, project)
	if i < 0 {
		return nil, nil // it has no applications
	}
	return policy.Effective(all[i], all).Spec.SensitiveFields, nil
}

// shownObject is an object with its namespace, and without values of Secrets and of
// the sensitive fields of its project.
func (a *api) shownObject(o manifest.Object, sensitive []model.SensitiveFields) json.RawMessage {
	body := manifest.RedactFields(o.Body, a.redactionKey, manifest.FieldsIn(sensitive, o.Body))
	if o.Key.Namespace != "" {
		if meta, ok := body["metadata"].(map[string]any); ok {
			meta["namespace"] = o.Key.Namespace // a copy, Redact made it
		}
	}
	return manifest.AppendJSON(nil, body)
}

// revisionsIn reads the revisions of a query: "revision", for the first source of
// manifests, or as many of "revision" as of "position", which count from 1.
func revisionsIn(c *gin.Context) (of func(fleet.App) map[int]string, given bool, err error) {
	revisions, positions := c.QueryArray("revision"), c.QueryArray("position")
	for _, r := range revisions {
		if r == "" || len(r) > 512 || strings.ContainsAny(r, "\x00\r\n") {
			return nil, false, fault.New(fault.Invalid, "revision_invalid", "revision %q is none", cut(r)).WithField("revision")
		}
	}
	if len(positions) == 0 {
		if len(revisions) > 1 {
			return nil, false, fault.New(fault.Invalid, "position_missing", "%d revisions need as many positions", len(revisions)).WithField("position")
		}
		return func(app fleet.App) map[int]string { return map[int]string{firstSource(app): revisions[0]} }, len(revisions) == 1, nil
	}
	if len(positions) != len(revisions) {
		return nil, false, fault.New(fault.Invalid, "position_missing", "%d revisions and %d positions do not go together", len(revisions), len(positions)).WithField("position")
	}
	at := map[int]string{}
	for i, p := range positions {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 {
			return nil, false, fault.New(fault.Invalid, "source_position_unknown", "position %q is not a number from 1", cut(p)).WithField("position")
		}
		at[n-1] = revisions[i]
	}
	return func(fleet.App) map[int]string { return at }, true, nil
}

// firstSource is the index of the first source that manifests come from.
func firstSource(app fleet.App) int {
	return max(0, slices.IndexFunc(app.Application.Spec.AllSources(), model.Source.HasManifests))
}

// liveManifests reads the application's objects from its cluster.
func (a *api) liveManifests(c *gin.Context) {
	view, err := a.store.AppView(c.Request.Context(), c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	var wanted []model.ResourceStatus
	for _, r := range view.Resources {
		if r.Hook == "" && r.Health.Status != model.HealthMissing {
			wanted = append(wanted, r)
		}
	}
	if len(wanted) > maxLiveObjects {
		a.fail(c, fault.New(fault.TooLarge, "answer_too_large", "%q has %d objects; at most %d are read from a cluster at once", view.Name, len(wanted), maxLiveObjects).
			WithFix("look at one: hawser app resource %s KIND/NAME", view.Name))
		return
	}
	sensitive, err := a.sensitiveFields(c.Request.Context(), view.Project)
	if err != nil {
		a.fail(c, err)
		return
	}
	items := make([]json.RawMessage, len(wanted))
	var (
		mu      sync.Mutex
		size    int
		missing []missingObject
		g       errgroup.Group
	)
	g.SetLimit(liveAtOnce)
	for i, r := range wanted {
		g.Go(func() error {
			group := r.Group
			body, err := a.readLive(c, model.ObjectSelector{Group: &group, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}, sensitive)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case fault.Is(err, fault.NotFound):
				e := fault.As(err)
				missing = append(missing, missingObject{r.ObjectKey, e.Code, e.Message})
				return nil
			case err != nil:
				return err
			}
			if size += len(body); size > maxManifests {
				return fault.New(fault.TooLarge, "answer_too_large", "the objects are larger than %d MiB together", maxManifests>>20)
			}
			items[i] = body
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		a.fail(c, err)
		return
	}
	items = slices.DeleteFunc(items, func(b json.RawMessage) bool { return b == nil })
	c.JSON(http.StatusOK, manifestsAnswer{Source: "live", Items: items, Missing: missing})
}

// readLive reads one live object, values of Secrets redacted.
func (a *api) readLive(c *gin.Context, which model.ObjectSelector, sensitive []model.SensitiveFields) (json.RawMessage, error) {
	l, err := a.look(c, model.AccessRequest{Timeout: objectTimeout, Object: &model.ObjectQuery{ObjectSelector: which}})
	if err != nil {
		return nil, err
	}
	defer l.close()
	var body []byte
	for {
		m, err := l.receive()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if m.End != nil || err != nil {
			break
		}
		if body = append(body, m.Object...); len(body) > maxObject {
			return nil, fault.New(fault.TooLarge, "object_too_large", "the object is larger than %d MiB", maxObject>>20)
		}
	}
	body, secret, err := guardObject(body, sensitive)
	if secret != nil {
		a.log.InfoContext(l.ctx, "a Secret was read, its values redacted", "application", l.app.Name, "by", l.by.Name, "from", address(c.Request),
			"namespace", cut(secret.Namespace), "name", cut(secret.Name))
	}
	return body, err
}

// comparison is how one object would change.
type comparison struct {
	model.ObjectKey
	// Status is Created, Configured, Pruned or Unchanged.
	Status string `json:"status"`
	// From and To are the object as it is desired now and as it would be, values
	// of Secrets redacted; both are left out of what is unchanged.
	From json.RawMessage `json:"from,omitempty"`
	To   json.RawMessage `json:"to,omitempty"`
}

// comparisonAnswer tells two desired states apart. The cluster is not asked.
type comparisonAnswer struct {
	From     model.Revision    `json:"from"`
	To       model.Revision    `json:"to"`
	Items    []comparison      `json:"items"`
	Warnings []model.Condition `json:"warnings,omitempty"`
}

// compareApplication renders an application from other revisions, or from the
// files in the body, and compares that with what is desired now.
func (a *api) compareApplication(c *gin.Context) {
	ctx := c.Request.Context()
	if a.opts.Previews == nil {
		a.fail(c, errNoPreviews)
		return
	}
	app, err := a.store.Application(ctx, c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	before, was, err := a.opts.Previews.Stored(ctx, app)
	if err != nil {
		a.fail(c, err)
		return
	}
	p, err := a.preview(c, app)
	if err != nil {
		a.fail(c, err)
		return
	}
	sensitive, err := a.sensitiveFields(ctx, app.Project)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, comparisonAnswer{From: was, To: p.Revision, Items: a.compare(before, p.Objects, sensitive), Warnings: p.Warnings})
}

// preview renders what the request asks for.
func (a *api) preview(c *gin.Context, app fleet.App) (Preview, error) {
	done, err := a.previewing.begin(c)
	if err != nil {
		return Preview{}, err
	}
	defer done()
	media, _, _ := strings.Cut(c.GetHeader("Content-Type"), ";")
	if c.Request.ContentLength == 0 && media == "" {
		revisions, given, err := revisionsIn(c)
		if err != nil {
			return Preview{}, err
		}
		if !given {
			return Preview{}, fault.New(fault.Invalid, "revision_missing", "name a revision, or send the files to compare with").WithField("revision")
		}
		return a.opts.Previews.AtRevisions(c.Request.Context(), app, revisions(app))
	}
	if media != "application/gzip" {
		return Preview{}, fault.New(fault.Invalid, "unsupported_media_type", "content type %q is not taken; send application/gzip", cut(media)).
			WithFound(cut(media), "application/gzip")
	}
	if c.Query("revision") != "" {
		return Preview{}, fault.New(fault.Invalid, "value_unknown", "files have no revision").WithField("revision")
	}
	source := firstSource(app)
	if p := c.Query("position"); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 {
			return Preview{}, fault.New(fault.Invalid, "source_position_unknown", "position %q is not a number from 1", cut(p)).WithField("position")
		}
		source = n - 1
	}
	p, err := a.opts.Previews.OfFiles(c.Request.Context(), app, source, c.Query("path"), http.MaxBytesReader(c.Writer, c.Request.Body, maxFiles))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		err = fault.New(fault.TooLarge, "body_too_large", "the packed directory is larger than %d MiB", maxFiles>>20).
			WithFix("send only what the application reads, with --local-include or a smaller --local-repo-root")
	}
	return p, err
}

// compare tells objects apart by key: what is deleted comes first, as in a sync
// that has to make room, then all others in the order of the second list.
func (a *api) compare(before, after []manifest.Object, sensitive []model.SensitiveFields) []comparison {
	old := make(map[model.ObjectKey]manifest.Object, len(before))
	for _, o := range before {
		old[o.Key] = o
	}
	changes := make([]comparison, 0, len(after))
	for _, o := range after {
		x := comparison{ObjectKey: o.Key, Status: "Created"}
		was, known := old[o.Key]
		delete(old, o.Key)
		switch {
		case known && manifest.Hash(was.Body) == manifest.Hash(o.Body):
			x.Status = "Unchanged"
		case known:
			x.Status, x.From, x.To = "Configured", a.shownObject(was, sensitive), a.shownObject(o, sensitive)
		default:
			x.To = a.shownObject(o, sensitive)
		}
		changes = append(changes, x)
	}
	out := make([]comparison, 0, len(changes)+len(old))
	for _, o := range slices.Backward(before) { // in the order of pruning
		if _, gone := old[o.Key]; gone {
			out = append(out, comparison{ObjectKey: o.Key, Status: "Pruned", From: a.shownObject(o, sensitive)})
		}
	}
	return append(out, changes...)
}

// resourcesAnswer lists what an application has in its cluster.
type resourcesAnswer struct {
	Items []model.ResourceStatus `json:"items"`
	// Orphaned are objects of its namespace that no application owns, when they
	// were asked for and its project looks for them; OrphanedTotal also counts
	// those that are not told.
	Orphaned      []model.ResourceStatus `json:"orphaned,omitempty"`
	OrphanedTotal int                    `json:"orphanedTotal,omitempty"`

	Revision   string           `json:"revision,omitempty"`
	Generation model.Generation `json:"generation"`
	// State identifies what is desired and how the live objects differ from it;
	// a sync can be asked for under the condition that it is still this.
	State     string          `json:"state"`
	Freshness model.Freshness `json:"freshness"`
	Total     int             `json:"total"`
}

// listResources answers the objects of an application, without the rest of it.
func (a *api) listResources(c *gin.Context) {
	view, err := a.store.AppView(c.Request.Context(), c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	out := resourcesAnswer{Items: view.Resources, Revision: view.Desired.Commit, Generation: view.Generation, State: stateOf(view), Freshness: view.Freshness}
	if out.Items == nil {
		out.Items = []model.ResourceStatus{}
	}
	out.Total = len(out.Items)
	if c.Query("orphaned") == "true" {
		if err := a.addOrphaned(c.Request.Context(), view.UID, &out); err != nil {
			a.fail(c, err)
			return
		}
	}
	c.JSON(http.StatusOK, out)
}

// addOrphaned adds what no application owns. It has no sync facet: nobody desires
// it.
func (a *api) addOrphaned(ctx context.Context, app model.AppUID, out *resourcesAnswer) error {
	tree, err := a.store.Tree(ctx, app)
	if fault.HasCode(err, "tree_not_found") {
		return nil
	}
	if err != nil {
		return err
	}
	for _, n := range tree.Orphaned {
		out.Orphaned = append(out.Orphaned, model.ResourceStatus{ObjectKey: n.ObjectKey, Version: n.Version, UID: n.UID, Health: n.Health})
	}
	out.OrphanedTotal = tree.OrphanedTotal
	return nil
}

// stateOf identifies what a plan is made of: the desired state, and in what the
// live objects differ from it. Health is none of it, nor are times.
func stateOf(v model.AppView) string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	write := func(x any) { _ = enc.Encode(x) } // a hash takes everything, and only strings and numbers are in it
	write([]any{v.UID, v.Desired.Commit, v.Desired.Sources, v.Generation})
	for _, r := range v.Resources {
		if r.Hook != "" {
			continue // it has run, or not
		}
		write([]any{r.ObjectKey, r.UID, r.Sync.Status, r.RequiresPruning})
		for _, d := range r.Differences {
			write([]string{d.Path, d.Desired, d.Live})
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// planHolds refuses a sync that was asked for with a plan when what the plan was
// made of has moved since.
func (a *api) planHolds(c *gin.Context) error {
	want := c.Query("state")
	if want == "" {
		return nil
	}
	view, err := a.store.AppView(c.Request.Context(), c.Param("name"))
	if err != nil {
		return err
	}
	if now := stateOf(view); now != want {
		return fault.New(fault.Precondition, "stale_plan", "what the plan of %q was made of has moved: its revision, or objects in its cluster", view.Name).
			WithField("state").WithFound(cut(want), now).WithFix("plan again: hawser app plan %s", view.Name)
	}
	return nil
}

// sourceState is one source of an application as it is shown.
type sourceState struct {
	RepoURL        string `json:"repoURL"`
	Path           string `json:"path,omitempty"`
	Chart          string `json:"chart,omitempty"`
	Ref            string `json:"ref,omitempty"`
	TargetRevision string `json:"targetRevision,omitempty"`
	// Head is the commit or version that it is at; Rendered the one that what is
	// desired was rendered from. Settled: what was to come of the head has come, so
	// that another Rendered means that nothing has changed for the application.
	Head     string `json:"head,omitempty"`
	Rendered string `json:"rendered,omitempty"`
	Settled  bool   `json:"settled"`
	// Code and Error are why the head is not known, or was not the last time.
	Code  string `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
}

// listSources answers what the sources of an application are at.
func (a *api) listSources(c *gin.Context) {
	if a.opts.Previews == nil {
		a.fail(c, errNoPreviews)
		return
	}
	// The heads come first: of what is stored then, they are not newer than it.
	app, err := a.store.Application(c.Request.Context(), c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	heads, settled := a.opts.Previews.Heads(app)
	if app, err = a.store.Application(c.Request.Context(), app.Name); err != nil {
		a.fail(c, err)
		return
	}
	a.answerSources(c, app, heads, settled)
}

func (a *api) answerSources(c *gin.Context, app fleet.App, heads []SourceHead, settled bool) {
	items := make([]sourceState, len(heads))
	for i, h := range heads {
		s := h.Source
		items[i] = sourceState{RepoURL: fleet.MaskURLs(s.RepoURL), Path: s.Path, Chart: s.Chart, Ref: s.Ref, TargetRevision: s.TargetRevision, Head: h.Head, Settled: settled}
		if h.Err != nil {
			e := fault.As(h.Err)
			items[i].Code, items[i].Error = e.Code, fleet.MaskURLs(e.Message)
		}
		if i < len(app.Source.Sources) {
			items[i].Rendered = app.Source.Sources[i].Commit
		}
	}
	c.JSON(http.StatusOK, newList(a, items))
}

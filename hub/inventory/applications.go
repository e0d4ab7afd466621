package inventory

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
)

// seenApp is an application at a moment. What nearly every list counts is kept
// beside the pointer: to go and look at ten thousand applications takes longer
// than to count them.
type seenApp struct {
	*app
	fresh model.Freshness
	// healthWord is the health that filters find and facets count: what was healthy
	// when it was last heard of is not known to be. Other words stay, so that trouble
	// is found when its cluster is silent. syncWord is the same of the sync facet.
	healthWord, syncWord string
}

func seen(a *app, fresh model.Freshness) seenApp {
	s := seenApp{a, fresh, a.health, a.sync}
	if s.trusted() {
		return s
	}
	if s.healthWord == "healthy" {
		s.healthWord = "unknown"
	}
	if s.syncWord == "synced" {
		s.syncWord = "unknown"
	}
	return s
}

func (x *Index) moment(s *snapshot) moment {
	return moment{snapshot: s, sights: &x.sights, key: x.key, now: x.opts.Now().UTC(), ttl: x.opts.Store.LeaseTime()}
}

// Applications answers a list of applications.
func (x *Index) Applications(ctx context.Context, q fleet.ListQuery) (fleet.ListPage, error) {
	if err := checkNames("sort", "sort_invalid", q.Sort, AppSorts); err != nil {
		return fleet.ListPage{}, err
	}
	if err := checkNames("fields", "fields_invalid", q.Fields, AppFields); err != nil {
		return fleet.ListPage{}, err
	}
	if err := checkNames("facets", "facets_invalid", q.Facets, append(slices.Clone(AppFacets), "label:")); err != nil {
		return fleet.ListPage{}, err
	}
	if q.Group != "" {
		if err := checkNames("group", "group_invalid", []string{q.Group}, append(slices.Clone(AppGroups), "label:")); err != nil {
			return fleet.ListPage{}, err
		}
	}
	m := x.moment(x.current(ctx))
	filters, err := x.terms(q, Applications)
	if err != nil {
		return fleet.ListPage{}, err
	}
	f, v := m.fleetNow(), m.sees(&q.Sight)
	asked, may := x.ask(m, f, v, q, filters)
	if may {
		if page, ok := x.recall(ctx, m, v, asked, q); ok {
			return page, nil
		}
	}
	all := f.seen(v)
	if q.Labels != nil {
		all = slices.DeleteFunc(slices.Clone(all), func(a seenApp) bool { return !q.Labels(a.app.Labels) })
	}
	got, err := m.kindOfApps().choose(all, filters, q)
	if err != nil {
		return fleet.ListPage{}, err
	}
	page := m.page(got.total, got.facets, got.next)
	page.Groups = got.groups
	page.Items = make([]json.RawMessage, len(got.page))
	names, spans := make([]string, len(got.page)), make([]span, len(got.page))
	for i, a := range got.page {
		names[i] = a.Name
		if q.Fields == nil {
			page.Items[i], spans[i] = m.summary(a)
		} else if page.Items[i], spans[i], err = m.fields(a, q.Fields); err != nil {
			return fleet.ListPage{}, err
		}
	}
	if may {
		x.keep(ctx, asked, page, names, spans)
	}
	return page, nil
}

func (m moment) page(total int, facets map[string]fleet.Facet, next []string) fleet.ListPage {
	asOf := m.asOf
	return fleet.ListPage{Total: total, Facets: facets, Next: next, AsOf: asOf.UTC(), Away: m.away, Items: []json.RawMessage{}}
}

// sees is what somebody sees, nil for everything.
func (m moment) sees(sight *fleet.Sight) *visible {
	if sight.Sees == nil {
		return nil
	}
	return m.visible(sight)
}

// seen are the applications that are seen, by name. What comes back is shared: nobody
// may write to it.
func (m moment) seen(sight *fleet.Sight) []seenApp { return m.fleetNow().seen(m.sees(sight)) }

func (f *fleetNow) seen(v *visible) []seenApp {
	if v == nil {
		return f.apps
	}
	out := make([]seenApp, 0, v.count)
	for i := range f.apps {
		if v.has(f.apps[i].place) {
			out = append(out, f.apps[i])
		}
	}
	return out
}

// sameMoment is how long freshness is not computed again for one snapshot. It
// turns with signs of life, which are seconds apart.
const sameMoment = 250 * time.Millisecond

// fleetNow are all applications with their freshness.
type fleetNow struct {
	at   time.Time
	apps []seenApp
	// marks are theirs, and all is the state of all, once somebody asked for a page that
	// may be kept; nil when it cannot be said what there is.
	marking sync.Once
	marks   []seenMark
	all     seenState
}

// fleetNow may be another each time it is called: what belongs together is made from
// one.
func (m moment) fleetNow() *fleetNow {
	if f := m.fleet.Load(); f != nil {
		if age := m.now.Sub(f.at); age >= 0 && age < sameMoment {
			return f
		}
	}
	f := &fleetNow{at: m.now, apps: make([]seenApp, len(m.apps))}
	for i, a := range m.apps {
		f.apps[i] = seen(a, m.freshness(a))
	}
	m.fleet.Store(f)
	return f
}

func word(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// ready: as asked for, healthy, lately confirmed, nothing is under way, and the newest
// revision is not one that cannot be rendered.
func (a seenApp) ready() bool {
	return !a.unrendered && a.sync == "synced" && a.health == "healthy" && a.trusted() && (a.op != "queued" && a.op != "running")
}

// trusted: what is shown of it still holds.
func (a seenApp) trusted() bool { return a.fresh == model.FreshLive || a.fresh == model.FreshLagging }

func (a seenApp) is(state string) bool {
	switch state {
	case "ready":
		return a.ready()
	case "healthy":
		return a.healthWord == "healthy"
	case "synced":
		return a.syncWord == "synced"
	case "live", "lagging", "stale", "never":
		return string(a.fresh) == state
	case "auto":
		return a.AutoSync
	case "pinned":
		return a.Pin != nil
	case "deleting":
		return a.Deleting
	case "running":
		return a.op == "running" || a.op == "queued"
	case "unrendered":
		return a.aside
	case "failing":
		return a.op == "failed" || a.op == "expired"
	}
	return false
}

func (m moment) kindOfApps() kind[seenApp] {
	return kind[seenApp]{
		name: func(a seenApp) string { return a.Name },
		test: m.testOfApps,
		key:  m.sortOfApps,
		fact: m.factOfApps,
	}
}

func (m moment) testOfApps(t filter.Term) func(seenApp) bool {
	switch t.Key {
	case "name":
		return func(a seenApp) bool { return t.Text(a.Name) }
	case "project":
		return func(a seenApp) bool { return t.Text(a.Project) }
	case "cluster":
		return func(a seenApp) bool { return t.Text(a.Cluster) }
	case "clusterID":
		return func(a seenApp) bool { return t.Text(string(a.ClusterID)) }
	case "namespace":
		return func(a seenApp) bool { return t.Text(a.Namespace) }
	case "sync":
		return func(a seenApp) bool { return t.Word(a.syncWord) }
	case "reason":
		return func(a seenApp) bool { return t.Word(a.reason) }
	case "health":
		return func(a seenApp) bool { return t.Word(a.healthWord) }
	case "operation":
		return func(a seenApp) bool { return t.Word(a.op) }
	case "freshness":
		return func(a seenApp) bool { return t.Word(string(a.fresh)) }
	case "repo":
		return func(a seenApp) bool { return t.Text(a.RepoURL) }
	case "path":
		return func(a seenApp) bool { return t.Text(a.Path) }
	case "revision":
		return func(a seenApp) bool {
			if exact, ok := t.Exact(); ok { // a commit is named by its beginning
				return slices.ContainsFunc(exact, func(s string) bool { return a.Revision == s || len(s) >= 7 && strings.HasPrefix(a.Revision, s) })
			}
			return t.Text(a.Revision)
		}
	case "target":
		return func(a seenApp) bool { return t.Text(a.Target) }
	case "auto":
		return func(a seenApp) bool { return t.Word(word(a.AutoSync)) }
	case "pinned":
		return func(a seenApp) bool { return t.Word(word(a.Pin != nil)) }
	case "deleting":
		return func(a seenApp) bool { return t.Word(word(a.Deleting)) }
	case "code":
		return func(a seenApp) bool { return t.Texts(a.codes) }
	case "changed":
		return func(a seenApp) bool { return t.Age(m.now, a.changed) }
	case "created":
		return func(a seenApp) bool { return t.Age(m.now, a.CreatedAt) }
	case "observed":
		return func(a seenApp) bool {
			at := m.observedAt(a.app)
			if at == nil {
				return t.Age(m.now, time.Time{})
			}
			return t.Age(m.now, *at)
		}
	case "label":
		return func(a seenApp) bool { return t.LabelOf(a.Labels, m.labelsOf(a.ClusterID)) }
	case "cluster.label":
		return func(a seenApp) bool { return t.LabelOf(m.labelsOf(a.ClusterID)) }
	case "is":
		return func(a seenApp) bool { return slices.ContainsFunc(t.Words, a.is) != t.Not }
	}
	return func(seenApp) bool { return false } // the schema has no such key
}

var healthRank, freshRank = map[string]float64{}, map[model.Freshness]float64{model.FreshLive: 1, model.FreshLagging: 2, model.FreshStale: 3, model.FreshNever: 4}

func init() {
	for i, h := range model.HealthOrder {
		healthRank[strings.ToLower(string(h))] = float64(i + 1)
	}
}

func (m moment) sortOfApps(key string) func(seenApp) sortValue {
	at := func(t time.Time) sortValue {
		if t.IsZero() {
			return sortValue{}
		}
		return sortValue{n: float64(t.UnixMicro())}
	}
	switch key {
	case "project":
		return func(a seenApp) sortValue { return sortValue{s: a.Project} }
	case "cluster":
		return func(a seenApp) sortValue { return sortValue{s: a.Cluster} }
	case "namespace":
		return func(a seenApp) sortValue { return sortValue{s: a.Namespace} }
	case "sync":
		return func(a seenApp) sortValue { return sortValue{s: a.sync + " " + a.reason} }
	case "health":
		return func(a seenApp) sortValue { return sortValue{n: healthRank[a.health]} }
	case "operation":
		return func(a seenApp) sortValue { return sortValue{s: a.op} }
	case "freshness":
		return func(a seenApp) sortValue { return sortValue{n: freshRank[a.fresh]} }
	case "repo":
		return func(a seenApp) sortValue { return sortValue{s: a.RepoURL} }
	case "path":
		return func(a seenApp) sortValue { return sortValue{s: a.Path} }
	case "revision":
		return func(a seenApp) sortValue { return sortValue{s: a.Revision} }
	case "changed":
		return func(a seenApp) sortValue { return at(a.changed) }
	case "created":
		return func(a seenApp) sortValue { return at(a.CreatedAt) }
	case "observed":
		return func(a seenApp) sortValue {
			if t := m.observedAt(a.app); t != nil {
				return at(*t)
			}
			return sortValue{}
		}
	}
	return func(a seenApp) sortValue { return sortValue{s: a.Name} }
}

func (m moment) factOfApps(facet string) func(seenApp) string {
	switch facet {
	case "project":
		return func(a seenApp) string { return a.Project }
	case "cluster":
		return func(a seenApp) string { return a.Cluster }
	case "namespace":
		return func(a seenApp) string { return a.Namespace }
	case "repo":
		return func(a seenApp) string { return a.RepoURL }
	case "sync":
		return func(a seenApp) string { return a.syncWord }
	case "health":
		return func(a seenApp) string { return a.healthWord }
	case "freshness":
		return func(a seenApp) string { return string(a.fresh) }
	case "operation":
		return func(a seenApp) string { return a.op }
	}
	if name, ok := strings.CutPrefix(facet, "cluster.label:"); ok {
		return func(a seenApp) string { return m.labelsOf(a.ClusterID)[name] }
	}
	name := strings.TrimPrefix(facet, "label:")
	return func(a seenApp) string {
		if v, ok := a.Labels[name]; ok {
			return v
		}
		return m.labelsOf(a.ClusterID)[name]
	}
}

// summary is a row of at most about 300 bytes. Its fields are those of
// model.AppView, so that whoever reads one reads the other.
func (m moment) summary(a seenApp) (json.RawMessage, span) {
	a.once.Do(func() {
		b := make([]byte, 0, 224)
		b = append(b, `{"name":`...)
		b = appendText(b, a.Name)
		b = append(b, `,"project":`...)
		b = appendText(b, a.Project)
		b = append(b, `,"cluster":`...)
		b = appendText(b, a.Cluster)
		if a.Namespace != "" {
			b = append(b, `,"namespace":`...)
			b = appendText(b, a.Namespace)
		}
		b = append(b, `,"sync":{"status":`...)
		b = appendText(b, string(a.Sync.Status))
		if a.Sync.Reason != "" {
			b = append(b, `,"reason":`...)
			b = appendText(b, string(a.Sync.Reason))
		}
		b = append(b, `},"health":{"status":`...)
		b = appendText(b, string(a.Health.Status))
		b = append(b, '}')
		if op := a.Operation; op != nil {
			b = append(b, `,"operation":{"kind":`...)
			b = appendText(b, string(op.Kind))
			b = append(b, `,"phase":`...)
			b = appendText(b, string(op.Phase))
			b = append(b, '}')
		}
		if a.Revision != "" {
			b = append(b, `,"revision":`...)
			b = appendText(b, shortRevision(a.Revision))
		}
		if a.Deleting {
			b = append(b, `,"deleting":true`...)
		}
		a.head = b
	})
	b := make([]byte, 0, len(a.head)+64)
	b = append(b, a.head...)
	b = append(b, `,"freshness":"`...)
	b = append(b, a.fresh...)
	b = append(b, '"')
	var seen span
	if at := m.observedAt(a.app); at != nil {
		b = append(b, `,"observedAt":`...)
		seen.from = len(b)
		b = appendSeen(b, *at, true)
		seen.to = len(b)
	}
	return append(b, '}'), seen
}

// shortRevision is a commit as people write it, a fifth of the longest: a page has
// many. Versions and digests stay.
func shortRevision(s string) string {
	if len(s) == 40 && !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) }) {
		return s[:8]
	}
	return s
}

func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // a string always encodes
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// fields is a row with the fields that were asked for.
func (m moment) fields(a seenApp, names []string) (json.RawMessage, span, error) {
	var seen span
	b := []byte{'{'}
	for _, name := range names {
		v := m.field(a, name)
		if v == nil {
			continue
		}
		text, err := encoded(v)
		if err != nil {
			return nil, seen, err
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(strconv.AppendQuote(b, name), ':')
		from := len(b)
		b = append(b, text...)
		if name == "observedAt" {
			seen = span{from, len(b)}
		}
	}
	return append(b, '}'), seen, nil
}

func (m moment) field(a seenApp, name string) any {
	text := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	switch name {
	case "uid":
		return a.UID
	case "name":
		return a.Name
	case "project":
		return a.Project
	case "cluster":
		return a.Cluster
	case "clusterID":
		return a.ClusterID
	case "namespace":
		return text(a.Namespace)
	case "repoURL":
		return text(a.RepoURL)
	case "path":
		return text(a.Path)
	case "targetRevision":
		return text(a.Target)
	case "autoSync":
		return a.AutoSync
	case "desired":
		return a.Desired
	case "generation":
		return a.Generation
	case "sync":
		return a.Sync
	case "health":
		return a.Health
	case "operation":
		if a.Operation != nil {
			return a.Operation
		}
	case "freshness":
		return a.fresh
	case "observedAt":
		if t := m.observedAt(a.app); t != nil {
			return t
		}
	case "revision":
		return text(a.Revision)
	case "deleting":
		if a.Deleting {
			return true
		}
	case "pin":
		if a.Pin != nil {
			return a.Pin
		}
	case "conditions":
		if len(a.Conditions) > 0 {
			return a.Conditions
		}
	case "labels":
		if len(a.Labels) > 0 {
			return a.Labels
		}
	case "createdAt":
		return a.CreatedAt
	case "changedAt":
		return a.changed
	}
	return nil
}

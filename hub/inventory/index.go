package inventory

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// Store is what the index reads. All methods block for a round trip.
type Store interface {
	// AppRows reads applications; nil: all.
	AppRows(ctx context.Context, uids []model.AppUID) ([]fleet.AppRow, error)
	Clusters(ctx context.Context) ([]model.Cluster, error)
	Projects(ctx context.Context) ([]model.AppProject, error)
	Repositories(ctx context.Context) ([]model.Repository, error)
	// Leases of nil are those of all clusters.
	Leases(ctx context.Context, of []model.ClusterID) ([]fleet.Lease, error)
	// Operations are those that a filter means, the newest first, at most its
	// limit; CountOperations counts the newest of them.
	Operations(ctx context.Context, f fleet.OperationFilter) ([]model.OperationInfo, error)
	CountOperations(ctx context.Context, f fleet.OperationFilter) ([]fleet.OperationCount, error)
	LeaseTime() time.Duration
}

// Options of New. Zero values have defaults.
type Options struct {
	Store Store
	// Reload is how often everything is read again; 30 s by default.
	Reload time.Duration
	// Leases is how often the signs of life are read; 3 s by default.
	Leases time.Duration
	// Patience is how long a list waits for what was acknowledged to be read,
	// before it is answered as what is known; 2 s by default.
	Patience time.Duration
	// Silence is how long a read may take before the database counts as away; 10 s
	// by default. A read of everything may take six times as long.
	Silence time.Duration
	// Pages keeps pages of lists; nil: each is made anew. PageKey is a secret of the
	// hubs that share them, in all of them the same.
	Pages   Pages
	PageKey [32]byte
	// Now may be nil for the system's clock.
	Now func() time.Time
	Log *slog.Logger // nil: none
}

// Index is the inventory. It is safe for concurrent use.
type Index struct {
	opts Options
	key  *pageKey // nil: no pages are kept
	snap atomic.Pointer[snapshot]

	// mu guards what writers share.
	mu    sync.Mutex
	reads uint64 // number of the newest read that began
	state state
	// clustersRead and othersRead are the reads that found the clusters, and the
	// projects and repositories.
	clustersRead, othersRead, reposRead uint64
	loading                             bool // a read of everything is under way
	// gone remembers, while everything is read, what was removed meanwhile.
	gone map[model.AppUID]uint64

	// changed are rows to be read soon, written those that an answer told of.
	changed, written map[model.AppUID]struct{}
	// others: clusters, projects or repositories were written.
	othersWritten bool
	// reposWritten: what is known of a repository changed; sessionsWritten: of
	// clusters.
	reposWritten, sessionsWritten bool
	// writes counts what was acknowledged; all up to through was read.
	writes, through uint64
	// answering: the database is away by what reads found, and has taken a write
	// since.
	answering bool
	flight    *flight            // the read that lists wait for, nil when there is none
	counted   map[string]counted // of operations, by what is asked
	sights    sights
	timeline  timeline
	// clustersChanged: sessions opened or closed, or clusters reported.
	clustersChanged atomic.Bool
	wake            chan struct{}
	// One read of what changed at a time, and one of everything.
	reading, readingAll sync.Mutex
}

// flight is a read of what was acknowledged; err is set when done is closed.
type flight struct {
	done chan struct{}
	err  error
}

// state is what snapshots are made of.
type state struct {
	apps     map[model.AppUID]*app
	byName   []*app
	clusters map[model.ClusterID]*cluster
	projects []*project
	repos    []*repository
	// version changes with the projects and with what is deployed where, naming with
	// the names of the projects.
	version, naming uint64
	places          places
	asOf            time.Time
	away            bool
	// moved is when applications were last removed, changed when a row was last
	// another.
	moved, changed time.Time
}

// snapshot is what readers see; nothing in it changes.
type snapshot struct {
	apps     []*app
	clusters []*cluster
	byID     map[model.ClusterID]*cluster
	projects []*project
	repos    []*repository
	names    []string // of the projects
	version  uint64
	naming   uint64 // changes with the names
	places   places
	asOf     time.Time
	away     bool
	moved    time.Time
	changed  time.Time
	// perProject counts applications.
	perProject map[string]int
	// fleet is what lists of the last moment were made from.
	fleet atomic.Pointer[fleetNow]
}

// New makes an Index that knows nothing until Load or Run has read.
func New(o Options) *Index {
	o.Reload = cmp.Or(o.Reload, 30*time.Second)
	o.Leases = cmp.Or(o.Leases, 3*time.Second)
	o.Patience = cmp.Or(o.Patience, 2*time.Second)
	o.Silence = cmp.Or(o.Silence, 10*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	x := &Index{opts: o, wake: make(chan struct{}, 1), changed: map[model.AppUID]struct{}{}, written: map[model.AppUID]struct{}{}, counted: map[string]counted{}}
	if o.Pages != nil {
		key := pageKey(o.PageKey)
		x.key = &key
	}
	x.state.apps, x.state.clusters = map[model.AppUID]*app{}, map[model.ClusterID]*cluster{}
	x.publish()
	return x
}

// Load reads everything. What was noted as written or changed stays noted: it may
// have come after the rows were read.
func (x *Index) Load(caller context.Context) error {
	ctx, cancel := context.WithTimeout(caller, 6*x.opts.Silence)
	defer cancel()
	x.readingAll.Lock()
	defer x.readingAll.Unlock()
	x.mu.Lock()
	x.reads++
	began := x.reads
	x.loading, x.gone = true, map[model.AppUID]uint64{}
	x.mu.Unlock()

	at := x.opts.Now()
	clusters, err := x.opts.Store.Clusters(ctx)
	var (
		projects []model.AppProject
		repos    []model.Repository
		rows     []fleet.AppRow
		leases   []fleet.Lease
		ended    []model.OperationInfo
	)
	if err == nil {
		projects, err = x.opts.Store.Projects(ctx)
	}
	if err == nil {
		repos, err = x.opts.Store.Repositories(ctx)
	}
	if err == nil {
		rows, err = x.opts.Store.AppRows(ctx, nil)
	}
	if err == nil {
		leases, err = x.opts.Store.Leases(ctx, nil)
	}
	if err == nil {
		ended, err = x.opts.Store.Operations(ctx, fleet.OperationFilter{Limit: x.operationsOfTimeline()})
	}
	apps := x.newApps(rows, began)

	x.mu.Lock()
	defer x.mu.Unlock()
	gone := x.gone
	x.loading, x.gone = false, nil
	if err != nil {
		x.failed(caller)
		return err
	}
	x.timeline.read(at, x.state.away, x.opts.Store.LeaseTime())
	x.setOthers(clusters, projects, repos, began)
	x.setLeases(leases)
	for i := range ended {
		x.timeline.operation(at, &ended[i], x.clusterName(ended[i].Cluster))
	}
	found := make(map[model.AppUID]struct{}, len(rows))
	for i := range rows {
		uid := rows[i].UID
		found[uid] = struct{}{}
		if gone[uid] > began {
			continue
		}
		x.put(apps[i])
	}
	for uid, a := range x.state.apps {
		if _, ok := found[uid]; !ok && a.read <= began {
			x.remove(a)
		}
	}
	x.sort()
	x.state.asOf, x.state.away, x.answering = later(x.state.asOf, at), false, false
	x.publish()
	x.wakeUp() // for what waited for the database
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// failed notes that a read failed. When that is because its caller went away it
// says nothing about the database. x.mu is held.
func (x *Index) failed(caller context.Context) {
	if caller.Err() != nil {
		return
	}
	x.state.away, x.answering = true, false
	x.publish()
}

// Run follows the database until ctx ends.
func (x *Index) Run(ctx context.Context) error {
	reload := time.NewTicker(x.opts.Reload)
	defer reload.Stop()
	leases := time.NewTicker(x.opts.Leases)
	defer leases.Stop()
	soon := time.NewTicker(x.opts.Leases / 6)
	defer soon.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-soon.C:
			if x.clustersChanged.Swap(false) {
				if err = x.readClusters(ctx); err != nil {
					x.clustersChanged.Store(true)
				}
			}
		case <-x.wake:
			x.mu.Lock()
			away, answering := x.state.away, x.answering
			x.mu.Unlock()
			if away && !answering {
				continue // all is read when the database is back
			}
			if away {
				err = x.Load(ctx)
			}
			if err == nil {
				err = x.readChanged(ctx)
			}
		case <-reload.C:
			err = x.Load(ctx)
		case <-leases.C:
			if x.snap.Load().away {
				err = x.Load(ctx) // others may have written meanwhile
			} else {
				err = x.readLeases(ctx)
			}
		}
		if err != nil && ctx.Err() == nil {
			x.opts.Log.Warn("lists are answered from memory: the inventory cannot be read", "error", err)
		}
	}
}

// AppViews reads applications that changed, into the index too: whoever is told
// that one changed finds it changed in the next list.
func (x *Index) AppViews(ctx context.Context, f fleet.ViewFilter) ([]model.AppView, error) {
	x.mu.Lock()
	for _, uid := range f.UIDs {
		x.changed[uid] = struct{}{}
	}
	x.mu.Unlock()
	if err := x.readChanged(ctx); err != nil {
		return nil, err
	}
	m := x.moment(x.snap.Load())
	out := make([]model.AppView, 0, len(f.UIDs))
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, uid := range f.UIDs {
		if a := x.state.apps[uid]; a != nil {
			v := a.AppView
			v.Freshness, v.ObservedAt = m.freshness(a), m.observedAt(a)
			out = append(out, v)
		}
	}
	return out, nil
}

// ClustersChanged notes that sessions opened or closed, or that clusters
// reported: a list that is asked for now reads them first. It never blocks, and
// wakes nobody, because thousands of agents may come back at once.
func (x *Index) ClustersChanged() {
	x.clustersChanged.Store(true)
	x.mu.Lock()
	x.sessionsWritten = true
	x.acknowledged()
	x.mu.Unlock()
}

func (x *Index) wakeUp() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// Written notes applications that a caller is about to be told of: no list is
// answered before they are read. It never blocks.
func (x *Index) Written(uids []model.AppUID) {
	x.mu.Lock()
	for _, uid := range uids {
		x.written[uid] = struct{}{}
	}
	x.acknowledged()
	x.mu.Unlock()
	x.wakeUp()
}

// OthersWritten is Written for clusters, projects and repositories.
func (x *Index) OthersWritten() {
	x.mu.Lock()
	x.othersWritten = true
	x.acknowledged()
	x.mu.Unlock()
	x.wakeUp()
}

// RepositoryLooked notes that what is known of a repository changed. It never
// blocks.
func (x *Index) RepositoryLooked() {
	x.mu.Lock()
	x.reposWritten = true
	x.acknowledged()
	x.mu.Unlock()
	x.wakeUp()
}

// acknowledged numbers a write. x.mu is held.
func (x *Index) acknowledged() {
	x.writes++
	x.answering = x.state.away
}

// readChanged reads what is waiting.
func (x *Index) readChanged(ctx context.Context) error {
	x.reading.Lock()
	defer x.reading.Unlock()
	return x.read(ctx, true)
}

// current makes sure that what was acknowledged before it is called is in the
// snapshot, unless the database does not answer in time: then the snapshot says
// that it is away.
func (x *Index) current(ctx context.Context) *snapshot {
	x.mu.Lock()
	want := x.writes
	x.mu.Unlock()
	var patience <-chan time.Time
	for {
		x.mu.Lock()
		if x.through >= want || x.state.away && !x.answering {
			x.mu.Unlock()
			return x.snap.Load()
		}
		f := x.flight
		if f == nil {
			f = &flight{done: make(chan struct{})}
			x.flight = f
			// Others wait for it too: it outlives the request that began it.
			go x.fly(context.WithoutCancel(ctx), f)
		}
		x.mu.Unlock()
		if patience == nil {
			t := time.NewTimer(x.opts.Patience)
			defer t.Stop()
			patience = t.C
		}
		select {
		case <-f.done:
			if f.err != nil {
				return x.behind()
			}
		case <-patience:
			return x.behind()
		case <-ctx.Done():
			return x.behind()
		}
	}
}

// behind is the snapshot for an answer without something that was acknowledged.
func (x *Index) behind() *snapshot {
	s := *x.snap.Load()
	s.away = true
	return &s
}

// fly reads what was acknowledged, for all who wait.
func (x *Index) fly(ctx context.Context, f *flight) {
	x.reading.Lock()
	f.err = x.read(ctx, false)
	x.reading.Unlock()
	if f.err != nil {
		x.opts.Log.Warn("lists are answered from memory: what was written cannot be read", "error", f.err)
	}
	x.mu.Lock()
	x.flight = nil
	x.mu.Unlock()
	close(f.done)
}

// read reads what was written and, with all, what has changed. x.reading is held.
func (x *Index) read(caller context.Context, all bool) error {
	ctx, cancel := context.WithTimeout(caller, x.opts.Silence)
	defer cancel()
	x.mu.Lock()
	x.reads++
	began, through := x.reads, x.writes
	take := x.written
	x.written = map[model.AppUID]struct{}{}
	others, looked := x.othersWritten, x.othersWritten || x.reposWritten
	sessions := x.sessionsWritten
	x.othersWritten, x.reposWritten, x.sessionsWritten = false, false, false
	if all {
		maps.Copy(take, x.changed)
		x.changed = map[model.AppUID]struct{}{}
	}
	if len(take) == 0 && !looked && !sessions {
		x.through = through
		x.mu.Unlock()
		return nil
	}
	x.mu.Unlock()
	at := x.opts.Now()
	uids := slices.Collect(maps.Keys(take))
	var (
		rows     []fleet.AppRow
		clusters []model.Cluster
		projects []model.AppProject
		repos    []model.Repository
		err      error
	)
	if others {
		clusters, err = x.opts.Store.Clusters(ctx)
		if err == nil {
			projects, err = x.opts.Store.Projects(ctx)
		}
	}
	if err == nil && looked {
		repos, err = x.opts.Store.Repositories(ctx)
	}
	if err == nil && len(uids) > 0 {
		rows, err = x.opts.Store.AppRows(ctx, uids)
	}
	// A cluster that has just enrolled is not known yet when its first application
	// reports.
	enrolled := err == nil && !others && (sessions || x.unknownCluster(rows))
	if enrolled {
		clusters, err = x.opts.Store.Clusters(ctx)
	}
	// What is told of these applications says how fresh it is: a session may have
	// begun, or have been heard of, since leases were read.
	var leases []fleet.Lease
	switch {
	case err != nil:
	case sessions:
		leases, err = x.opts.Store.Leases(ctx, nil)
	case len(rows) > 0:
		leases, err = x.opts.Store.Leases(ctx, clustersOf(rows))
	}
	apps := x.newApps(rows, began)

	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		maps.Copy(x.written, take)
		x.othersWritten = x.othersWritten || others
		x.reposWritten = x.reposWritten || looked
		x.sessionsWritten = x.sessionsWritten || sessions
		x.failed(caller)
		x.wakeUp()
		return err
	}
	if others {
		x.setOthers(clusters, projects, repos, began)
	} else if looked {
		x.setRepositories(repos, began)
	}
	if enrolled {
		x.setClusters(clusters, began)
	}
	if len(leases) > 0 {
		x.setLeases(leases)
	}
	found := map[model.AppUID]struct{}{}
	resort := false
	for i := range rows {
		found[rows[i].UID] = struct{}{}
		resort = x.put(apps[i]) || resort
	}
	for _, uid := range uids {
		if _, ok := found[uid]; ok {
			continue
		}
		if a := x.state.apps[uid]; a != nil && a.read <= began {
			x.remove(a)
			resort = true
		}
		if x.loading {
			x.gone[uid] = began
		}
	}
	if resort {
		x.sort()
	} else if len(rows) > 0 {
		x.refill()
	}
	if !x.state.away {
		x.state.asOf = later(x.state.asOf, at)
	}
	x.publish()
	x.through = through
	return nil
}

// readClusters reads clusters and their leases.
func (x *Index) readClusters(caller context.Context) error {
	ctx, cancel := context.WithTimeout(caller, x.opts.Silence)
	defer cancel()
	x.reading.Lock()
	defer x.reading.Unlock()
	x.mu.Lock()
	x.reads++
	began := x.reads
	x.mu.Unlock()
	at := x.opts.Now()
	clusters, err := x.opts.Store.Clusters(ctx)
	var leases []fleet.Lease
	if err == nil {
		leases, err = x.opts.Store.Leases(ctx, nil)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		x.failed(caller)
		return err
	}
	x.setClusters(clusters, began)
	x.setLeases(leases)
	if !x.state.away {
		x.state.asOf = later(x.state.asOf, at)
	}
	x.publish()
	return nil
}

func (x *Index) readLeases(caller context.Context) error {
	ctx, cancel := context.WithTimeout(caller, x.opts.Silence)
	defer cancel()
	at := x.opts.Now()
	leases, err := x.opts.Store.Leases(ctx, nil)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		x.failed(caller)
		return err
	}
	x.setLeases(leases)
	if !x.state.away {
		x.state.asOf = later(x.state.asOf, at)
	}
	x.publish()
	return nil
}

// newApps makes rows that a read found ready to be put; digests take a while, in which
// nobody is to wait.
func (x *Index) newApps(rows []fleet.AppRow, read uint64) []*app {
	out := make([]*app, len(rows))
	for i := range rows {
		out[i] = newApp(rows[i], read)
		if x.key != nil {
			out[i].content, out[i].digested = digestRow(rows[i])
		}
	}
	return out
}

// put stores a row that a read found, unless a later read was faster. It reports
// whether the order of the rows changed.
func (x *Index) put(a *app) (resort bool) {
	old := x.state.apps[a.UID]
	if old != nil && old.read > a.read {
		return false
	}
	now := x.opts.Now()
	if a.since = now; old != nil && a.digested && old.content == a.content {
		a.since = old.since
		a.mark.Store(old.mark.Load())
	} else {
		x.state.changed = now
	}
	x.timeline.application(now, old, a)
	x.state.apps[a.UID] = a
	x.state.places.put(old, a)
	if old == nil || old.Project != a.Project || old.ClusterID != a.ClusterID {
		x.state.version++
	}
	return old == nil || old.Name != a.Name
}

// remove forgets an application. x.mu is held.
func (x *Index) remove(a *app) {
	delete(x.state.apps, a.UID)
	x.state.places.remove(a)
	x.state.moved = x.opts.Now()
	x.state.version++
}

func (x *Index) sort() {
	x.state.byName = slices.SortedFunc(maps.Values(x.state.apps), func(a, b *app) int { return strings.Compare(a.Name, b.Name) })
}

// refill puts the newest rows in the places of those they replace.
func (x *Index) refill() {
	next := make([]*app, len(x.state.byName))
	for i, a := range x.state.byName {
		next[i] = x.state.apps[a.UID]
	}
	x.state.byName = next
}

func (x *Index) setClusters(clusters []model.Cluster, read uint64) {
	if x.clustersRead > read {
		return // a later read was faster
	}
	x.clustersRead = read
	next := make(map[model.ClusterID]*cluster, len(clusters))
	for _, c := range clusters {
		n := &cluster{Cluster: c}
		old := x.state.clusters[c.ID]
		if old != nil {
			n.lease = old.lease
		}
		if old != nil && old.labels != nil && maps.Equal(old.Labels, c.Labels) {
			n.labels = old.labels
		} else if x.key != nil {
			n.labels = digestLabels(c.Labels)
		}
		next[c.ID] = n
	}
	x.state.clusters = next
	x.state.version++
}

func (x *Index) setOthers(clusters []model.Cluster, projects []model.AppProject, repos []model.Repository, read uint64) {
	x.setClusters(clusters, read)
	if x.othersRead > read {
		return
	}
	x.othersRead = read
	x.state.projects = nil
	for _, p := range projects {
		x.state.projects = append(x.state.projects, &project{AppProject: p})
	}
	slices.SortFunc(x.state.projects, func(a, b *project) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
	x.state.version++
	x.setRepositories(repos, read)
}

func (x *Index) setRepositories(repos []model.Repository, read uint64) {
	if x.reposRead > read {
		return
	}
	x.reposRead = read
	x.state.repos = nil
	for _, r := range repos {
		x.state.repos = append(x.state.repos, &repository{r})
	}
}

// unknownCluster reports whether a row is on a cluster that the index does not
// know.
func (x *Index) unknownCluster(rows []fleet.AppRow) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.ContainsFunc(rows, func(r fleet.AppRow) bool { return x.state.clusters[r.ClusterID] == nil })
}

// clustersOf lists the clusters of rows.
func clustersOf(rows []fleet.AppRow) []model.ClusterID {
	out := make([]model.ClusterID, 0, len(rows))
	for i := range rows {
		out = append(out, rows[i].ClusterID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// setLeases takes over leases, but those that are older than what is known: reads
// overtake each other.
func (x *Index) setLeases(leases []fleet.Lease) {
	next := maps.Clone(x.state.clusters)
	for _, l := range leases {
		if c := next[l.Cluster]; c != nil && !c.lease.After(l) {
			n := *c
			n.lease = l
			next[l.Cluster] = &n
		}
	}
	x.state.clusters = next
	now, ttl := x.opts.Now(), x.opts.Store.LeaseTime()
	for _, l := range leases {
		if c := next[l.Cluster]; c != nil {
			x.timeline.cluster(now, c, ttl)
		}
	}
}

func (x *Index) clusterName(id model.ClusterID) string {
	if c := x.state.clusters[id]; c != nil {
		return c.Name
	}
	return ""
}

// publish makes a snapshot of the state. x.mu is held.
func (x *Index) publish() {
	s := &snapshot{
		apps: x.state.byName, byID: x.state.clusters, projects: x.state.projects, repos: x.state.repos,
		version: x.state.version, asOf: x.state.asOf, away: x.state.away, perProject: map[string]int{},
		places: x.state.places, moved: x.state.moved, changed: x.state.changed,
	}
	before := x.snap.Load()
	same := before != nil && before.version == s.version
	if same {
		s.names, s.perProject = before.names, before.perProject
	} else {
		for _, p := range s.projects {
			s.names = append(s.names, p.Metadata.Name)
		}
		if before == nil || !slices.Equal(before.names, s.names) {
			x.state.naming++
		}
	}
	s.naming = x.state.naming
	if before != nil && len(before.byID) == len(s.byID) && sameMap(before.byID, s.byID) {
		s.clusters = before.clusters
	} else {
		s.clusters = slices.SortedFunc(maps.Values(s.byID), func(a, b *cluster) int { return strings.Compare(a.Name, b.Name) })
	}
	if !same || len(before.apps) != len(s.apps) {
		s.perProject = map[string]int{}
		for _, a := range s.apps {
			s.perProject[a.Project]++
		}
	}
	x.snap.Store(s)
}

// sameMap reports whether both are the same map, or one is a copy with the same
// clusters.
func sameMap(a, b map[model.ClusterID]*cluster) bool {
	for id, c := range a {
		return b[id] == c // a map is replaced as a whole, with new values
	}
	return true
}

// Projects are the names of all projects, and a number that changes with them.
func (x *Index) Projects(ctx context.Context) (version uint64, names []string) {
	s := x.current(ctx)
	return s.naming, s.names
}

// Deployed is a number that changes with the projects and clusters, and with what is
// deployed where.
func (x *Index) Deployed(ctx context.Context) uint64 { return x.current(ctx).version }

// Rules are all projects as they were written. The caller does not change them.
func (x *Index) Rules(ctx context.Context) []model.AppProject {
	s := x.current(ctx)
	out := make([]model.AppProject, len(s.projects))
	for i, p := range s.projects {
		out[i] = p.AppProject
	}
	return out
}

// ApplicationsOf counts the applications of a project.
func (x *Index) ApplicationsOf(ctx context.Context, project string) int {
	return x.current(ctx).perProject[project]
}

// ClustersAt are the clusters that a destination means: one, or none, or several
// when a server is an alias of more.
func (x *Index) ClustersAt(ctx context.Context, d model.Destination) (out []model.Cluster) {
	for _, c := range x.current(ctx).clusters {
		if fleet.Means(d, &c.Cluster) {
			out = append(out, c.Cluster)
		}
	}
	return out
}

// Known reports whether anything has been read yet.
func (x *Index) Known() bool { return !x.snap.Load().asOf.IsZero() }

// ProjectOf is the project of an application that is known.
func (x *Index) ProjectOf(uid model.AppUID) (name, project string, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.state.apps[uid]
	if a == nil {
		return "", "", false
	}
	return a.Name, a.Project, true
}

package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
	"github.com/hawser-dev/hawser/shared/policy"
)

// Inventory answers lists from memory. Its methods block only for what this hub
// has acknowledged and not yet read.
type Inventory interface {
	Applications(ctx context.Context, q fleet.ListQuery) (fleet.ListPage, error)
	Clusters(ctx context.Context, q fleet.ListQuery) (fleet.ListPage, error)
	AllProjects(ctx context.Context, q fleet.ListQuery) (fleet.ListPage, error)
	Repositories(ctx context.Context, q fleet.ListQuery) (fleet.ListPage, error)
	// Operations reads those that f means, which the caller sees, from the database.
	Operations(ctx context.Context, f fleet.OperationFilter, q fleet.ListQuery) (fleet.ListPage, error)
	Fleet(ctx context.Context, sight fleet.Sight) fleet.FleetSummary
	// Map is all clusters that somebody sees, in columns.
	Map(ctx context.Context, q fleet.MapQuery) (fleet.FleetMap, error)
	Timeline(ctx context.Context, q fleet.TimelineQuery) fleet.FleetTimeline
	// Projects are the names of all projects; version changes with them. Deployed
	// changes with projects and clusters, and with what is deployed where.
	Projects(ctx context.Context) (version uint64, names []string)
	Deployed(ctx context.Context) uint64
	// ClustersSeen are the clusters that somebody sees, and how many of the
	// applications that he sees are on each: those that allowed says, and those that
	// the projects reach, or have applications on, that shows says.
	ClustersSeen(ctx context.Context, sight fleet.Sight, shows func(project string) bool, reaches func([]policy.Project, *model.Cluster) bool, allowed func(*model.Cluster) bool) (version uint64, seen map[model.ClusterID]bool, applications map[model.ClusterID]int)
	// Rules are all projects, ApplicationsOf counts those of one, ClustersAt are the
	// clusters that a destination means.
	Rules(ctx context.Context) []model.AppProject
	ApplicationsOf(ctx context.Context, project string) int
	ClustersAt(ctx context.Context, d model.Destination) []model.Cluster
	// Written and OthersWritten are called before a write is answered.
	Written(apps []model.AppUID)
	OthersWritten()
}

// acknowledging tells the inventory what was written before anybody is answered.
type acknowledging struct {
	Publisher
	inventory Inventory
}

func (p acknowledging) PublishApplications(apps []model.AppUID) {
	p.inventory.Written(apps)
	p.Publisher.PublishApplications(apps)
}

func (p acknowledging) Publish(eventType, key string, body any) {
	switch eventType {
	case "cluster", "project", "repository":
		p.inventory.OthersWritten()
	}
	p.Publisher.Publish(eventType, key, body)
}

// page is the envelope of lists that are answered from the inventory.
type page[T any] struct {
	Items      []T                    `json:"items"`
	NextCursor string                 `json:"nextCursor,omitempty"`
	Total      int                    `json:"total"`
	Facets     map[string]fleet.Facet `json:"facets,omitempty"`
	// Groups are the values of the key that was asked for with group, with how many of
	// what was found have each; the 1000 most frequent.
	Groups *fleet.Facet `json:"groups,omitempty"`
	AsOf   time.Time    `json:"asOf"`
	// Partial is set while the database does not answer: the list is what was known
	// at AsOf. Also when there is more than is looked at.
	Partial *partial `json:"partial,omitempty"`
}

type partial struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// listParameters are those of all lists.
var (
	filterParameter = Parameter{Name: "filter", Type: "string", Meaning: "only what it selects, such as health:degraded -project:x env:prod; see docs/filters.md"}
	sortParameter   = Parameter{Name: "sort", Type: "string", Meaning: "keys with commas, each with a leading - for descending; the name comes last"}
	fieldsParameter = Parameter{Name: "fields", Type: "string", Meaning: "fields of the rows, with commas"}
	facetsParameter = Parameter{Name: "facets", Type: "string", Meaning: "keys whose values are counted, with commas, also label:NAME; none counts nothing"}
	groupParameter  = Parameter{Name: "group", Type: "string", Meaning: "a key whose values are counted over what was found: project, cluster, namespace, sync, health, freshness, operation, repo or label:NAME"}
	listParameters  = []Parameter{filterParameter, sortParameter, facetsParameter, fieldsParameter, limitParameter, cursorParam}
)

// listing is how one kind of thing is listed.
type listing struct {
	things string
	// defaultFacets are counted when nobody says which.
	facets []string
	// known are the parameters besides those of all lists.
	known []string
	ask   func(Inventory, context.Context, fleet.ListQuery) (fleet.ListPage, error)
	// limit when none is asked for.
	limit int
	// complete makes the rows of what was found; nil: they are what was found.
	complete func(ctx context.Context, rows []json.RawMessage) ([]json.RawMessage, error)
}

func (a *api) answerList(c *gin.Context, l *listing, change func(*fleet.ListQuery) error) {
	err := a.tryList(c, l, change)
	if err != nil {
		a.fail(c, err)
	}
}

func (a *api) tryList(c *gin.Context, l *listing, change func(*fleet.ListQuery) error) error {
	ctx, set := c.Request.Context(), a.caller(c)
	if err := knownParameters(c, append([]string{"filter", "sort", "facets", "fields", "limit", "cursor"}, l.known...)); err != nil {
		return err
	}
	q := fleet.ListQuery{Filter: c.Query("filter"), Sort: commas(c.Query("sort")), Facets: l.facets, Limit: l.limit}
	if s := c.Query("facets"); s == "none" {
		q.Facets = nil
	} else if s != "" {
		q.Facets = commas(s)
	}
	if s := c.Query("fields"); s != "" {
		q.Fields = commas(s)
	}
	if c.Query("limit") != "" {
		var err error
		if q.Limit, err = limitOf(c); err != nil {
			return err
		}
	}
	if len(q.Sort) > 8 || len(q.Facets) > 16 || len(q.Fields) > 64 {
		return fault.New(fault.Invalid, "too_many_keys", "at most 8 keys of sort, 16 facets and 64 fields are possible")
	}
	var err error
	if q.Sight, err = a.sight(ctx, set); err != nil {
		return err
	}
	if change != nil {
		if err := change(&q); err != nil {
			return err
		}
	}
	// What a cursor is bound to: one of another list, filter or order is none.
	bound := l.things + "\x00" + c.Query("filter") + "\x00" + strings.Join(q.Sort, ",")
	for _, k := range l.known {
		bound += "\x00" + k + "=" + strings.Join(c.QueryArray(k), ",")
	}
	if s := c.Query("cursor"); s != "" {
		if q.After, err = a.opts.openCursor(s, bound); err != nil {
			return err
		}
	}
	got, err := l.ask(a.opts.Inventory, ctx, q)
	if err != nil {
		return err
	}
	if got.AsOf.IsZero() {
		return fault.New(fault.Unavailable, "db_unavailable", "the database is not reachable, and this hub has not read it yet")
	}
	if l.complete != nil {
		if got.Items, err = l.complete(ctx, got.Items); err != nil {
			return err
		}
	}
	out := page[json.RawMessage]{Items: got.Items, Total: got.Total, Facets: got.Facets, Groups: got.Groups, AsOf: got.AsOf}
	if got.Next != nil {
		out.NextCursor = a.opts.cursor(got.Next, bound)
	}
	switch {
	case got.Away:
		out.Partial = away(got.AsOf)
	case got.Newest > 0:
		out.Partial = &partial{"newest_only", fmt.Sprintf("only the newest %d were looked at; older ones are found by application or cluster", got.Newest)}
	}
	c.JSON(http.StatusOK, out)
	return nil
}

func away(asOf time.Time) *partial {
	return &partial{"database_away", "the database does not answer: this is what the hub knew at " + asOf.Format(time.RFC3339)}
}

func commas(s string) []string {
	var out []string
	for x := range strings.SplitSeq(s, ",") {
		if x = strings.TrimSpace(x); x != "" {
			out = append(out, x)
		}
	}
	return out
}

func knownParameters(c *gin.Context, known []string) error {
	for k := range c.Request.URL.Query() {
		if !slices.Contains(known, k) {
			e := fault.New(fault.Invalid, "unknown_parameter", "unknown parameter %q", cut(k)).WithFound(cut(k), strings.Join(known, ", "))
			if near := nearest.Word(k, known); near != "" {
				e.Message += fmt.Sprintf("; did you mean %q?", near)
			}
			return e
		}
	}
	return nil
}

// scope are the applications that somebody sees.
func (a *api) scope(ctx context.Context, set *permission.Set) permission.Scope {
	version, names := a.opts.Inventory.Projects(ctx)
	return set.Projects(permission.Get, permission.Applications, version, names)
}

// sight is what lists and counts have for somebody. It is what single decisions say,
// for all things at once.
func (a *api) sight(ctx context.Context, set *permission.Set) (fleet.Sight, error) {
	if set.Admin() {
		return fleet.Sight{}, nil
	}
	s := a.sightOfApplications(ctx, set)
	sees, err := a.clustersOf(ctx, set)
	if err != nil {
		return s, err
	}
	s.SeesCluster = func(x *model.Cluster) bool { return sees(*x) }
	s.SeesProject = func(name string) bool { return seesProject(set, name) }
	s.SeesRepository = func(project, url string) bool { return set.Sees(permission.Repositories, project, url) }
	return s, nil
}

// sightOfApplications is the part of sight that is about applications.
func (a *api) sightOfApplications(ctx context.Context, set *permission.Set) fleet.Sight {
	if set.Admin() {
		return fleet.Sight{}
	}
	scope := a.scope(ctx, set)
	s := fleet.Sight{Sees: scope.Has, Key: scope.Key()}
	if scope.Partial() {
		s.SeesApp = scope.Allows
	}
	return s
}

// ---- cursors

type position struct {
	After []string `json:"a"`
}

const cursorMAC = 16

// cursor seals a position, so that nobody makes up one, and binds it to what was
// asked.
func (o Options) cursor(after []string, bound string) string {
	b, _ := json.Marshal(position{after}) // strings always encode
	return base64.RawURLEncoding.EncodeToString(append(o.mac(b, bound), b...))
}

func (o Options) mac(b []byte, bound string) []byte {
	h := hmac.New(sha256.New, o.CursorKey)
	sum := sha256.Sum256([]byte(bound))
	h.Write(sum[:])
	h.Write(b)
	return h.Sum(nil)[:cursorMAC]
}

func (o Options) openCursor(s, bound string) ([]string, error) {
	invalid := fault.New(fault.Invalid, "cursor_invalid", "the cursor is not one of this hub, filter and order").WithField("cursor").
		WithFix("start again without a cursor, and keep the other parameters the same")
	if len(s) > 4096 || strings.ContainsAny(s, "\r\n") { // which the decoder passes over
		return nil, invalid
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < cursorMAC || !hmac.Equal(b[:cursorMAC], o.mac(b[cursorMAC:], bound)) {
		return nil, invalid
	}
	var p position
	if json.Unmarshal(b[cursorMAC:], &p) != nil {
		return nil, invalid
	}
	return p.After, nil
}

// cursorOf is the cursor of lists that are read from the database by a key, "" when
// none was sent. It is sealed and bound as others are.
func (a *api) cursorOf(c *gin.Context, bound string) (string, error) {
	s := c.Query("cursor")
	if s == "" {
		return "", nil
	}
	after, err := a.opts.openCursor(s, bound)
	if err == nil && len(after) != 1 {
		err = fault.New(fault.Invalid, "cursor_invalid", "the cursor is not one of this list").WithField("cursor").WithFix("start again without a cursor")
	}
	if err != nil {
		return "", err
	}
	return after[0], nil
}

// boundTo is what the cursor of a list is bound to: the list, and the parameters that
// say what is in it.
func boundTo(c *gin.Context, things string) string {
	q := c.Request.URL.Query()
	q.Del("cursor")
	q.Del("limit")
	return things + "\x00" + q.Encode()
}

// ---- which clusters somebody sees

// clusterSets keeps, for each token, which clusters it sees.
type clusterSets struct {
	mu    sync.Mutex
	known map[*permission.Set]clusterSet
}

type clusterSet struct {
	version uint64
	seen    map[model.ClusterID]bool
	// applications that are seen, of each cluster that has some.
	applications map[model.ClusterID]int
}

// clustersOf tells which clusters somebody sees: those of the policy, and those that
// the projects of his grants may deploy to, or have applications on.
func (a *api) clustersOf(ctx context.Context, set *permission.Set) (func(model.Cluster) bool, error) {
	if set.Admin() {
		return func(model.Cluster) bool { return true }, nil
	}
	got := a.clusterSet(ctx, set)
	return func(cluster model.Cluster) bool { return got.seen[cluster.ID] }, nil
}

// clusterSet are the clusters that a plain user sees.
func (a *api) clusterSet(ctx context.Context, set *permission.Set) clusterSet {
	version := a.opts.Inventory.Deployed(ctx)
	k := &a.clusterSets
	k.mu.Lock()
	got, ok := k.known[set]
	k.mu.Unlock()
	if !ok || got.version != version {
		got.version, got.seen, got.applications = a.opts.Inventory.ClustersSeen(ctx, a.sightOfApplications(ctx, set), set.Visible, reaches, func(x *model.Cluster) bool {
			return set.Policed() && set.DecideCluster(permission.Get, x.Project, namesOf(x)).Allowed
		})
		k.mu.Lock()
		if k.known == nil || len(k.known) >= maxSets {
			k.known = map[*permission.Set]clusterSet{}
		}
		k.known[set] = got
		k.mu.Unlock()
	}
	return got
}

// clusterMeant reads a cluster that a list is narrowed to: one that somebody sees, or
// that has applications that he sees, whose rows name it.
func (a *api) clusterMeant(ctx context.Context, set *permission.Set, nameOrID string) (model.Cluster, error) {
	cluster, err := a.store.Cluster(ctx, nameOrID)
	if err == nil && !set.Admin() {
		if got := a.clusterSet(ctx, set); !got.seen[cluster.ID] && got.applications[cluster.ID] == 0 {
			err = fleet.ClusterUnknown(nameOrID)
		}
	}
	return cluster, err
}

func reaches(projects []policy.Project, cluster *model.Cluster) bool {
	return slices.ContainsFunc(projects, func(p policy.Project) bool {
		return policy.Reaches(p, policy.DestinationAt(*cluster, model.Destination{}))
	})
}

// ---- the lists

func (a *api) listApplications(c *gin.Context) {
	l := listing{
		things: "applications", facets: []string{"project", "cluster", "sync", "health", "freshness", "operation"},
		known: []string{"project", "cluster", "name", "selector", "group"}, limit: defaultLimit, ask: Inventory.Applications,
	}
	a.answerList(c, &l, func(q *fleet.ListQuery) error {
		a.askDetails(&l, q)
		q.Group = c.Query("group")
		if p := c.Query("project"); p != "" {
			q.Terms = append(q.Terms, filter.Equal("project", p))
		}
		if names := c.QueryArray("name"); len(names) > 0 {
			q.Terms = append(q.Terms, filter.Equal("name", names...))
		}
		if name := c.Query("cluster"); name != "" {
			cluster, err := a.clusterMeant(c.Request.Context(), a.caller(c), name)
			if err != nil {
				return err
			}
			q.Terms = append(q.Terms, filter.Equal("clusterID", string(cluster.ID)))
		}
		q.Kept, q.Selector = true, c.Query("selector")
		match, err := parseSelector(q.Selector)
		q.Labels = match
		return err
	})
}

// wholeLists are not many, and were answered whole before there were pages.
const wholeLists = 500

func (a *api) listClusters(c *gin.Context) {
	l := listing{
		things: "clusters", facets: []string{"state", "freshness"}, known: []string{"project", "selector"}, limit: wholeLists, ask: Inventory.Clusters,
	}
	a.answerList(c, &l, func(q *fleet.ListQuery) error {
		if p := c.Query("project"); p != "" {
			q.Terms = append(q.Terms, filter.Equal("project", p))
		}
		match, err := parseSelector(c.Query("selector"))
		if match != nil {
			sees := q.SeesCluster
			q.SeesCluster = func(x *model.Cluster) bool { return match(x.Labels) && (sees == nil || sees(x)) }
		}
		return err
	})
}

func (a *api) listProjects(c *gin.Context) {
	a.answerList(c, &listing{things: "projects", known: []string{"project"}, limit: wholeLists, ask: Inventory.AllProjects}, func(q *fleet.ListQuery) error {
		if p := c.Query("project"); p != "" {
			q.Terms = append(q.Terms, filter.Equal("name", p))
		}
		return nil
	})
}

func (a *api) listRepositories(c *gin.Context) {
	a.answerList(c, &listing{things: "repositories", known: []string{"project"}, limit: wholeLists, ask: Inventory.Repositories}, func(q *fleet.ListQuery) error {
		if p := c.Query("project"); p != "" {
			q.Terms = append(q.Terms, filter.Equal("project", p))
		}
		return nil
	})
}

// fleetSummary counts what the caller sees.
func (a *api) fleetSummary(c *gin.Context) {
	ctx, set := c.Request.Context(), a.caller(c)
	if err := knownParameters(c, nil); err != nil {
		a.fail(c, err)
		return
	}
	sight, err := a.sight(ctx, set)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, a.opts.Inventory.Fleet(ctx, sight))
}

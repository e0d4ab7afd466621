package fleet

import (
	"encoding/json"
	"time"

	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
)

// AppRow is an application as lists need it. How fresh it is depends on the
// moment: see Lease.
type AppRow struct {
	model.AppView
	Labels               map[string]string
	CreatedAt, UpdatedAt time.Time
	// ReportedAt is when what is shown was observed, nil when nothing was.
	ReportedAt *time.Time
	// Report is which report it came with.
	Report ReportID
}

// ReportID numbers a report: of which session, and which of that.
type ReportID struct{ Incarnation, Number, Seq int64 }

// Lease is the newest session of a cluster.
type Lease struct {
	Cluster             model.ClusterID
	Incarnation, Number int64
	Open                bool
	LastSeen            *time.Time
	// Seq is the newest report that a heartbeat confirmed, at ConfirmedAt.
	Seq         *int64
	ConfirmedAt *time.Time
}

// Confirms reports whether the session's last heartbeat still holds for what came
// with a report: in this session, and not after the report that it covers.
func (l Lease) Confirms(r ReportID) bool {
	return l.ConfirmedAt != nil && l.Seq != nil && l.Incarnation == r.Incarnation && l.Number == r.Number && r.Seq <= *l.Seq
}

// Connected reports whether the session counts as open now.
func (l Lease) Connected(now time.Time, ttl time.Duration) bool {
	return l.Open && l.LastSeen != nil && now.Sub(*l.LastSeen) <= ttl
}

// After reports whether l is of a later session than o, or heard of later in the
// same one. Of two that were heard of at the same time neither is.
func (l Lease) After(o Lease) bool {
	if l.Incarnation != o.Incarnation {
		return l.Incarnation > o.Incarnation
	}
	if l.Number != o.Number {
		return l.Number > o.Number
	}
	return l.LastSeen != nil && (o.LastSeen == nil || l.LastSeen.After(*o.LastSeen))
}

// ListQuery is what somebody wants of a list.
type ListQuery struct {
	// Filter in the language of shared/filter; Terms are further ones, and Labels
	// what the labels of an application must be, nil for anything.
	Filter string
	Terms  []filter.Term
	Labels func(map[string]string) bool
	// Selector is what Labels was made of, "" when nobody says.
	Selector string
	// Kept: a page that was made before may be answered, where nothing that it shows
	// has changed. What commands are decided by is made anew.
	Kept bool
	// Sort keys, each with a leading "-" for descending; the name comes last.
	Sort []string
	// After is the position after which the page begins, as ListPage.Next says;
	// nil: at the beginning.
	After []string
	Limit int
	// Fields of the rows; nil: those of a summary.
	Fields []string
	// Facets to count.
	Facets []string
	// Group is a key whose values are counted over what is found; only of applications.
	Group string
	Sight
}

// Sight is what somebody sees. The zero value sees everything.
type Sight struct {
	// Sees says of a project whether any of its applications are seen; nil: all are.
	// SeesApp says which, where that is not all of them; nil: it is.
	Sees    func(project string) bool
	SeesApp func(project, name string) bool
	// Key, when it is not nil, is comparable, and the same only for Sees and SeesApp that
	// say the same: what they said may be kept by it.
	Key any
	// The same for projects, clusters and repositories; nil: all are seen.
	SeesProject    func(name string) bool
	SeesCluster    func(*model.Cluster) bool
	SeesRepository func(project, url string) bool
}

// App reports whether an application is seen.
func (s *Sight) App(project, name string) bool {
	return (s.Sees == nil || s.Sees(project)) && (s.SeesApp == nil || s.SeesApp(project, name))
}

// ListPage is an answer to a ListQuery.
type ListPage struct {
	Items  []json.RawMessage
	Total  int
	Facets map[string]Facet
	// Groups are the values of ListQuery.Group, all of the filter applied.
	Groups *Facet
	// Next is the position of the last row, nil when there are no more.
	Next []string
	// AsOf is when this was known to hold. Away: the database does not answer, and
	// what others have written since AsOf is not in it.
	AsOf time.Time
	Away bool
	// Newest is set when only so many of the newest were looked at.
	Newest int
}

// Facet counts the values of one key over what a filter selects without its own
// terms of that key.
type Facet struct {
	Values map[string]int `json:"values"`
	// Others are the things whose value is not among the most frequent, which
	// alone are listed.
	Others int `json:"others,omitempty"`
}

// FleetSummary is the fleet in numbers.
type FleetSummary struct {
	Clusters     ClusterCounts     `json:"clusters"`
	Applications ApplicationCounts `json:"applications"`
	Projects     int               `json:"projects"`
	AsOf         time.Time         `json:"asOf"`
	// Away: the database does not answer; this is what was known at AsOf.
	Away bool `json:"away,omitempty"`
}

// ClusterCounts are clusters in numbers.
type ClusterCounts struct {
	Total     int `json:"total"`
	Reporting int `json:"reporting"`
	// Silent is how many do not report; NotReporting names those that were seen
	// last, at most 20.
	Silent       int             `json:"silent"`
	NotReporting []SilentCluster `json:"notReporting,omitempty"`
}

// ApplicationCounts are applications in numbers. Health and Sync count what was
// confirmed lately; the rest is Stale or Never. The keys are the words of the
// filter language; of Sync pending and drifted in place of outofsync.
type ApplicationCounts struct {
	Total     int            `json:"total"`
	Health    map[string]int `json:"health"`
	Sync      map[string]int `json:"sync"`
	Operation map[string]int `json:"operation"`
	Stale     int            `json:"stale"`
	Never     int            `json:"never"`
	// Unrendered are in the other sums too: their newest revision cannot be rendered
	// or be reached, and what is counted is an older one.
	Unrendered int `json:"unrendered"`
}

// SilentCluster is a cluster that does not report.
type SilentCluster struct {
	Name     string     `json:"name"`
	LastSeen *time.Time `json:"lastSeen,omitempty"`
	State    string     `json:"state"`
}

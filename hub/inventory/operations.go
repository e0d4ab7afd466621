package inventory

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
)

// OperationSorts, OperationFacets and OperationFields are those of operations.
var (
	OperationSorts  = []string{"number", "app", "project", "cluster", "kind", "phase", "by", "created", "finished"}
	OperationFacets = []string{"phase", "kind", "project", "cluster", "app", "by"}
	OperationFields = fieldsOf(reflect.TypeFor[model.OperationInfo]())
)

// mostOperations are looked at by a list, the newest first. What it is narrowed
// by in the database, application, cluster, open and project, does not count.
const mostOperations = 5000

// Operations answers a list of operations, which the index does not hold: f
// narrows what is read of them. Without a sort the newest is first.
func (x *Index) Operations(ctx context.Context, f fleet.OperationFilter, q fleet.ListQuery) (fleet.ListPage, error) {
	if err := checkAll(q, OperationSorts, OperationFacets, OperationFields); err != nil {
		return fleet.ListPage{}, err
	}
	if len(q.Sort) == 0 {
		q.Sort = []string{"-number"}
	}
	if before, ok := onlyNewest(q); ok && q.SeesApp == nil {
		return x.newestOperations(ctx, f, q, before)
	}
	f.Limit = mostOperations + 1
	ops, err := x.opts.Store.Operations(ctx, f)
	if err != nil {
		return fleet.ListPage{}, err
	}
	cut := len(ops) > mostOperations
	ops = ops[:min(len(ops), mostOperations)]
	if q.SeesApp != nil {
		ops = slices.DeleteFunc(ops, func(o model.OperationInfo) bool { return !q.App(o.Project, o.AppName) })
	}
	page, err := x.chooseOperations(ops, q)
	if cut {
		page.Newest = mostOperations
	}
	return page, err
}

// onlyNewest reports whether a question is for the newest operations, with no
// facets but phase and kind, so that the database answers it page by page, and the
// number before which the page begins, 0 for the newest.
func onlyNewest(q fleet.ListQuery) (before int64, ok bool) {
	if q.Filter != "" || len(q.Terms) > 0 || len(q.Sort) != 1 || q.Sort[0] != "-number" {
		return 0, false
	}
	for _, f := range q.Facets {
		if f != "phase" && f != "kind" {
			return 0, false
		}
	}
	if len(q.After) == 0 {
		return 0, true
	}
	v, ok := parseSortValue(q.After[0])
	return int64(v.n), ok && v.n >= 1
}

// newestOperations is a page of the newest, of which no more is read than it has.
func (x *Index) newestOperations(ctx context.Context, f fleet.OperationFilter, q fleet.ListQuery, before int64) (fleet.ListPage, error) {
	counts, err := x.countOperations(ctx, f)
	if err != nil {
		return fleet.ListPage{}, err
	}
	f.Before, f.Limit = before, q.Limit+1
	ops, err := x.opts.Store.Operations(ctx, f)
	if err != nil {
		return fleet.ListPage{}, err
	}
	facets := map[string]fleet.Facet{}
	for _, name := range q.Facets {
		facets[name] = fleet.Facet{Values: map[string]int{}}
	}
	q.After, q.Facets = nil, nil
	page, err := x.chooseOperations(ops, q)
	page.Total, page.Facets = 0, facets
	for _, c := range counts {
		page.Total += c.Count
		if f, ok := facets["phase"]; ok {
			f.Values[operationWord(&model.OperationInfo{Phase: c.Phase})] += c.Count
		}
		if f, ok := facets["kind"]; ok {
			f.Values[string(c.Kind)] += c.Count
		}
	}
	if page.Total > mostOperations {
		page.Total, page.Newest = mostOperations, mostOperations
	}
	return page, err
}

// mostCounted questions have their counts remembered.
const mostCounted = 256

// counted is what was counted for a question; it is of one moment and one number
// of acknowledged writes.
type counted struct {
	at     time.Time
	writes uint64
	counts []fleet.OperationCount
}

// countOperations counts what the filter narrows to, without its page. Counting
// reads thousands of rows, so who asks the same within a moment is told the same,
// unless this hub has acknowledged a write meanwhile: who has just written sees it
// counted. The rows themselves are read each time.
func (x *Index) countOperations(ctx context.Context, f fleet.OperationFilter) ([]fleet.OperationCount, error) {
	f.Before, f.Limit = 0, mostOperations+1
	key := fmt.Sprintf("%q %q %v %v %q", f.App, f.Cluster, f.OpenOnly, f.Projects == nil, f.Projects)
	now := x.opts.Now()
	x.mu.Lock()
	known, ok := x.counted[key]
	writes := x.writes
	x.mu.Unlock()
	if age := now.Sub(known.at); ok && known.writes == writes && age >= 0 && age < sameMoment {
		return known.counts, nil
	}
	counts, err := x.opts.Store.CountOperations(ctx, f)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	if len(x.counted) >= mostCounted {
		clear(x.counted)
	}
	x.counted[key] = counted{now, writes, counts}
	x.mu.Unlock()
	return counts, nil
}

func (x *Index) chooseOperations(all []model.OperationInfo, q fleet.ListQuery) (fleet.ListPage, error) {
	m := x.moment(x.snap.Load())
	ops := make([]*model.OperationInfo, len(all))
	for i := range all {
		ops[i] = &all[i]
	}
	k := kind[*model.OperationInfo]{
		name: func(o *model.OperationInfo) string { return string(o.ID) },
		test: m.testOfOperations, key: m.sortOfOperations, fact: m.factOfOperations,
	}
	page, err := answer(x, m, filter.Operations, k, ops, q, func(o *model.OperationInfo) any { return o })
	page.AsOf, page.Away = m.now, false
	return page, err
}

func (m moment) factOfOperations(key string) func(*model.OperationInfo) string {
	switch key {
	case "name", "app":
		return func(o *model.OperationInfo) string { return o.AppName }
	case "id":
		return func(o *model.OperationInfo) string { return string(o.ID) }
	case "project":
		return func(o *model.OperationInfo) string { return o.Project }
	case "cluster":
		return func(o *model.OperationInfo) string {
			if c := m.byID[o.Cluster]; c != nil {
				return c.Name
			}
			return string(o.Cluster)
		}
	case "kind":
		return func(o *model.OperationInfo) string { return string(o.Kind) }
	case "phase":
		return operationWord
	case "by":
		return func(o *model.OperationInfo) string { return o.InitiatedBy }
	case "message":
		return func(o *model.OperationInfo) string { return o.Message }
	}
	return func(*model.OperationInfo) string { return "" }
}

func (m moment) testOfOperations(t filter.Term) func(*model.OperationInfo) bool {
	switch t.Key {
	case "created":
		return func(o *model.OperationInfo) bool { return t.Age(m.now, timeOf(o.CreatedAt)) }
	case "finished":
		return func(o *model.OperationInfo) bool { return t.Age(m.now, timeOf(o.FinishedAt)) }
	case "phase":
		return func(o *model.OperationInfo) bool { return t.Word(operationWord(o)) }
	case "is":
		return func(o *model.OperationInfo) bool {
			return slices.ContainsFunc(t.Words, func(w string) bool {
				switch w {
				case "open":
					return !o.Phase.Terminal()
				case "ended":
					return o.Phase.Terminal()
				}
				word := operationWord(o) // failing
				return word == "failed" || word == "expired"
			}) != t.Not
		}
	}
	of := m.factOfOperations(t.Key)
	return func(o *model.OperationInfo) bool { return t.Text(of(o)) }
}

func (m moment) sortOfOperations(key string) func(*model.OperationInfo) sortValue {
	at := func(t *time.Time) sortValue {
		if t == nil {
			return sortValue{}
		}
		return sortValue{n: float64(t.UnixMicro())}
	}
	switch key {
	case "number":
		return func(o *model.OperationInfo) sortValue { return sortValue{n: float64(o.Seq)} }
	case "created":
		return func(o *model.OperationInfo) sortValue { return at(o.CreatedAt) }
	case "finished":
		return func(o *model.OperationInfo) sortValue { return at(o.FinishedAt) }
	}
	of := m.factOfOperations(key)
	return func(o *model.OperationInfo) sortValue { return sortValue{s: of(o)} }
}

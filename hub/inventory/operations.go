package inventory

import (
	"context"
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

// Operations answers a list of some operations, which the index does not hold:
// the caller has read them and may see them. Without a sort the newest is first.
func (x *Index) Operations(ctx context.Context, all []model.OperationInfo, q fleet.ListQuery) (fleet.ListPage, error) {
	if err := checkAll(q, OperationSorts, OperationFacets, OperationFields); err != nil {
		return fleet.ListPage{}, err
	}
	if len(q.Sort) == 0 {
		q.Sort = []string{"-number"}
	}
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

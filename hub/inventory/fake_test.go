package inventory

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// store is a database in memory. What is read is what there was when the read
// began; hold, when set, is called between that and the answer.
type store struct {
	mu       sync.Mutex
	apps     map[model.AppUID]fleet.AppRow
	clusters []model.Cluster
	projects []model.AppProject
	repos    []model.Repository
	ops      []model.OperationInfo
	counts   int // questions for numbers of operations
	leases   []fleet.Lease
	err      error
	hold     func(ctx context.Context, what string) error
}

func newStore() *store { return &store{apps: map[model.AppUID]fleet.AppRow{}} }

// read runs f under the lock, then holds.
func (s *store) read(ctx context.Context, what string, f func()) error {
	s.mu.Lock()
	err, hold := s.err, s.hold
	if err == nil {
		f()
	}
	s.mu.Unlock()
	if err == nil && hold != nil {
		err = hold(ctx, what)
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

func (s *store) AppRows(ctx context.Context, uids []model.AppUID) (out []fleet.AppRow, err error) {
	what := "all"
	if uids != nil {
		what = "some"
	}
	err = s.read(ctx, what, func() {
		for uid, row := range s.apps {
			if uids == nil || slices.Contains(uids, uid) {
				out = append(out, row)
			}
		}
	})
	return out, err
}

func (s *store) Clusters(ctx context.Context) (out []model.Cluster, err error) {
	err = s.read(ctx, "clusters", func() { out = slices.Clone(s.clusters) })
	return out, err
}

func (s *store) Projects(ctx context.Context) (out []model.AppProject, err error) {
	err = s.read(ctx, "projects", func() { out = slices.Clone(s.projects) })
	return out, err
}

func (s *store) Repositories(ctx context.Context) (out []model.Repository, err error) {
	err = s.read(ctx, "repositories", func() { out = slices.Clone(s.repos) })
	return out, err
}

func (s *store) Leases(ctx context.Context, _ []model.ClusterID) (out []fleet.Lease, err error) {
	err = s.read(ctx, "leases", func() { out = slices.Clone(s.leases) })
	return out, err
}

func (s *store) Operations(_ context.Context, f fleet.OperationFilter) ([]model.OperationInfo, error) {
	var out []model.OperationInfo
	for _, op := range s.ops {
		if f.Before == 0 || op.Seq < f.Before {
			out = append(out, op)
		}
	}
	slices.SortFunc(out, func(a, b model.OperationInfo) int { return cmp.Compare(b.Seq, a.Seq) })
	return out[:min(len(out), f.Limit)], nil
}

func (s *store) CountOperations(ctx context.Context, f fleet.OperationFilter) (out []fleet.OperationCount, err error) {
	s.counts++
	newest, err := s.Operations(ctx, f)
	for _, op := range newest {
		out = append(out, fleet.OperationCount{Phase: op.Phase, Kind: op.Kind, Count: 1})
	}
	return out, err
}

func (s *store) LeaseTime() time.Duration { return 30 * time.Second }

// put writes rows.
func (s *store) put(rows ...fleet.AppRow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rows {
		s.apps[r.UID] = r
	}
}

func (s *store) remove(uid model.AppUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.apps, uid)
}

func (s *store) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

var errAway = errors.New("connection refused")

// row is a healthy application of project shop at cluster eu.
func row(name string, change ...func(*fleet.AppRow)) fleet.AppRow {
	at := start
	r := fleet.AppRow{
		AppView: model.AppView{
			UID: model.AppUID("uid-" + name), Name: name, Project: "shop", Cluster: "eu", ClusterID: "c-eu", Namespace: "shop-" + name,
			Sync: model.SyncFacet{Status: model.SyncSynced}, Health: model.HealthFacet{Status: model.HealthHealthy},
		},
		CreatedAt: start.Add(-time.Hour), UpdatedAt: start.Add(-time.Hour), ReportedAt: &at, Report: fleet.ReportID{Incarnation: 1, Number: 1, Seq: 5},
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

// lease of a cluster that said at that it confirms report 5.
func lease(id model.ClusterID, at time.Time) fleet.Lease {
	seq := int64(5)
	return fleet.Lease{Cluster: id, Incarnation: 1, Number: 1, Open: true, LastSeen: &at, Seq: &seq, ConfirmedAt: &at}
}

func newIndex(t *testing.T, s *store, change ...func(*Options)) *Index {
	t.Helper()
	if s.clusters == nil {
		s.clusters = []model.Cluster{{ID: "c-eu", Name: "eu"}, {ID: "c-us", Name: "us"}}
		s.leases = []fleet.Lease{lease("c-eu", start), lease("c-us", start)}
		s.projects = []model.AppProject{{Metadata: model.ObjectMeta{Name: "bank"}}, {Metadata: model.ObjectMeta{Name: "shop"}}}
	}
	o := Options{Store: s, Now: func() time.Time { return start }}
	for _, f := range change {
		f(&o)
	}
	x := New(o)
	if err := x.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return x
}

// names of the applications that a query finds.
func names(t testing.TB, x *Index, q fleet.ListQuery) []string {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100000
	}
	page, err := x.Applications(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return namesIn(t, page)
}

func namesIn(t testing.TB, page fleet.ListPage) []string {
	t.Helper()
	out := []string{}
	for _, item := range page.Items {
		var v struct{ Name string }
		if err := json.Unmarshal(item, &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v.Name)
	}
	return out
}

func numbered(n int) []fleet.AppRow {
	out := make([]fleet.AppRow, n)
	for i := range out {
		out[i] = row(fmt.Sprintf("app-%04d", i))
	}
	return out
}
